// Descriptors as such: what waits for the disk, and what ends or changes a descriptor that fibers may wait for.

#include "hub/hub.h"
#include "hub/offload.h"
#include "hub/own_fd.h"
#include "monkey/bodies.h"
#include "monkey/descriptors.h"
#include "monkey/in_fiber.h"
#include "monkey/kernel.h"
#include "monkey/lasting.h"
#include "monkey/real.h"

#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace coir::monkey {
namespace {

// What libc's function returned, in the kernel's convention.
long kernel_result(long result) noexcept { return result == -1 ? -errno : result; }

// One of coir's own, and it is not coir that asks: libev does so within a scope.
bool hidden(int fd) noexcept { return is_own_fd(fd) && !own_fd_scope::on_this_thread(); }

// Of a terminal: until what was written is sent (ioctl_tty(2)).
bool waits_for_output(unsigned long command) noexcept {
    switch (command) {
    case TCSETSW:
    case TCSETSF:
    case TCSETAW:
    case TCSETAF:
    case TCSBRK:
    case TCSBRKP: return true;
    default: return false;
    }
}

} // namespace

long body::fsync(int fd) {
    return offload_or_leave([fd] { return kernel(SYS_fsync, fd); }, "fsync").value_or(-ECANCELED);
}

long body::fdatasync(int fd) {
    return offload_or_leave([fd] { return kernel(SYS_fdatasync, fd); }, "fdatasync").value_or(-ECANCELED);
}

// The hub's own are out of the program's reach; what libev closes is the hub's.
long body::close(int fd) {
    if (is_own_fd(fd)) [[unlikely]] {
        if (hidden(fd)) return -EBADF;
        close_own_fd(fd);
        return 0;
    }
    bool const waits = in_fiber() && lingers(fd);
    ends(fd);
    auto const close = [fd] { return kernel_result(real.close(fd)); };
    return waits ? lasting_through(close, "close of a socket that lingers") : close();
}

// What libev opens for a hub is the hub's own.
long body::epoll_create1(int flags) {
    int const made = real.epoll_create1(flags);
    own_fd_scope* const own = own_fd_scope::on_this_thread();
    return made < 0 ? -errno : own ? own->keep(made) : made;
}

long body::eventfd(unsigned value, int flags) {
    int const number = real.eventfd(value, flags);
    if (number < 0) return -errno;
    if (own_fd_scope* const own = own_fd_scope::on_this_thread()) return own->keep(number);
    made(number);
    return number;
}

long body::pipe2(int* both, int flags) {
    if (real.pipe2(both, flags) != 0) return -errno;
    made(both[0]);
    made(both[1]);
    return 0;
}

// Around coir's own.
long body::close_range(unsigned first, unsigned last, int flags) {
    if (first > last) return -EINVAL;
    if (flags & ~int(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)) return -EINVAL;
    if (!(flags & int(CLOSE_RANGE_CLOEXEC))) ends_range(first, last);
    for (;;) {
        int const own = next_own_fd(first);
        unsigned const until = own < 0 || unsigned(own) > last ? last : unsigned(own) - 1;
        if (until + 1 > first || until == last)
            if (real.close_range(first, until, flags) != 0) return -errno;
        if (until == last || unsigned(own) == last) return 0;
        first = unsigned(own) + 1;
    }
}

long body::closefrom(int first) {
    if (close_range(first < 0 ? 0 : unsigned(first), UINT_MAX, 0) < 0) real.closefrom(first); // an old kernel
    return 0;
}

long body::dup(int from) {
    if (is_own_fd(from)) return -EBADF;
    shared(from);
    int const made = real.dup(from);
    if (made >= 0) ends(made);
    return made < 0 ? -errno : made;
}

long body::dup2(int from, int to) {
    if (hidden(from)) return -EBADF;
    return from == to ? kernel_result(real.dup2(from, to)) : body::dup3(from, to, 0);
}

long body::dup3(int from, int to, int flags) {
    if (is_own_fd(to) || hidden(from)) return -EBADF; // as above the limit
    bool const refused = from == to || flags & ~O_CLOEXEC || kernel(SYS_fcntl, from, F_GETFD, 0) < 0;
    if (!refused) ends(to), shared(from); // else nothing is closed, and who waits for `to` waits on
    long const result = kernel_result(real.dup3(from, to, flags));
    if (result >= 0) changes(to);
    return result;
}

// Programs find out with these which numbers are open: coir's own are not, also where they cannot lie above the limit.
long body::fstat(int fd, struct stat* about) { return hidden(fd) ? -EBADF : kernel(SYS_fstat, fd, about); }

// Both versions that glibc knows for this machine are the kernel's structure (sysdeps/unix/sysv/linux/fxstat64.c).
long body::fxstat(int version, int fd, struct stat* about) {
    return version == 0 || version == 1 ? body::fstat(fd, about) : -EINVAL;
}

long body::fcntl(int fd, int command, void* argument) {
    if (hidden(fd)) return -EBADF;
    bool const duplicates = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
    if (duplicates) shared(fd);
    if ((command == F_SETLKW || command == F_OFD_SETLKW) && in_fiber()) return record_lock(fd, command, argument);
    long const result = kernel_result(real.fcntl(fd, command, argument));
    if (command == F_SETFL) changes(fd); // the flags may say O_NONBLOCK now, or no longer
    if (duplicates && result >= 0) ends(int(result));
    return result;
}

// A process group that owns the descriptor is a negative result (glibc: fcntl64.c), which the kernel's convention has
// no room for.
long body::libc_fcntl(int fd, int command, void* argument) {
    if (command == F_GETOWN && !hidden(fd)) return real.fcntl(fd, command, argument);
    int const before = errno;
    long const result = body::fcntl(fd, command, argument);
    errno = result < 0 ? int(-result) : before;
    return result < 0 ? -1 : result;
}

long body::ioctl(int fd, unsigned long command, void* argument) {
    if (waits_for_output(command) && in_fiber())
        return lasting([&] { return kernel(SYS_ioctl, fd, command, argument); }, "ioctl of a terminal");
    long const result = kernel_result(real.ioctl(fd, command, argument));
    if (command == FIONBIO) changes(fd);
    return result;
}

long body::setsockopt(int fd, int level, int option, void const* value, socklen_t length) {
    long const result = kernel_result(real.setsockopt(fd, level, option, value, length));
    if (level == SOL_SOCKET) changes(fd); // SO_RCVTIMEO, SO_SNDTIMEO and SO_LINGER are among the facts
    return result;
}

} // namespace coir::monkey
