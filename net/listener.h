// Where connections come in, of whatever kind: tcp_listener and unix_listener are made of it, and stream_server has
// one. For one thread; one accepting fiber at a time.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/socket.h"

#include <sys/socket.h>
#include <utility>

namespace coir::net {

/// How a listener listens.
struct listen_options {
    int backlog = SOMAXCONN; ///< connections that may wait to be accepted; the kernel's limit is net.core.somaxconn
    bool reuse_port =
        false; ///< other listeners, on other threads, may have the same port and share what comes (Linux 3.9)
};

/// A socket that listens. For one thread; one accepting fiber at a time.
class COIR_API listener {
public:
    /// Refers to nothing: every call fails with EBADF.
    listener() noexcept = default;

    /// Listens on `where`: with SO_REUSEADDR on a port; at a Unix socket's path, where one that nobody listens at any
    /// more is replaced. Throws std::system_error, "listen on 127.0.0.1:8001: Address already in use".
    explicit listener(address const& where, listen_options options = {}) : listener(where, SOCK_STREAM, options) {}
    /// Takes over one that listens and is non-blocking, from another thread or process; with() is where.
    explicit listener(socket listening) noexcept : socket_(std::move(listening)) {}

    /// **Parks.** The next connection, whose with() is the peer. One that failed before it was accepted is passed over.
    /// EMFILE and ENFILE are thrown with the limit's name; the connection then stays in the backlog, so wait a little
    /// before the next call. Throws what socket::attempt throws.
    socket accept_socket(deadline until = {});

    /// Where it listens, with the port that the kernel chose. Throws std::system_error.
    address local_address() const { return socket_.local_address(); }

    /// Closes it, at once, and who waits gets EBADF; harmless when it is closed already. A Unix socket's path stays.
    void close() noexcept { socket_.close(); }
    /// It has a descriptor.
    bool is_open() const noexcept { return socket_.is_open(); }
    /// The descriptor, which stays the listener's; -1 if there is none.
    int native() const noexcept { return socket_.native(); }
    /// Gives up the descriptor, which stays open and non-blocking; those who wait get EBADF. -1 if there is none.
    int release() noexcept { return socket_.release(); }

protected:
    /// Of sockets of another type: SOCK_SEQPACKET.
    listener(address const& where, int type, listen_options options);

private:
    socket socket_;
};

} // namespace coir::net
