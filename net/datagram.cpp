#include "net/datagram.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace coir::net {
namespace {

constexpr socket::operation receiving{direction::read, "receive at"};
constexpr socket::operation sending{direction::write, "send to"};
constexpr socket::operation connecting{direction::write, "connect"};

} // namespace

datagram_socket::datagram_socket(address const& own, bool reuse_port) : socket_(own.family(), SOCK_DGRAM, 0, own) {
    if (reuse_port) socket_.set_option(SOL_SOCKET, SO_REUSEPORT, 1, "set SO_REUSEPORT on");
    socket_.bind(own, receiving.words);
    address const bound = socket_.local_address();
    socket_ = socket(socket_.release(), bound); // from now on messages name the port that the kernel chose
}

// Never waits: it notes the address (connect(2)).
datagram_socket datagram_socket::connected(address const& peer) {
    socket made(peer.family(), SOCK_DGRAM, 0, peer);
    if (::connect(made.native(), peer.native(), peer.native_size()) < 0) made.fail(connecting, errno);
    return datagram_socket(std::move(made));
}

void datagram_socket::send_to(address const& to, std::span<std::byte const> what, deadline until) {
    socket_.attempt(sending, to, until, [&](int fd) {
        return ::sendto(fd, what.data(), what.size(), MSG_NOSIGNAL, to.native(), to.native_size());
    });
}

void datagram_socket::send(std::span<std::byte const> what, deadline until) {
    socket_.attempt(sending, until, [&](int fd) { return ::send(fd, what.data(), what.size(), MSG_NOSIGNAL); });
}

datagram datagram_socket::receive(std::span<std::byte> into, deadline until) {
    sockaddr_storage from;
    iovec whole{into.data(), into.size()};
    msghdr message{};
    auto const got = socket_.attempt(receiving, until, [&](int fd) {
        message = {};
        message.msg_name = &from;
        message.msg_namelen = sizeof from;
        message.msg_iov = &whole;
        message.msg_iovlen = 1;
        return ::recvmsg(fd, &message, 0);
    });
    bool const named = message.msg_namelen >= sizeof from.ss_family;
    return {std::size_t(got),
            named ? address::from_native(reinterpret_cast<sockaddr*>(&from), message.msg_namelen) : address(),
            (message.msg_flags & MSG_TRUNC) != 0};
}

void datagram_socket::broadcast(bool on) { socket_.set_option(SOL_SOCKET, SO_BROADCAST, on, "set SO_BROADCAST on"); }

void datagram_socket::join(address const& group, unsigned interface) {
    group_req wanted{};
    wanted.gr_interface = interface;
    std::memcpy(&wanted.gr_group, group.native(), group.native_size());
    int const level = group.family() == AF_INET6 ? int(IPPROTO_IPV6) : int(IPPROTO_IP);
    if (::setsockopt(socket_.native(), level, MCAST_JOIN_GROUP, &wanted, sizeof wanted) < 0)
        socket(-1, group).fail({direction::read, "join"}, errno);
}

} // namespace coir::net
