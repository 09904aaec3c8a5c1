#include "net/tcp.h"

#include <netinet/tcp.h>
#include <string>

namespace coir::net {
namespace {

constexpr socket::operation reading{direction::read, "read from"};
constexpr socket::operation writing{direction::write, "write to"};
constexpr socket::operation connecting{direction::write, "connect"};
constexpr socket::operation listening{direction::read, "listen on"};
constexpr socket::operation accepting{direction::read, "accept on"};

// accept(2), "Error handling": Linux reports what befell the new connection as an error of accept.
bool befell_the_connection(int error) noexcept {
    switch (error) {
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH: return true;
    default: return false;
    }
}

// Whom it is connected to: not what was asked for, if that was 0.0.0.0 or [::]. A connection that was reset already has
// none any more.
address peer_of(socket const& connected, address const& wanted) {
    sockaddr_storage peer{};
    auto* const native = reinterpret_cast<sockaddr*>(&peer);
    socklen_t size = sizeof peer;
    return ::getpeername(connected.native(), native, &size) == 0 ? address::from_native(native, size) : wanted;
}

} // namespace

std::size_t tcp_stream::read_some(std::span<std::byte> into, deadline until) {
    auto const got =
        std::size_t(socket_.attempt(reading, until, [&](int fd) { return ::recv(fd, into.data(), into.size(), 0); }));
    if (got < into.size()) socket_.transferred_less(direction::read);
    return got;
}

void tcp_stream::read_exactly(std::span<std::byte> into, deadline until) {
    std::size_t got = 0;
    while (got < into.size()) {
        std::size_t const more = read_some(into.subspan(got), until);
        if (more == 0)
            throw end_of_stream("read from " + peer_address().to_string() + ": it ended after " + std::to_string(got) +
                                " of " + std::to_string(into.size()) + " bytes");
        got += more;
    }
}

void tcp_stream::write_all(std::span<std::byte const> what, deadline until) {
    while (!what.empty()) {
        auto const sent = std::size_t(socket_.attempt(
            writing, until, [&](int fd) { return ::send(fd, what.data(), what.size(), MSG_NOSIGNAL); }));
        what = what.subspan(sent);
        if (!what.empty()) socket_.transferred_less(direction::write);
    }
}

// A connect under way is asked for its outcome by calling connect again (Linux: net/ipv4/af_inet.c,
// SS_CONNECTING): EALREADY while it lasts, then its error or success, once. An interrupted one goes on as
// well, so EINTR needs nothing.
tcp_stream tcp_stream::connect(address const& peer, deadline until) {
    socket made(peer.family(), SOCK_STREAM, 0, peer);
    made.attempt(connecting, until, [&](int fd) {
        int const result = ::connect(fd, peer.native(), peer.native_size());
        if (result < 0 && (errno == EINPROGRESS || errno == EALREADY)) errno = EAGAIN;
        return result;
    });
    // A port of the kernel's choice on which nobody listens can be chosen for the near end too: TCP then
    // connects the socket to itself.
    address const reached = peer_of(made, peer);
    if (made.local_address() == reached) made.fail(connecting, ECONNREFUSED);
    return tcp_stream(socket(made.release(), reached));
}

void tcp_stream::shutdown_write() {
    if (::shutdown(socket_.native(), SHUT_WR) < 0) socket_.fail({direction::write, "end the stream to"}, errno);
}

void tcp_stream::no_delay(bool on) { socket_.set_option(IPPROTO_TCP, TCP_NODELAY, on, "set TCP_NODELAY with"); }

tcp_listener::tcp_listener(address const& where, int backlog) : socket_(where.family(), SOCK_STREAM, 0, where) {
    socket_.set_option(SOL_SOCKET, SO_REUSEADDR, 1, "set SO_REUSEADDR on");
    if (::bind(socket_.native(), where.native(), where.native_size()) < 0) socket_.fail(listening, errno);
    if (::listen(socket_.native(), backlog) < 0) socket_.fail(listening, errno);
    address const bound = socket_.local_address();
    socket_ = socket(socket_.release(), bound); // from now on messages name the port that the kernel chose
}

tcp_stream tcp_listener::accept(deadline until) {
    sockaddr_storage peer{};
    auto* const native = reinterpret_cast<sockaddr*>(&peer);
    socklen_t size;
    int const fd = socket_.attempt(accepting, until, [&](int listener) {
        int accepted;
        do {
            size = sizeof peer;
            accepted = ::accept4(listener, native, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        } while (accepted < 0 && befell_the_connection(errno));
        return accepted;
    });
    return tcp_stream(socket(fd, address::from_native(native, size)));
}

} // namespace coir::net
