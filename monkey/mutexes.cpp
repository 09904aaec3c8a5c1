// Mutexes, and spin locks: libc's own try, and if that would block the fiber parks.
//
// A normal mutex is nothing but that. One that knows its owner, recursive or error-checking, knows the thread: to libc
// all fibers of a thread are the same owner. So the fiber's mark is put into such a mutex while one holds it, in two
// fields of pthread_mutex_t that libc uses for other kinds only (__spins: adaptive; __elision: elided normal ones).
// A mark of 0 is that of the thread's own fiber, which may have locked it before there was a hub.
//
// pthread_mutex_lock does not fail: callers do not look. A fiber that is killed waits on, and a deadlock is as it is
// with threads, but for the thread's own fiber, which is told would_block_forever by its next wait that can be left.
//
// An unlock by another process, or inside the pthread_cond_wait of a thread without fibers, is not seen: while somebody
// else than this thread holds the mutex, a fiber looks again after a while (looking_again). Robust mutexes: libc's try
// says EOWNERDEAD; their owner is the thread, which outlives its fibers. With priority inheritance a waiting fiber
// lends the owner nothing; with a ceiling, the thread runs at it as long as any of its fibers holds the mutex. In a
// hub's own callbacks, which cannot wait, a recursive mutex of one of its fibers is open, as without the shim.

#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/parking.h"
#include "monkey/real.h"

#include <cerrno>
#include <cstdint>
#include <pthread.h>

namespace coir::monkey {
namespace {

constinit real_function<int(pthread_spinlock_t*)> try_spin{"pthread_spin_trylock"};

// bits/pthread.h has them for the part of the kind that is the type: the rest is protocol, robustness and so on.
enum class mutex_type : int { normal, recursive, error_checking, adaptive };
constexpr int robust_flag = 16; // nptl/pthreadP.h, PTHREAD_MUTEX_ROBUST_NORMAL_NP

int kind_of(pthread_mutex_t const* mutex) noexcept {
    return __atomic_load_n(&mutex->__data.__kind, __ATOMIC_RELAXED); // libc changes other bits at the first lock
}
mutex_type type_of(pthread_mutex_t const* mutex) noexcept { return mutex_type(kind_of(mutex) & 3); }
bool knows_owner(mutex_type type) noexcept {
    return type == mutex_type::recursive || type == mutex_type::error_checking;
}

int owner_of(pthread_mutex_t const* mutex) noexcept {
    return __atomic_load_n(&mutex->__data.__owner, __ATOMIC_RELAXED);
}
bool held_elsewhere(pthread_mutex_t const* mutex) noexcept { return owner_of(mutex) != kernel(SYS_gettid); }

// As far as 32 bits go: two fibers that hold it at once would have to be 4 billion apart.
std::uint32_t mark_of(context const& fiber) noexcept {
    if (!fiber.place) return 0; // has no stack of ours
    return std::uint32_t(fiber.id % ~std::uint32_t{0}) + 1;
}

std::uint32_t mark_in(pthread_mutex_t const* mutex) noexcept {
    auto const low = std::uint16_t(__atomic_load_n(&mutex->__data.__spins, __ATOMIC_RELAXED));
    auto const high = std::uint16_t(__atomic_load_n(&mutex->__data.__elision, __ATOMIC_RELAXED));
    return std::uint32_t(high) << 16 | low;
}

void set_mark(pthread_mutex_t* mutex, std::uint32_t mark) noexcept {
    __atomic_store_n(&mutex->__data.__spins, short(mark & 0xffff), __ATOMIC_RELAXED);
    __atomic_store_n(&mutex->__data.__elision, short(mark >> 16), __ATOMIC_RELAXED);
}

bool is_mine(pthread_mutex_t const* mutex) noexcept { return mark_in(mutex) == mark_of(*this_thread.current); }

// libc's trylock of a robust mutex that cannot be recovered says so once and leaves it locked (glibc 2.36,
// nptl/pthread_mutex_trylock.c, robust_entry); its timed lock does not.
int try_in_libc(pthread_mutex_t* mutex) noexcept {
    if (!(kind_of(mutex) & robust_flag)) [[likely]]
        return real.pthread_mutex_trylock(mutex);
    timespec const past{};
    int const result = real.pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &past);
    return result == ETIMEDOUT ? EBUSY : result;
}

// In the first moment the mark is still the last owner's, but then the count is 1.
int try_one_that_knows_its_owner(pthread_mutex_t* mutex, mutex_type type) noexcept {
    int const result = try_in_libc(mutex);
    if (result == EDEADLK) return is_mine(mutex) ? EDEADLK : EBUSY; // a robust one says so
    if (result != 0 && result != EOWNERDEAD) return result;
    if (type == mutex_type::recursive && mutex->__data.__count > 1) {
        if (is_mine(mutex)) return result;
        real.pthread_mutex_unlock(mutex); // another fiber's, one deep less
        return EBUSY;
    }
    set_mark(mutex, mark_of(*this_thread.current));
    return result;
}

int try_lock(pthread_mutex_t* mutex) noexcept {
    mutex_type const type = type_of(mutex);
    if (knows_owner(type)) [[unlikely]]
        return try_one_that_knows_its_owner(mutex, type);
    return try_in_libc(mutex);
}

[[gnu::noinline]] long wait_for(pthread_mutex_t* mutex, time_limit const& limit, leaving how) {
    if (type_of(mutex) == mutex_type::error_checking && !held_elsewhere(mutex) && is_mine(mutex)) return -EDEADLK;
    if (!limit.valid()) return -EINVAL;
    parking here{mutex, "pthread mutex", how};
    return -park_until(
        here, [&] { return try_lock(mutex); }, limit, [&] { return held_elsewhere(mutex); });
}

} // namespace

long body::pthread_mutex_lock(pthread_mutex_t* mutex) {
    int const result = try_lock(mutex);
    if (result != EBUSY) [[likely]]
        return -result;
    return wait_for(mutex, {}, leaving::never);
}

long body::pthread_mutex_trylock(pthread_mutex_t* mutex) { return -try_lock(mutex); }

long body::pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, timespec const* moment) {
    if (!time_limit::has(clock)) return -EINVAL;
    int const result = try_lock(mutex);
    if (result != EBUSY) return -result;
    return wait_for(mutex, {clock, moment}, leaving::at_once);
}

// By a fiber whose locking is taken over: it has left its mark.
long body::pthread_mutex_unlock(pthread_mutex_t* mutex, bool by_fiber) {
    int const kind = kind_of(mutex);
    bool const marked = knows_owner(mutex_type(kind & 3)) && by_fiber;
    std::uint32_t const mark = marked ? mark_in(mutex) : 0;
    if (marked) {
        if (!is_mine(mutex)) return -EPERM;
        if (mutex_type(kind & 3) == mutex_type::recursive && mutex->__data.__count > 1)
            return -real.pthread_mutex_unlock(mutex);
        set_mark(mutex, 0); // before it is another's
    }
    if (int const error = real.pthread_mutex_unlock(mutex)) {
        if (mark) set_mark(mutex, mark);
        return -error;
    }
    unpark(mutex, kind & robust_flag ? all_of_them : 1); // a robust one may be lost for all
    return 0;
}

// Who holds it may be parked: others have their turn as long as it is held.
long body::pthread_spin_lock(pthread_spinlock_t* lock) {
    while (try_spin(lock) != 0) step_back();
    return 0;
}

} // namespace coir::monkey
