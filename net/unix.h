// Unix sockets: connections between processes of this machine, as streams or as packets, with which descriptors can be
// passed.
//
// What a stream does, and how it fails, is told in net/stream.h; the rules of its socket in net/socket.h. Addresses are
// `unix:/run/x.socket` or `unix:@x` (net/address.h).
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/descriptor.h"
#include "net/listener.h"
#include "net/socket.h"
#include "net/socket_stream.h"

#include <cstddef>
#include <span>
#include <sys/socket.h>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace coir::net {

/// What came together: bytes, and descriptors, which are close-on-exec.
struct received {
    std::size_t size = 0;                ///< bytes; 0 at the end of a stream
    std::vector<descriptor> descriptors; ///< in the order in which they were sent
    bool truncated = false; ///< a packet was larger than the room, or there were more descriptors than could be had
};

/// Who is at the other end, as the kernel knew it when it connected (unix(7), SO_PEERCRED).
struct peer_credentials {
    pid_t process; ///< its number, which may be another's by now
    uid_t user;    ///< its effective user
    gid_t group;   ///< its effective group
};

/// A connection over a Unix socket. For one thread; one reading and one writing fiber at a time.
class COIR_API unix_stream final : public socket_stream {
public:
    /// Refers to nothing: every call fails with EBADF.
    unix_stream() noexcept = default;
    /// Takes over a connected one, whose with() is the peer.
    explicit unix_stream(socket connected) noexcept : socket_stream(std::move(connected)) {}

    /// **Parks** while the listener's backlog is full. Throws std::system_error, "connect unix:/run/x.socket: No such
    /// file or directory", and ETIMEDOUT when `until` has passed; and what interrupts the caller. Any thread; the
    /// stream is this one's.
    static unix_stream connect(address const& peer, deadline until = {});
    /// Two that are connected to each other. Throws std::system_error.
    static std::pair<unix_stream, unix_stream> pair();

    /// **Parks.** Sends `what`, which must not be empty, and with its first byte the descriptors, which stay open here:
    /// 253 at most. Throws as write_some does; EINVAL for no bytes or too many descriptors.
    void write_with(std::span<int const> descriptors, std::span<std::byte const> what, deadline until = {});
    /// **Parks.** As read_some, and the descriptors that came with the bytes.
    received read_with(std::span<std::byte> into, deadline until = {});

    /// Throws std::system_error.
    peer_credentials credentials() const;
};

/// A connection over a Unix socket that keeps the bounds of what is sent (SOCK_SEQPACKET). For one thread; one
/// receiving and one sending fiber at a time.
class COIR_API unix_packets final {
public:
    /// Refers to nothing: every call fails with EBADF.
    unix_packets() noexcept = default;
    /// Takes over a connected one, whose with() is the peer.
    explicit unix_packets(socket connected) noexcept : socket_(std::move(connected)) {}

    /// **Parks.** As unix_stream::connect.
    static unix_packets connect(address const& peer, deadline until = {});
    /// Two that are connected to each other. Throws std::system_error.
    static std::pair<unix_packets, unix_packets> pair();

    /// **Parks.** One packet, whole or not at all, with descriptors, which stay open here. Throws as socket::attempt;
    /// EMSGSIZE if it is larger than the socket's buffer, EINVAL for more than 253 descriptors.
    void send(std::span<std::byte const> packet, std::span<int const> descriptors = {}, deadline until = {});
    /// **Parks.** The next packet. An empty one cannot be told from the end, which is what comes when the peer has
    /// closed. Throws as socket::attempt.
    received receive(std::span<std::byte> into, deadline until = {});

    /// Throws std::system_error.
    peer_credentials credentials() const;
    /// The other end. Valid as long as this object.
    address const& peer_address() const noexcept { return socket_.with(); }
    /// Closes it, at once, and those who wait get EBADF; harmless when it is closed already.
    void close() noexcept { socket_.close(); }
    /// It has a descriptor.
    bool is_open() const noexcept { return socket_.is_open(); }
    /// The descriptor, which stays this one's; -1 if there is none.
    int native() const noexcept { return socket_.native(); }

private:
    socket socket_;
};

/// Where connections over a Unix socket come in. For one thread; one accepting fiber at a time.
class COIR_API unix_listener final : public listener {
public:
    using listener::listener;
    /// **Parks.** The next connection. Throws as accept_socket does.
    unix_stream accept(deadline until = {}) { return unix_stream(accept_socket(until)); }
};

/// The same for packets.
class COIR_API unix_packet_listener final : public listener {
public:
    /// As listener.
    explicit unix_packet_listener(address const& where, listen_options options = {})
        : listener(where, SOCK_SEQPACKET, options) {}
    /// **Parks.** The next connection. Throws as accept_socket does.
    unix_packets accept(deadline until = {}) { return unix_packets(accept_socket(until)); }
};

} // namespace coir::net
