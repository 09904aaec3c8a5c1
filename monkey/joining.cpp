// Waiting for the end of a thread. The kernel tells it by a futex in memory of libc's, which nobody else knows: so if
// the thread has not ended yet, a thread of its own (lasting.h) waits in libc's call for the fiber. A pool of a few
// would not do: those that are waited for may need each other.
//
// A call that has joined cannot be taken back, and callers free what the thread uses when it returns: a fiber that is
// killed waits on. That two threads of which each waits for the other would wait for ever is not told (EDEADLK).

#include "monkey/bodies.h"
#include "monkey/lasting.h"
#include "monkey/parking.h"
#include "monkey/real.h"

#include <cerrno>
#include <cstdint>
#include <pthread.h>
#include <system_error>

namespace coir::monkey {
namespace {

constinit real_function<int(pthread_t, void**)> try_join{"pthread_tryjoin_np"};

// Where no thread can be started.
int look_again_until_joined(pthread_t thread, void** result, time_limit const& limit) {
    looking_again again;
    for (;;) {
        int const error = try_join(thread, result);
        if (error != EBUSY) return error;
        if (limit.over()) return ETIMEDOUT;
        park_through(fiber_that_waits(), "the end of a thread", -1, std::min(limit.next(), again.next()));
    }
}

template <class Join>
long join(pthread_t thread, void** result, time_limit const& limit, Join in_libc) {
    if (pthread_equal(thread, pthread_self())) return -EDEADLK;
    if (int const error = try_join(thread, result); error != EBUSY) return -error;
    try {
        return lasting_through([&] { return long(-in_libc()); }, "the end of a thread");
    } catch (std::system_error const&) {
        return -look_again_until_joined(thread, result, limit);
    }
}

} // namespace

long body::pthread_join(pthread_t thread, void** result) {
    return join(thread, result, {}, [&] { return real.pthread_join(thread, result); });
}

long body::pthread_clockjoin_np(pthread_t thread, void** result, clockid_t clock, timespec const* moment) {
    time_limit const limit{clock, moment};
    if (!time_limit::has(clock) || !limit.valid()) return -real.pthread_clockjoin_np(thread, result, clock, moment);
    return join(thread, result, limit, [&] { return real.pthread_clockjoin_np(thread, result, clock, moment); });
}

long body::thrd_join(pthread_t thread, int* result) {
    void* value = nullptr;
    long const error = pthread_join(thread, &value);
    if (!error && result) *result = int(reinterpret_cast<std::intptr_t>(value));
    return error;
}

} // namespace coir::monkey
