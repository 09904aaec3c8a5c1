#include "net/listener.h"

#include <cerrno>
#include <sys/socket.h>

namespace coir::net {
namespace {

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

} // namespace

listener::listener(address const& where, int type, listen_options options) : socket_(where.family(), type, 0, where) {
    if (where.is_ip()) socket_.set_option(SOL_SOCKET, SO_REUSEADDR, 1, "set SO_REUSEADDR on");
    if (options.reuse_port) socket_.set_option(SOL_SOCKET, SO_REUSEPORT, 1, "set SO_REUSEPORT on");
    socket_.bind(where, listening.words);
    if (::listen(socket_.native(), options.backlog) < 0) socket_.fail(listening, errno);
    address const bound = socket_.local_address();
    socket_ = socket(socket_.release(), bound); // from now on messages name the port that the kernel chose
}

socket listener::accept_socket(deadline until) {
    sockaddr_storage peer{};
    auto* const native = reinterpret_cast<sockaddr*>(&peer);
    socklen_t size;
    int const fd = socket_.attempt(accepting, until, [&](int from) {
        int accepted;
        do {
            size = sizeof peer;
            accepted = ::accept4(from, native, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        } while (accepted < 0 && befell_the_connection(errno));
        return accepted;
    });
    return socket(fd, size >= sizeof native->sa_family ? address::from_native(native, size) : address());
}

} // namespace coir::net
