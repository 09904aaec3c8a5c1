// TCP: a connection, and the place where connections come in.
//
// What a stream does, and how it fails, is told in net/stream.h; the rules of its socket in net/socket.h.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/socket.h"
#include "net/socket_stream.h"

#include <utility>

namespace coir::net {

/// A TCP connection. For one thread; one reading and one writing fiber at a time. Errors are std::system_errors that
/// say what was attempted and with whom.
class COIR_API tcp_stream final : public socket_stream {
public:
    /// Refers to nothing: every call fails with EBADF.
    tcp_stream() noexcept = default;
    /// Takes over a connected one, whose with() is the peer.
    explicit tcp_stream(socket connected) noexcept : socket_stream(std::move(connected)) {}

    /// **Parks.** A connection to `peer`. Throws std::system_error, "connect 127.0.0.1:8001: Connection refused", and
    /// ETIMEDOUT when `until` has passed; and what interrupts the caller. Any thread; the stream is this one's.
    static tcp_stream connect(address const& peer, deadline until = {});

    /// Send small writes at once, instead of waiting for the answer to earlier ones (TCP_NODELAY). Off to begin with.
    /// Throws std::system_error.
    void no_delay(bool on);
};

/// Where TCP connections come in. For one thread; one accepting fiber at a time.
class COIR_API tcp_listener final : public listener {
public:
    using listener::listener;
    /// The same with a backlog only.
    tcp_listener(address const& where, int backlog) : listener(where, {.backlog = backlog}) {}

    /// **Parks.** The next connection. Throws as accept_socket does.
    tcp_stream accept(deadline until = {}) { return tcp_stream(accept_socket(until)); }
};

} // namespace coir::net
