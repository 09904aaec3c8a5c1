// The calls that only sockets have.

#include "hub/offload.h"
#include "hub/ring.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/memory.h"
#include "monkey/own_rights.h"
#include "monkey/parts.h"
#include "monkey/retry.h"
#include "monkey/stream_calls.h"
#include "monkey/times.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <sys/uio.h>
#include <unistd.h>

namespace coir::monkey {
namespace {

// The kernel's word is the program's when it asked not to wait, when the call never waits, or when it is an error.
bool goes_to_kernel(descriptor const& about, int flags) noexcept {
    return !about.is_socket() || flags & (MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB);
}

// What came along with a part: the kernel's own wait for all ends with it (net/unix/af_unix.c).
bool brought_descriptors(msghdr& message) noexcept {
    if (!message.msg_control) return false;
    for (cmsghdr* each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each))
        if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_RIGHTS) return true;
    return false;
}

// MSG_WAITALL on a stream: until all that was asked for is there, the peer stops, or an error. The first part fills in
// the address; what comes beside the bytes is the first's that brings any.
long receive_all(int fd, descriptor const& about, int flags, msghdr& message) {
    waiting turn{fd, about, direction::read};
    remaining_parts rest{message.msg_iov, message.msg_iovlen};
    long total = 0;
    bool has_control = message.msg_control != nullptr;
    do {
        msghdr part;
        long const result = turn.retry([&] {
            part = message;
            if (total > 0) part.msg_name = nullptr, part.msg_namelen = 0;
            if (total > 0 && !has_control) part.msg_control = nullptr, part.msg_controllen = 0;
            part.msg_iov = rest.first();
            part.msg_iovlen = rest.count();
            return kernel(SYS_recvmsg, fd, &part, (flags & ~MSG_WAITALL) | MSG_DONTWAIT);
        });
        if (result < 0) {
            if (total > 0 && has_control) message.msg_controllen = 0;
            return total ? total : result;
        }
        if (total == 0) message.msg_namelen = part.msg_namelen;
        message.msg_flags = part.msg_flags & ~MSG_DONTWAIT;
        total += result;
        rest.advance(std::size_t(result));
        if (has_control && (part.msg_controllen > 0 || rest.bytes() == 0 || result == 0)) {
            message.msg_controllen = part.msg_controllen;
            has_control = false;
            if (brought_descriptors(part)) return total;
        }
        if (result == 0) return total;
    } while (rest.bytes() > 0);
    return total;
}

bool waits_for_all(descriptor const& about, int flags) noexcept {
    return flags & MSG_WAITALL && !(flags & MSG_PEEK) && is_stream(about);
}

// As the kernel copies what a program points to: false where that is no memory of its.
bool copied(void* to, void const* from, std::size_t size) noexcept {
    iovec const here{to, size}, there{const_cast<void*>(from), size};
    long const got = kernel(SYS_process_vm_readv, getpid(), &here, 1, &there, 1, 0);
    if (got == -EFAULT || (got >= 0 && std::size_t(got) < size)) return false;
    if (got < 0) std::memcpy(to, from, size); // it is not allowed
    return true;
}

// The header and its array are the program's memory; else the kernel's call says EFAULT.
bool is_readable(msghdr const* message) noexcept {
    return is_memory(message, sizeof *message) &&
           is_memory(message->msg_iov, std::min<std::size_t>(message->msg_iovlen, IOV_MAX) * sizeof(iovec));
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

namespace {

handlers ended_by(patience const& how) noexcept { return how.limit ? handlers::any : handlers::without_restart; }

bool listens(int fd) noexcept {
    int yes = 0;
    socklen_t size = sizeof yes;
    return kernel(SYS_getsockopt, fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes;
}

// What the ring is told so that an accept is a true try (io_uring_prep_accept(3), Linux 6.10). Older ones say EINVAL.
constexpr unsigned dont_wait = 1u << 1; // IORING_ACCEPT_DONTWAIT
constinit std::atomic<bool> knows_dont_wait{true};

bool may_be_accepted(int fd) noexcept { return is_ready(fd, POLLIN) || !listens(fd); }

// One attempt. Where another thread or process may take the connection between a poll and the call, the ring makes that
// one, as a try; an older kernel's ring waits then, where a kill, a handler or the limit ends it.
long accept_now(int fd, patience const& how, sockaddr* peer, socklen_t* length, int flags) {
    // Made before the first wait: when connections come there may be no descriptors for it.
    ring* const kernels = __libc_single_threaded && alone(describe(fd)) ? nullptr : ring::here();
    if (!may_be_accepted(fd)) return -EAGAIN;
    if (!kernels) return kernel(SYS_accept4, fd, peer, length, flags);
    if (knows_dont_wait.load(std::memory_order_relaxed)) {
        long const accepted = kernels->perform({"accept on fd", fd}, [&](io_uring_sqe* entry) {
            io_uring_prep_accept(entry, fd, peer, length, flags);
            entry->ioprio |= dont_wait;
        });
        if (accepted != -EINVAL || !listens(fd) || flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) return accepted;
        knows_dont_wait.store(false, std::memory_order_relaxed);
    }
    notice_handlers();
    long const accepted =
        kernels->perform({"accept on fd", fd, ended_by(how), deadline_in(how.limit)},
                         [&](io_uring_sqe* entry) { io_uring_prep_accept(entry, fd, peer, length, flags); });
    return accepted == -ETIME ? -EAGAIN : accepted;
}

} // namespace

// accept() takes no MSG_DONTWAIT and the listener's O_NONBLOCK is not ours to set. Without a ring it blocks the thread
// where another thread or process takes the connection between the poll and the call, until the next one comes.
long body::accept4(int fd, sockaddr* peer, socklen_t* length, int flags) {
    descriptor& about = describe(fd);
    if (!about.is_socket()) return kernel(SYS_accept4, fd, peer, length, flags);
    patience const how = patience_of(fd, about, direction::read);
    if (how.nonblocking) return took(kernel(SYS_accept4, fd, peer, length, flags));
    return took(waiting{fd, about, direction::read}.retry([&] { return accept_now(fd, how, peer, length, flags); }));
}

namespace {

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

// One that was begun without waiting, or whose wait was ended, is under way: it is waited for, and then the call has
// the kernel's word at once (net/ipv4/af_inet.c). A wait that its limit ends leaves the EALREADY.
long await_connection(int fd, descriptor const& about, sockaddr const* to, socklen_t length) {
    long const error = waiting{fd, about, direction::write}.once();
    return error == -EAGAIN ? -EALREADY : error ? error : kernel(SYS_connect, fd, to, length);
}

} // namespace

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
            kernels->perform({"connect of fd", fd, ended_by(how), deadline_in(how.limit)},
                             [&](io_uring_sqe* entry) { io_uring_prep_connect(entry, fd, to, length); });
        if (result == -EALREADY) return await_connection(fd, about, to, length);
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
        iovec whole{buffer, size};
        msghdr message{};
        message.msg_iov = &whole;
        message.msg_iovlen = 1;
        if (from && !is_memory(length, sizeof *length)) return -EFAULT;
        if (from) message.msg_namelen = *length;
        message.msg_name = from;
        long const result = receive_all(fd, about, flags, message);
        if (from && result >= 0) *length = message.msg_namelen;
        return result;
    }
    return receive_once(fd, about, size, !(flags & MSG_PEEK),
                        [&] { return kernel(SYS_recvfrom, fd, buffer, size, flags | MSG_DONTWAIT, from, length); });
}

long body::recvmsg(int fd, msghdr* message, int flags) {
    descriptor& about = describe(fd);
    if (goes_to_kernel(about, flags) || !is_readable(message)) return kernel(SYS_recvmsg, fd, message, flags);
    if (waits_for_all(about, flags)) return receive_all(fd, about, flags, *message);
    std::size_t const wanted = bytes_in(message->msg_iov, message->msg_iovlen);
    return receive_once(fd, about, wanted, !(flags & MSG_PEEK),
                        [&] { return kernel(SYS_recvmsg, fd, message, flags | MSG_DONTWAIT); });
}

long body::sendto(int fd, void const* buffer, size_t size, int flags, sockaddr const* to, socklen_t length) {
    descriptor& about = describe(fd);
    if (goes_to_kernel(about, flags)) return kernel(SYS_sendto, fd, buffer, size, flags, to, length);
    iovec const whole{const_cast<void*>(buffer), size};
    return send_all(fd, about, &whole, 1, [&](iovec const* rest, std::size_t, bool again) {
        // The address that MSG_FASTOPEN connects to has been given then.
        int const how = again ? (flags & ~MSG_FASTOPEN) | MSG_NOSIGNAL : flags;
        return kernel(SYS_sendto, fd, rest->iov_base, rest->iov_len, how | MSG_DONTWAIT, again ? nullptr : to,
                      again ? 0 : length);
    });
}

long body::sendmsg(int fd, msghdr const* message, int flags) {
    descriptor& about = describe(fd);
    if (!is_readable(message)) return kernel(SYS_sendmsg, fd, message, flags);
    share_what_goes_along(*message);
    if (goes_to_kernel(about, flags)) return kernel(SYS_sendmsg, fd, message, flags);
    return send_all(fd, about, message->msg_iov, message->msg_iovlen,
                    [&](iovec const* rest, std::size_t count, bool again) {
                        msghdr part = *message;
                        part.msg_iov = const_cast<iovec*>(rest);
                        part.msg_iovlen = count;
                        int how = flags;
                        if (again) { // all but the bytes went with the first of them
                            part.msg_control = nullptr, part.msg_controllen = 0;
                            part.msg_name = nullptr, part.msg_namelen = 0;
                            how = (flags & ~MSG_FASTOPEN) | MSG_NOSIGNAL;
                        }
                        return kernel(SYS_sendmsg, fd, &part, how | MSG_DONTWAIT);
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
    if (limit && done) *limit = left_until(until);
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
