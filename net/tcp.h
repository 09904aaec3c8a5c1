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

#include <cstddef>
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

    /// From its next wait on the kernel receives ahead: what comes is put into buffers of the hub, also while nobody
    /// reads, and those of all such streams are told of with one system call (io_uring_prep_recv_multishot(3)). For
    /// thousands of connections with small messages; much at once is received faster without. The buffers of a thread,
    /// made for the first such stream, are 4,096 of 2 KiB; one stream holds 64 of them, or a few more, before its peer
    /// has to wait, and those that find none free wait as streams do without this.
    ///
    /// True if it does so; false, and nothing changes, without io_uring, before Linux 6.1 and if the stream is closed.
    /// Throws std::bad_alloc, and std::logic_error if a fiber reads.
    ///
    /// What was received ahead, received_ahead() says how much, belongs to the stream: who is given the descriptor by
    /// release() does not find it there, and neither does a forked child what comes from then on.
    bool receive_ahead() { return socket_.receive_ahead(); }
    /// How many bytes have come so that no read has returned yet.
    std::size_t received_ahead() const noexcept;
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
