// The calls that only sockets have.

#include "hub/offload.h"
#include "hub/ring.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/own_rights.h"
#include "monkey/parts.h"
#include "monkey/retry.h"
#include "monkey/times.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/uio.h>
#include <unistd.h>

namespace coir::monkey {
namespace {

bool is_stream(descriptor const& about) noexcept {
    return about.kind.load(std::memory_order_relaxed) == file_kind::stream;
}

// The kernel's word is the program's when it asked not to wait, when the call never waits, or when it is an error.
bool goes_to_kernel(descriptor const& about, int flags) noexcept {
    return !about.is_socket() || flags & (MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB);
}

// Receives through `receive(flags)`, which tries once. After a read that took all there was, waits before the next.
template <class Receive>
long receive_once(int fd, descriptor& about, int flags, std::size_t wanted, Receive receive) {
    waiting turn{fd, about, direction::read};
    if (about.drained.load(std::memory_order_relaxed)) {
        about.drained.store(false, std::memory_order_relaxed);
        if (long const error = turn.first()) return error;
    }
    long const result = turn.retry([&] { return receive(flags | MSG_DONTWAIT); });
    if (is_stream(about) && result > 0 && !(flags & MSG_PEEK))
        about.drained.store(std::size_t(result) < wanted, std::memory_order_relaxed);
    return result;
}

// MSG_WAITALL on a stream: until all that was asked for is there, the peer stops, or an error.
long receive_all(int fd, descriptor& about, int flags, iovec const* parts, std::size_t count) {
    waiting turn{fd, about, direction::read};
    remaining_parts rest{parts, count};
    long total = 0;
    while (rest.bytes() > 0) {
        msghdr message{};
        message.msg_iov = rest.first();
        message.msg_iovlen = rest.count();
        long const result =
            turn.retry([&] { return kernel(SYS_recvmsg, fd, &message, (flags & ~MSG_WAITALL) | MSG_DONTWAIT); });
        if (result <= 0) return total ? total : result;
        total += result;
        rest.advance(std::size_t(result));
    }
    return total;
}

bool waits_for_all(descriptor const& about, int flags) noexcept {
    return flags & MSG_WAITALL && !(flags & MSG_PEEK) && is_stream(about);
}

// Sends through `send(parts, count)`. A stream is done when all is sent, or with what was sent before an error.
template <class Send>
long send_all(int fd, descriptor& about, iovec const* parts, std::size_t count, Send send) {
    waiting turn{fd, about, direction::write};
    std::size_t const wanted = bytes_in(parts, count);
    long result = turn.retry([&] { return send(parts, count, true); });
    if (!is_stream(about) || result < 0 || std::size_t(result) == wanted) return result;
    remaining_parts rest{parts, count};
    long total = result;
    do {
        rest.advance(std::size_t(result));
        result = turn.retry([&] { return send(rest.first(), rest.count(), false); });
        if (result > 0) total += result;
    } while (result > 0 && std::size_t(total) < wanted);
    return total;
}

// A new descriptor, or -errno.
long took(long fd) noexcept {
    if (fd >= 0) made(int(fd));
    return fd;
}

// What is sent along with a message (unix(7), SCM_RIGHTS): another process has it then.
void share_what_goes_along(msghdr const& message) noexcept {
    if (!message.msg_control) return;
    auto& header = const_cast<msghdr&>(message); // CMSG_NXTHDR wants it so
    for (cmsghdr* each = CMSG_FIRSTHDR(&header); each; each = CMSG_NXTHDR(&header, each)) {
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
        std::size_t const count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(each) + i * sizeof fd, sizeof fd);
            shared(fd);
        }
    }
}

} // namespace

long body::socket(int domain, int type, int protocol) { return took(kernel(SYS_socket, domain, type, protocol)); }

long body::socketpair(int domain, int type, int protocol, int* both) {
    long const result = kernel(SYS_socketpair, domain, type, protocol, both);
    if (result == 0) made(both[0]), made(both[1]);
    return result;
}

// A deadline, for what is waited for by the ring.
deadline deadline_of(patience const& how) noexcept { return deadline_in(how.limit); }

handlers ended_by(patience const& how) noexcept { return how.limit ? handlers::any : handlers::without_restart; }

bool listens(int fd) noexcept {
    int yes = 0;
    socklen_t size = sizeof yes;
    return kernel(SYS_getsockopt, fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes;
}

// accept() takes no MSG_DONTWAIT and the listener's O_NONBLOCK is not ours to set. Where nobody else can take the
// connection between a poll and the call, poll is asked; otherwise the ring makes the call. Without a ring it blocks
// the thread then, until the next connection comes.
long body::accept4(int fd, sockaddr* peer, socklen_t* length, int flags) {
    descriptor& about = describe(fd);
    if (!about.is_socket()) return kernel(SYS_accept4, fd, peer, length, flags);
    patience const how = patience_of(fd, about, direction::read);
    if (how.nonblocking) return took(kernel(SYS_accept4, fd, peer, length, flags));
    if (ring* const kernels = alone(about) ? nullptr : ring::here()) {
        notice_handlers();
        long const accepted =
            kernels->perform({"accept on fd", fd, ended_by(how), deadline_of(how)},
                             [&](io_uring_sqe* entry) { io_uring_prep_accept(entry, fd, peer, length, flags); });
        return accepted == -ETIME ? -EAGAIN : took(accepted);
    }
    return took(waiting{fd, about, direction::read}.retry([&]() -> long {
        pollfd listener{fd, POLLIN, 0};
        timespec const at_once{};
        if (kernel(SYS_ppoll, &listener, 1, &at_once, nullptr, 0) <= 0 && listens(fd)) return -EAGAIN;
        return kernel(SYS_accept4, fd, peer, length, flags);
    }));
}

// As the kernel copies what a program points to: false where that is no memory of its.
bool copied(void* to, void const* from, std::size_t size) noexcept {
    iovec const here{to, size}, there{const_cast<void*>(from), size};
    long const got = kernel(SYS_process_vm_readv, getpid(), &here, 1, &there, 1, 0);
    if (got == -EFAULT || (got >= 0 && std::size_t(got) < size)) return false;
    if (got < 0) std::memcpy(to, from, size); // it is not allowed
    return true;
}

int domain_of(int fd) noexcept {
    int domain = AF_UNSPEC;
    socklen_t size = sizeof domain;
    kernel(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    return domain;
}

// connect(2) leaves a socket that was refused as it had been before (net/ipv4/af_inet.c); the ring's since Linux 6.7 as
// one whose connection has ended.
void forget_failed_connection(int fd, long result) noexcept {
    if (result != -ECONNREFUSED && result != -ETIMEDOUT && result != -EHOSTUNREACH && result != -ECONNRESET) return;
    sockaddr const nowhere{AF_UNSPEC, {}};
    if (domain_of(fd) != AF_UNIX) kernel(SYS_connect, fd, &nowhere, sizeof nowhere);
}

// A blocking connect cannot be tried either: the ring makes it, or a worker thread, which goes on if its fiber is
// killed. What SO_SNDTIMEO or a handler ends goes on in the background, as it does in the kernel (socket(7),
// connect(2)). That of a datagram socket only notes the address.
long body::connect(int fd, sockaddr const* to, socklen_t length) {
    descriptor& about = describe(fd);
    int type = 0;
    socklen_t size = sizeof type;
    bool const may_wait =
        about.is_socket() && kernel(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type != SOCK_DGRAM;
    if (!may_wait) return kernel(SYS_connect, fd, to, length);
    patience const how = patience_of(fd, about, direction::write);
    if (how.nonblocking) return kernel(SYS_connect, fd, to, length);
    about.drained.store(false, std::memory_order_relaxed);
    if (ring* const kernels = ring::here()) {
        notice_handlers();
        long const result =
            kernels->perform({"connect of fd", fd, ended_by(how), deadline_of(how)},
                             [&](io_uring_sqe* entry) { io_uring_prep_connect(entry, fd, to, length); });
        forget_failed_connection(fd, result);
        return result != -ETIME ? result : domain_of(fd) == AF_UNIX ? -EAGAIN : -EINPROGRESS;
    }
    if (length > sizeof(sockaddr_storage)) return -EINVAL;
    sockaddr_storage copy;
    if (!copied(&copy, to, length)) return -EFAULT;
    if (calls_are_this_threads() && domain_of(fd) == AF_UNIX) return kernel(SYS_connect, fd, to, length); // by a name
    return offload_or_leave([=] { return kernel(SYS_connect, fd, &copy, length); }, "connect").value_or(-ECANCELED);
}

long body::recvfrom(int fd, void* buffer, size_t size, int flags, sockaddr* from, socklen_t* length) {
    descriptor& about = describe(fd);
    if (goes_to_kernel(about, flags)) return kernel(SYS_recvfrom, fd, buffer, size, flags, from, length);
    if (waits_for_all(about, flags)) {
        iovec const whole{buffer, size};
        return receive_all(fd, about, flags, &whole, 1);
    }
    return receive_once(fd, about, flags, size,
                        [&](int how) { return kernel(SYS_recvfrom, fd, buffer, size, how, from, length); });
}

long body::recvmsg(int fd, msghdr* message, int flags) {
    descriptor& about = describe(fd);
    if (goes_to_kernel(about, flags)) return kernel(SYS_recvmsg, fd, message, flags);
    if (waits_for_all(about, flags) && message->msg_controllen == 0)
        return receive_all(fd, about, flags, message->msg_iov, message->msg_iovlen);
    std::size_t const wanted = bytes_in(message->msg_iov, message->msg_iovlen);
    return receive_once(fd, about, flags, wanted, [&](int how) { return kernel(SYS_recvmsg, fd, message, how); });
}

long body::sendto(int fd, void const* buffer, size_t size, int flags, sockaddr const* to, socklen_t length) {
    descriptor& about = describe(fd);
    if (goes_to_kernel(about, flags)) return kernel(SYS_sendto, fd, buffer, size, flags, to, length);
    iovec const whole{const_cast<void*>(buffer), size};
    return send_all(fd, about, &whole, 1, [&](iovec const* rest, std::size_t, bool) {
        return kernel(SYS_sendto, fd, rest->iov_base, rest->iov_len, flags | MSG_DONTWAIT, to, length);
    });
}

long body::sendmsg(int fd, msghdr const* message, int flags) {
    descriptor& about = describe(fd);
    share_what_goes_along(*message);
    if (goes_to_kernel(about, flags)) return kernel(SYS_sendmsg, fd, message, flags);
    return send_all(fd, about, message->msg_iov, message->msg_iovlen,
                    [&](iovec const* rest, std::size_t count, bool first) {
                        msghdr part = *message;
                        part.msg_iov = const_cast<iovec*>(rest);
                        part.msg_iovlen = count;
                        if (!first) part.msg_control = nullptr, part.msg_controllen = 0; // went with the first bytes
                        return kernel(SYS_sendmsg, fd, &part, flags | MSG_DONTWAIT);
                    });
}

// The kernel's own goes on message by message, too (net/socket.c, __sys_recvmmsg): the first is waited for, the rest
// only without MSG_WAITFORONE, and the time is looked at after each. An error after the first message is what the next
// call returns; that one is lost here, where it is not the socket's.
long body::recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* limit) {
    descriptor& about = describe(fd);
    if (goes_to_kernel(about, flags)) return kernel(SYS_recvmmsg, fd, messages, count, flags, limit);
    if (limit && !valid(*limit)) return -EINVAL;
    deadline const until = limit ? deadline_after(*limit) : deadline::never();
    unsigned done = 0;
    long result = 0;
    while (done < count) {
        bool const waits = done == 0 || !(flags & MSG_WAITFORONE);
        int const how = (flags & ~MSG_WAITFORONE) | (waits ? 0 : MSG_DONTWAIT);
        result = body::recvmsg(fd, &messages[done].msg_hdr, how);
        if (result < 0) break;
        messages[done++].msg_len = unsigned(result);
        if (limit && over(until)) break;
    }
    if (limit) {
        std::int64_t const left = std::max<std::int64_t>(0, until.ns() - steady_now());
        *limit = {left / 1'000'000'000, left % 1'000'000'000};
    }
    return done ? done : result;
}

long body::sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
    descriptor& about = describe(fd);
    if (goes_to_kernel(about, flags)) return kernel(SYS_sendmmsg, fd, messages, count, flags);
    constexpr unsigned most = 1024; // UIO_MAXIOV, net/socket.c
    unsigned done = 0;
    while (done < std::min(count, most)) {
        long const result = body::sendmsg(fd, &messages[done].msg_hdr, flags);
        if (result < 0) return done ? done : result;
        messages[done++].msg_len = unsigned(result);
    }
    return done;
}

} // namespace coir::monkey
