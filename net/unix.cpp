#include "net/unix.h"

#include <cerrno>
#include <cstring>
#include <sys/uio.h>

namespace coir::net {
namespace {

constexpr socket::operation reading{direction::read, "read from"};
constexpr socket::operation writing{direction::write, "write to"};
constexpr socket::operation connecting{direction::write, "connect"};

constexpr std::size_t most_descriptors = 253; // SCM_MAX_FD of the kernel (include/net/scm.h)

// The room for what goes along with a message, as the kernel wants it aligned.
struct alignas(cmsghdr) passenger_room {
    std::byte bytes[CMSG_SPACE(most_descriptors * sizeof(int))];
};

// Sends some of `what`, and the descriptors with it.
std::size_t send_with(socket& over, std::span<int const> descriptors, std::span<std::byte const> what, deadline until) {
    if (descriptors.size() > most_descriptors) over.fail(writing, EINVAL);
    passenger_room room;
    iovec whole{const_cast<std::byte*>(what.data()), what.size()};
    msghdr message{};
    message.msg_iov = &whole;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = &room;
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* const first = CMSG_FIRSTHDR(&message);
        *first = {CMSG_LEN(descriptors.size_bytes()), SOL_SOCKET, SCM_RIGHTS};
        std::memcpy(CMSG_DATA(first), descriptors.data(), descriptors.size_bytes());
    }
    return std::size_t(over.attempt(writing, until, [&](int fd) { return ::sendmsg(fd, &message, MSG_NOSIGNAL); }));
}

template <class Function>
void for_each_descriptor(msghdr& in, Function what) {
    for (cmsghdr* each = CMSG_FIRSTHDR(&in); each; each = CMSG_NXTHDR(&in, each)) {
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= each->cmsg_len; at += sizeof(int)) {
            int fd;
            std::memcpy(&fd, reinterpret_cast<std::byte const*>(each) + at, sizeof fd);
            what(fd);
        }
    }
}

// The descriptors are this process's as soon as the call has returned: without memory for their owners they are closed.
received receive_with(socket& over, std::span<std::byte> into, deadline until) {
    received all;
    passenger_room room;
    iovec whole{into.data(), into.size()};
    msghdr message{};
    all.size = std::size_t(over.attempt(reading, until, [&](int fd) {
        message = {};
        message.msg_iov = &whole;
        message.msg_iovlen = 1;
        message.msg_control = &room;
        message.msg_controllen = sizeof room;
        return ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    }));
    std::size_t count = 0;
    for_each_descriptor(message, [&](int) { ++count; });
    try {
        all.descriptors.reserve(count);
    } catch (...) {
        for_each_descriptor(message, [](int fd) { ::close(fd); });
        throw;
    }
    for_each_descriptor(message, [&](int fd) { all.descriptors.emplace_back(fd); });
    all.truncated = message.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
    return all;
}

// While the listener's backlog is full it says EAGAIN, and is not connected then (net/unix/af_unix.c).
socket connect_unix(address const& peer, int type, deadline until) {
    socket made(AF_UNIX, type, 0, peer);
    address const& to = made.with(); // `peer` may go meanwhile
    made.attempt(connecting, until, [&](int fd) { return ::connect(fd, to.native(), to.native_size()); });
    return made;
}

template <class Connection>
std::pair<Connection, Connection> connected_pair(int type) {
    int both[2];
    address const unnamed = address::unix_socket("");
    if (::socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both) < 0)
        socket(-1, unnamed).fail({direction::read, "make a pair of sockets for"}, errno);
    return {Connection(socket(both[0], unnamed)), Connection(socket(both[1], unnamed))};
}

peer_credentials credentials_of(socket const& connected) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(connected.native(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        connected.fail({direction::read, "learn who is"}, errno);
    return {peer.pid, peer.uid, peer.gid};
}

} // namespace

unix_stream unix_stream::connect(address const& peer, deadline until) {
    return unix_stream(connect_unix(peer, SOCK_STREAM, until));
}

std::pair<unix_stream, unix_stream> unix_stream::pair() { return connected_pair<unix_stream>(SOCK_STREAM); }

void unix_stream::write_with(std::span<int const> descriptors, std::span<std::byte const> what, deadline until) {
    if (what.empty()) socket_.fail(writing, EINVAL);
    std::size_t const sent = send_with(socket_, descriptors, what, until);
    write_all(what.subspan(sent), until);
}

received unix_stream::read_with(std::span<std::byte> into, deadline until) {
    return receive_with(socket_, into, until);
}

peer_credentials unix_stream::credentials() const { return credentials_of(socket_); }

unix_packets unix_packets::connect(address const& peer, deadline until) {
    return unix_packets(connect_unix(peer, SOCK_SEQPACKET, until));
}

std::pair<unix_packets, unix_packets> unix_packets::pair() { return connected_pair<unix_packets>(SOCK_SEQPACKET); }

void unix_packets::send(std::span<std::byte const> packet, std::span<int const> descriptors, deadline until) {
    send_with(socket_, descriptors, packet, until);
}

received unix_packets::receive(std::span<std::byte> into, deadline until) { return receive_with(socket_, into, until); }

peer_credentials unix_packets::credentials() const { return credentials_of(socket_); }

} // namespace coir::net
