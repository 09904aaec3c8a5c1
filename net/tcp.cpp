#include "net/tcp.h"

#include "hub/receiver.h"
#include "net/connecting.h"

#include <cerrno>
#include <cstddef>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <utility>

namespace coir::net {
namespace {

constexpr socket::operation connecting{direction::write, "connect"};

// Whom it is connected to: not what was asked for, if that was 0.0.0.0 or [::]. A connection that was reset already has
// none any more.
address peer_of(socket const& connected, address const& wanted) {
    sockaddr_storage peer{};
    auto* const native = reinterpret_cast<sockaddr*>(&peer);
    socklen_t size = sizeof peer;
    return ::getpeername(connected.native(), native, &size) == 0 ? address::from_native(native, size) : wanted;
}

} // namespace

// A connect under way is asked for its outcome by calling connect again (Linux: net/ipv4/af_inet.c,
// SS_CONNECTING): EALREADY while it lasts, then its error or success, once. An interrupted one goes on as
// well, so EINTR needs nothing.
int try_connect(int fd, address const& peer) noexcept {
    int const result = ::connect(fd, peer.native(), peer.native_size());
    if (result < 0 && (errno == EINPROGRESS || errno == EALREADY)) errno = EAGAIN;
    return result;
}

// A port of the kernel's choice on which nobody listens can be chosen for the near end too: TCP then connects the
// socket to itself.
tcp_stream connected_stream(socket made) {
    address const reached = peer_of(made, made.with());
    if (made.local_address() == reached) made.fail(connecting, ECONNREFUSED);
    return tcp_stream(socket(made.release(), reached));
}

tcp_stream tcp_stream::connect(address const& peer, deadline until) {
    socket made(peer.family(), SOCK_STREAM, 0, peer);
    made.attempt(connecting, until, [&](int fd) { return try_connect(fd, made.with()); }); // `peer` may go meanwhile
    return connected_stream(std::move(made));
}

void tcp_stream::no_delay(bool on) { socket_.set_option(IPPROTO_TCP, TCP_NODELAY, on, "set TCP_NODELAY with"); }

std::size_t tcp_stream::received_ahead() const noexcept { return socket_.ahead() ? socket_.ahead()->held() : 0; }

} // namespace coir::net
