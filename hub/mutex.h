// Mutexes that a fiber holds across waits: mutex, and rlock, which its holder can lock again. They work between the
// fibers of one thread and of several. Unlocking hands over to the fiber that waits longest.
//
// They go with std::lock_guard, std::unique_lock and std::scoped_lock, and must outlive those who wait. Any thread.
// Whether the holder may end without unlocking is up to the program: the mutex stays locked then.
#pragma once

#include "hub/deadline.h"
#include "hub/waiter.h"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace coir {

/// A mutex that belongs to a fiber, not to a thread. Any thread.
class COIR_API mutex {
public:
    /// Nobody holds it.
    mutex() = default;
    mutex(mutex const&) = delete;
    mutex& operator=(mutex const&) = delete;

    /// **Parks** while another fiber holds it: until this one does, true, or `until` has passed, false. Throws
    /// std::system_error(resource_deadlock_would_occur) if the caller holds it already, what interrupts the caller, and
    /// would_block_forever.
    bool lock(deadline until = {});
    /// Takes it if nobody holds it, not even the caller.
    bool try_lock() noexcept;
    /// Hands it to the fiber that waits longest, if one does. Throws std::system_error(operation_not_permitted), with
    /// the holder's number, any_fiber::id(), if the caller does not hold it.
    void unlock();

    /// For std::unique_lock: as lock(), **Parks** and throws as that does.
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> const& time) {
        return lock(deadline(time));
    }
    /// The same until `moment`.
    bool try_lock_until(std::chrono::steady_clock::time_point moment) { return lock(deadline(moment)); }

    /// Somebody holds it.
    bool locked() const noexcept;

private:
    friend class rlock;
    friend class condition;
    bool is_mine() const noexcept;
    bool lock_held(deadline until); // by somebody; lock_ is locked, and not any more when it returns
    void hand_over() noexcept;
    [[noreturn]] static void throw_not_mine(std::uint64_t holder);
    void lock_through(); // whatever interrupts

    thread_lock mutable lock_;
    wait_queue waiting_;
    std::uint64_t holder_ = 0; // its context's id, which no later one gets as it may get the address; under the lock
};

/// A mutex that its holder may lock any number of times, and unlocks as often. Any thread. gevent: RLock.
class COIR_API rlock {
public:
    /// **Parks** while another fiber holds it: until this one does, true, or `until` has passed, false. Throws what
    /// interrupts the caller, and would_block_forever.
    bool lock(deadline until = {});
    /// Takes it, or takes it once more, if no other fiber holds it.
    bool try_lock() noexcept;
    /// Undoes one lock(); the last hands it on. Throws as mutex::unlock.
    void unlock();
    /// For std::unique_lock: as lock(), **Parks** and throws as that does.
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> const& time) {
        return lock(deadline(time));
    }
    /// The same until `moment`.
    bool try_lock_until(std::chrono::steady_clock::time_point moment) { return lock(deadline(moment)); }

    /// Somebody holds it.
    bool locked() const noexcept { return of_.locked(); }

private:
    friend class condition;
    mutex of_;
    std::size_t depth_ = 0; // the holder's
};

} // namespace coir
