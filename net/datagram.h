// Datagrams: UDP, and Unix sockets of that kind. Each is sent and received whole, or not at all.
//
// The rules are the socket's (net/socket.h): one thread; one receiving and one sending fiber at a time, so both may
// happen at once; any fiber may close, which wakes the others with EBADF. An error is a std::system_error whose text
// begins with what was attempted and with whom.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/socket.h"

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace coir::net {

/// A datagram that came, apart from its bytes.
struct datagram {
    std::size_t size = 0;   ///< how many bytes there are; less than were sent, if it was cut
    address from;           ///< who sent it; a Unix socket without a name has none
    bool truncated = false; ///< there was not enough room: the rest is gone
};

/// A socket for datagrams. For one thread; one receiving and one sending fiber at a time.
class COIR_API datagram_socket final {
public:
    /// Refers to nothing: every call fails with EBADF.
    datagram_socket() noexcept = default;
    /// Takes over one that is non-blocking; with() is its own address, or the peer that it is connected to.
    explicit datagram_socket(socket ready) noexcept : socket_(std::move(ready)) {}

    /// Receives at `own`: "127.0.0.1:0" lets the kernel choose the port. A Unix socket's path at which nobody receives
    /// any more is replaced. With `reuse_port` others, on other threads, may have the same port and share what comes.
    /// Throws std::system_error, "receive at 127.0.0.1:53: Permission denied".
    explicit datagram_socket(address const& own, bool reuse_port = false);
    /// Has `peer` as its only partner: what others send is not received, and that it refuses is an error of the next
    /// call. Throws std::system_error.
    static datagram_socket connected(address const& peer);

    /// **Parks** while there is no room. Sends `what` to `to`. Throws as socket::attempt does: EMSGSIZE if it is too
    /// large.
    void send_to(address const& to, std::span<std::byte const> what, deadline until = {});
    /// The same.
    void send_to(address const& to, std::string_view what, deadline until = {}) {
        send_to(to, std::as_bytes(std::span(what.data(), what.size())), until);
    }
    /// **Parks** likewise: to the peer that it is connected to. EDESTADDRREQ if it is not.
    void send(std::span<std::byte const> what, deadline until = {});
    /// The same.
    void send(std::string_view what, deadline until = {}) {
        send(std::as_bytes(std::span(what.data(), what.size())), until);
    }

    /// **Parks** until one comes, which may be empty. Throws as socket::attempt does; ECONNREFUSED if what was sent to
    /// the connected peer found nobody.
    datagram receive(std::span<std::byte> into, deadline until = {});
    /// The same.
    datagram receive(std::span<char> into, deadline until = {}) { return receive(std::as_writable_bytes(into), until); }

    /// May send to broadcast addresses. Throws std::system_error.
    void broadcast(bool on);
    /// Receives what is sent to `group`, an IP multicast address, on the interface of that number, 0 for the kernel's
    /// choice. Throws std::system_error.
    void join(address const& group, unsigned interface = 0);

    /// Where it receives, with the port that the kernel chose. Throws std::system_error.
    address local_address() const { return socket_.local_address(); }
    /// Closes it, at once, and those who wait get EBADF; harmless when it is closed already. A Unix socket's path
    /// stays.
    void close() noexcept { socket_.close(); }
    /// It has a descriptor.
    bool is_open() const noexcept { return socket_.is_open(); }
    /// The descriptor, which stays this one's; -1 if there is none.
    int native() const noexcept { return socket_.native(); }
    /// Gives up the descriptor, which stays open and non-blocking; those who wait get EBADF. -1 if there is none.
    int release() noexcept { return socket_.release(); }

private:
    socket socket_;
};

} // namespace coir::net
