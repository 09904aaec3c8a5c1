// syscall(2): the number says which body the call belongs to. What ends or changes a descriptor is noted as for the
// functions of those names, on any thread (libuv closes so, to do without a cancellation point): else the number would
// come back as another file that the loop believes it watches. What waits parks a fiber.
//
// Left to the kernel: all that never waits; what only waits for a disk; writing, which coir's own handlers of signals
// do by number; and whatever is given a mask of signals, which is shorter there than libc's.

#include "hub/own_fd.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/own_rights.h"
#include "monkey/parking.h"

#include <fcntl.h>
#include <optional>
#include <sys/syscall.h>

namespace coir::monkey {
namespace {

/// An argument of a call, as the type that the body wants.
class argument {
public:
    explicit argument(long value) noexcept : value_(value) {}
    template <class T>
    operator T*() const noexcept {
        return reinterpret_cast<T*>(value_);
    }
    template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
    operator T() const noexcept { return static_cast<T>(value_); }

private:
    long value_;
};

std::optional<long> of_descriptors(long number, argument a, argument b, argument c, argument d, argument e) {
    // coir's own, which a loop that is being made opens and closes, are never the program's.
    bool const programs = !own_fd_scope::on_this_thread();
    int const command = b;
    switch (number) {
    case SYS_close:
        if (programs) return body::close(a);
        break;
    case SYS_close_range: return body::close_range(a, b, c);
    case SYS_dup: return body::dup(a);
#ifdef SYS_dup2 // newer processors' kernels have dup3 only
    case SYS_dup2: return body::dup2(a, b);
#endif
    case SYS_dup3: return body::dup3(a, b, c);
    case SYS_fcntl: // the loop asks with F_GETFD for what is hidden from the program
        if (programs && (command == F_SETFL || command == F_DUPFD || command == F_DUPFD_CLOEXEC))
            return body::fcntl(a, b, c);
        break;
    case SYS_ioctl: return body::ioctl(a, b, c);
    case SYS_setsockopt: return body::setsockopt(a, b, c, d, e);
    default: break;
    }
    return std::nullopt;
}

std::optional<long> that_wait(long number, argument a, argument b, argument c, argument d, argument e, argument f) {
    switch (number) {
    case SYS_read: return body::read(a, b, c);
    case SYS_readv: return body::readv(a, b, c);
    case SYS_accept4: return body::accept4(a, b, c, d);
    case SYS_connect: return body::connect(a, b, c);
    case SYS_recvfrom: return body::recvfrom(a, b, c, d, e, f);
    case SYS_recvmsg: return body::recvmsg(a, b, c);
    case SYS_recvmmsg: return body::recvmmsg(a, b, c, d, e);
    case SYS_sendto: return body::sendto(a, b, c, d, e, f);
    case SYS_sendmsg: return body::sendmsg(a, b, c);
    case SYS_sendmmsg: return body::sendmmsg(a, b, c, d);
    case SYS_nanosleep: return body::nanosleep(a, b);
    case SYS_clock_nanosleep: return body::clock_nanosleep(a, b, c, d);
    case SYS_wait4: return body::wait4(a, b, c, d);
    case SYS_waitid: return body::waitid(a, b, c, d, e);
    case SYS_flock: return body::flock(a, b);
    case SYS_semtimedop: return body::semtimedop(a, b, c, d);
    case SYS_msgsnd: return body::msgsnd(a, b, c, d);
    case SYS_msgrcv: return body::msgrcv(a, b, c, d, e);
    case SYS_mq_timedsend: return body::mq_timedsend(a, b, c, d, e);
    case SYS_mq_timedreceive: return body::mq_timedreceive(a, b, c, d, e);
#if defined(__x86_64__) // the older forms, which others do not have
    case SYS_accept: return body::accept4(a, b, c, 0);
    case SYS_poll: return body::poll(a, b, c);
    case SYS_select: return body::select(a, b, c, d, e);
    case SYS_epoll_wait: return body::epoll_pwait(a, b, c, d, nullptr);
    case SYS_pause: return body::pause();
#endif
    case SYS_ppoll:
        if (long(d) == 0) return body::ppoll(a, b, c, nullptr);
        break;
    case SYS_epoll_pwait:
        if (long(e) == 0) return body::epoll_pwait(a, b, c, d, nullptr);
        break;
    default: break;
    }
    return std::nullopt;
}

} // namespace

long body::syscall(long number, long first, long second, long third, long fourth, long fifth, long sixth) {
    argument const a(first), b(second), c(third), d(fourth), e(fifth), f(sixth);
    note_change_of_rights(number);
    if (number == SYS_futex) return futex(a, b, c, d, e, f);
    if (auto const result = of_descriptors(number, a, b, c, d, e)) return *result;
    if (in_fiber())
        if (auto const result = that_wait(number, a, b, c, d, e, f)) return *result;
    return kernel(number, first, second, third, fourth, fifth, sixth);
}

} // namespace coir::monkey
