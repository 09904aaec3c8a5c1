// syscall(2): the number says which body the call belongs to. Futexes wait there as fibers do; what ends or changes a
// descriptor is noted as for the functions of those names (libuv closes so, to do without a cancellation point): else
// the number would come back as another file that the loop believes it watches. All the others are the kernel's, and
// may block.

#include "hub/own_fd.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"

#include <fcntl.h>
#include <sys/syscall.h>

namespace coir::monkey {

long body::syscall(long number, long a, long b, long c, long d, long e, long f) {
    // coir's own, which a loop that is being made opens and closes, are never the program's.
    bool const programs = !own_fd_scope::on_this_thread();
    switch (number) {
    case SYS_futex:
        return futex(reinterpret_cast<int*>(a), int(b), int(c), reinterpret_cast<timespec const*>(d),
                     reinterpret_cast<int*>(e), unsigned(f));
    case SYS_close:
        if (programs) return close(int(a));
        break;
    case SYS_close_range: return close_range(unsigned(a), unsigned(b), int(c));
    case SYS_dup: return dup(int(a));
#ifdef SYS_dup2 // newer processors' kernels have dup3 only
    case SYS_dup2: return dup2(int(a), int(b));
#endif
    case SYS_dup3: return dup3(int(a), int(b), int(c));
    case SYS_fcntl: // the loop asks with F_GETFD for what is hidden from the program
        if (programs && (b == F_SETFL || b == F_DUPFD || b == F_DUPFD_CLOEXEC))
            return fcntl(int(a), int(b), reinterpret_cast<void*>(c));
        break;
    case SYS_ioctl: return ioctl(int(a), (unsigned long)b, reinterpret_cast<void*>(c));
    case SYS_setsockopt: return setsockopt(int(a), int(b), int(c), reinterpret_cast<void const*>(d), socklen_t(e));
    default: break;
    }
    return kernel(number, a, b, c, d, e, f);
}

} // namespace coir::monkey
