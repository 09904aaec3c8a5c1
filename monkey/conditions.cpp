// Condition variables. A fiber waits in the parking lot, a thread without fibers in libc, and a signal wakes the first
// of the fibers, or if there is none one of the threads. That is the "at least one" of POSIX; it does not keep the
// order between fibers and threads.
//
// pthread_cond_wait may not fail. A fiber that is killed while it waits wakes once as if by chance, which POSIX allows
// and callers are made for: one that calls coir::interruption_point where it looks at its condition leaves there. Later
// waits go on until they are signalled. A condition that is shared with other processes wakes by chance all 16 ms, for
// their signals are not seen.

#include "monkey/bodies.h"
#include "monkey/libc_layout.h"
#include "monkey/parking.h"
#include "monkey/real.h"

#include <cerrno>
#include <new>
#include <pthread.h>

namespace coir::monkey {
namespace {

constexpr std::int64_t chance = 16'000'000; // ns

// From announce() on a signal counts, and the mutex is free only then: none is missed. Whatever ends the wait, the
// mutex is locked again.
long wait_for(pthread_cond_t* condition, pthread_mutex_t* mutex, time_limit const& limit) {
    bool const shared = is_shared(condition);
    parking here{condition, "pthread condition", leaving::once};
    here.announce();
    if (long const error = body::pthread_mutex_unlock(mutex, true)) {
        here.withdraw();
        return error;
    }
    deadline until = limit.next();
    if (shared) until = std::min(until, deadline::at(steady_now() + chance));
    wake_reason why;
    try {
        why = here.park(until);
    } catch (std::bad_alloc const&) { // no timer
        body::pthread_mutex_lock(mutex);
        throw;
    }
    long const result = why == wake_reason::timed_out && limit.over() ? -ETIMEDOUT : 0;
    long const locked = body::pthread_mutex_lock(mutex);
    return locked ? locked : result;
}

} // namespace

long body::pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    return wait_for(condition, mutex, {});
}

long body::pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                                  timespec const* moment) {
    time_limit const limit{clock, moment};
    if (!limit.valid() || !time_limit::has(clock)) return -EINVAL;
    return wait_for(condition, mutex, limit);
}

long body::pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, timespec const* moment) {
    return body::pthread_cond_clockwait(condition, mutex, clock_of(condition), moment);
}

long body::pthread_cond_signal(pthread_cond_t* condition) {
    if (unpark(condition) > 0) return 0;
    return -real.pthread_cond_signal(condition);
}

long body::pthread_cond_broadcast(pthread_cond_t* condition) {
    unpark(condition, all_of_them);
    return -real.pthread_cond_broadcast(condition);
}

} // namespace coir::monkey
