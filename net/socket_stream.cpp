#include "net/socket_stream.h"

#include "hub/receiver.h"

#include <cerrno>
#include <numeric>
#include <sys/socket.h>

namespace coir::net {
namespace {

constexpr socket::operation reading{direction::read, "read from"};
constexpr socket::operation writing{direction::write, "write to"};

std::size_t bytes_in(std::span<iovec const> parts) noexcept {
    return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                           [](std::size_t sum, iovec const& each) { return sum + each.iov_len; });
}

msghdr message_of(std::span<iovec const> parts) noexcept {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = parts.size();
    return message;
}

} // namespace

// Of one part recv and send are quicker than the calls that take many.
std::size_t socket_stream::receive(std::span<iovec const> into, deadline until) {
    bool const one = into.size() == 1;
    bool from_ahead = false;
    auto const got = std::size_t(socket_.attempt(reading, until, [&](int fd) {
        receiver* const ahead = socket_.ahead();
        from_ahead = ahead && ahead->covers();
        if (from_ahead) return ahead->take(into);
        if (one) return ::recv(fd, into.front().iov_base, into.front().iov_len, 0);
        msghdr message = message_of(into);
        return ::recvmsg(fd, &message, 0);
    }));
    if (!from_ahead && got < (one ? into.front().iov_len : bytes_in(into))) socket_.transferred_less(direction::read);
    return got;
}

std::size_t socket_stream::send(std::span<iovec const> what, deadline until) {
    bool const one = what.size() == 1;
    auto const sent = std::size_t(socket_.attempt(writing, until, [&](int fd) {
        if (one) return ::send(fd, what.front().iov_base, what.front().iov_len, MSG_NOSIGNAL);
        msghdr const message = message_of(what);
        return ::sendmsg(fd, &message, MSG_NOSIGNAL);
    }));
    if (sent < (one ? what.front().iov_len : bytes_in(what))) socket_.transferred_less(direction::write);
    return sent;
}

void socket_stream::shutdown_write(deadline) {
    if (::shutdown(socket_.native(), SHUT_WR) < 0) socket_.fail({direction::write, "end the stream to"}, errno);
}

} // namespace coir::net
