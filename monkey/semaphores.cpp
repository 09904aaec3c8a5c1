// POSIX semaphores: libc's own try, and if that would block the fiber parks. sem_post is for handlers of signals, too:
// parking.h says how. One that other processes may post, also every named one, is looked at again after a while.

#include "monkey/bodies.h"
#include "monkey/libc_layout.h"
#include "monkey/parking.h"
#include "monkey/real.h"

#include <cerrno>
#include <semaphore.h>

namespace coir::monkey {
namespace {

constinit real_function<int(sem_t*)> try_now{"sem_trywait"};

int try_wait(sem_t* semaphore) noexcept {
    int const before = errno;
    if (try_now(semaphore) == 0) return 0;
    int const error = std::exchange(errno, before);
    return error == EAGAIN ? EBUSY : error;
}

// A handler ends a wait with a limit in any case: the kernel does not restart it (kernel/futex, futex_wait_restart).
long wait_for(sem_t* semaphore, time_limit const& limit, handlers ended_by) {
    int const result = try_wait(semaphore);
    if (result != EBUSY) return -result;
    parking here{semaphore, "POSIX semaphore", leaving::at_once, ended_by};
    return -park_until(
        here, [&] { return try_wait(semaphore); }, limit, [&] { return is_shared(semaphore); });
}

} // namespace

long body::sem_wait(sem_t* semaphore) { return wait_for(semaphore, {}, handlers::without_restart); }

long body::sem_clockwait(sem_t* semaphore, clockid_t clock, timespec const* moment) {
    time_limit const limit{clock, moment};
    if (!time_limit::has(clock) || !limit.valid()) return -EINVAL;
    return wait_for(semaphore, limit, handlers::any);
}

long body::sem_post(sem_t* semaphore) {
    if (real.sem_post(semaphore) != 0) return -errno;
    unpark(semaphore);
    return 0;
}

} // namespace coir::monkey
