// Read-write locks: libc's own try, and if that would block the fiber parks. libc's rule of who goes first holds as far
// as it can see: fibers that are parked are not among those who wait in it. So a reader passes writers that are parked,
// as libc's default has it (PTHREAD_RWLOCK_PREFER_READER_NP), also where it is told to prefer writers.
//
// To libc the writer is the thread. That a fiber holds the lock itself (EDEADLK) is known by its id, which is put into
// a field of pthread_rwlock_t that libc leaves alone. As pthread_mutex_lock, rdlock and wrlock do not fail when the
// fiber is killed: it waits on. A lock that is shared with other processes is looked at again after a while.

#include "monkey/bodies.h"
#include "monkey/parking.h"
#include "monkey/real.h"

#include <cerrno>
#include <pthread.h>

namespace coir::monkey {
namespace {

constinit real_function<int(pthread_rwlock_t*)> try_to_read{"pthread_rwlock_tryrdlock"};

enum : std::uint32_t { reader = 1, writer = 2 }; // who waits

#if defined(__x86_64__)
unsigned long& note_in(pthread_rwlock_t* lock) noexcept { return lock->__data.__pad2; }

unsigned long writer_in(pthread_rwlock_t* lock) noexcept { return __atomic_load_n(&note_in(lock), __ATOMIC_RELAXED); }
void set_writer(pthread_rwlock_t* lock, unsigned long id) noexcept {
    __atomic_store_n(&note_in(lock), id, __ATOMIC_RELAXED);
}
#else
unsigned long writer_in(pthread_rwlock_t*) noexcept { return 0; } // no field that fits: it deadlocks
void set_writer(pthread_rwlock_t*, unsigned long) noexcept {}
#endif

unsigned long my_id() noexcept { return this_thread.current->id; }

int try_lock(pthread_rwlock_t* lock, std::uint32_t as) noexcept {
    if (as == reader) return try_to_read(lock);
    int const result = real.pthread_rwlock_trywrlock(lock);
    if (result == 0) set_writer(lock, my_id());
    return result;
}

long lock_as(pthread_rwlock_t* lock, std::uint32_t as, time_limit const& limit, leaving how) {
    int const result = try_lock(lock, as);
    if (result != EBUSY) return -result;
    if (writer_in(lock) == my_id()) return -EDEADLK;
    parking here{lock, as == reader ? "pthread rwlock, to read" : "pthread rwlock, to write", how, {}, as};
    return -park_until(
        here, [&] { return try_lock(lock, as); }, limit, [&] { return lock->__data.__shared != 0; });
}

long timed_lock_as(pthread_rwlock_t* lock, std::uint32_t as, time_limit const& limit, clockid_t clock) {
    if (!time_limit::has(clock) || !limit.valid()) return -EINVAL;
    return lock_as(lock, as, limit, leaving::at_once);
}

} // namespace

long body::pthread_rwlock_rdlock(pthread_rwlock_t* lock) { return lock_as(lock, reader, {}, leaving::never); }
long body::pthread_rwlock_wrlock(pthread_rwlock_t* lock) { return lock_as(lock, writer, {}, leaving::never); }
long body::pthread_rwlock_trywrlock(pthread_rwlock_t* lock) { return -try_lock(lock, writer); }

long body::pthread_rwlock_clockrdlock(pthread_rwlock_t* lock, clockid_t clock, timespec const* moment) {
    return timed_lock_as(lock, reader, {clock, moment}, clock);
}
long body::pthread_rwlock_clockwrlock(pthread_rwlock_t* lock, clockid_t clock, timespec const* moment) {
    return timed_lock_as(lock, writer, {clock, moment}, clock);
}

// One writer is enough: if it does not get the lock, who does will unlock it, too.
long body::pthread_rwlock_unlock(pthread_rwlock_t* lock) {
    if (in_fiber() && writer_in(lock) == my_id()) set_writer(lock, 0);
    if (int const error = real.pthread_rwlock_unlock(lock)) return -error;
    unpark(lock, 1, writer);
    unpark(lock, all_of_them, reader);
    return 0;
}

} // namespace coir::monkey
