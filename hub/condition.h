// A condition variable for fibers, on a mutex or an rlock. Who waits is woken in the order of coming, and holds the
// lock again when its wait ends, however it ends. Python's threading.Condition, of which gevent has none of its own.
//
// It must outlive those who wait. Any thread.
#pragma once

#include "hub/deadline.h"
#include "hub/mutex.h"
#include "hub/waiter.h"

#include <concepts>
#include <cstddef>
#include <mutex>

namespace coir {

/// What fibers wait for while another one holds the lock and changes what they look at. Any thread.
class COIR_API condition {
public:
    /// Nobody waits.
    condition() = default;
    condition(condition const&) = delete;
    condition& operator=(condition const&) = delete;

    /// **Parks**, with `held` unlocked meanwhile, also one that was locked several times: until notified, true, or
    /// `until` has passed, false. Never returns true without a notification. Throws what interrupts the caller, and
    /// would_block_forever, with the lock held; std::system_error(operation_not_permitted) if the caller does not hold
    /// it.
    bool wait(std::unique_lock<mutex>& held, deadline until = {});
    /// The same with an rlock, which its caller holds as often again afterwards.
    bool wait(std::unique_lock<rlock>& held, deadline until = {});

    /// **Parks** until `is_so()`, true, or `until` has passed: what it says then. It is asked with the lock held,
    /// before the first wait and after each notification. Throws as the other wait(), and what `is_so` throws.
    template <class Lock, std::predicate Predicate>
    bool wait(std::unique_lock<Lock>& held, Predicate is_so, deadline until = {}) {
        while (!is_so())
            if (!wait(held, until)) return is_so();
        return true;
    }

    /// Wakes the fiber that waits longest, if one does. Whether the caller holds the lock is up to the program.
    void notify_one() noexcept;
    /// Wakes all that wait now.
    void notify_all() noexcept;

private:
    bool wait(mutex& held, deadline until);

    thread_lock lock_;
    wait_queue waiting_;
};

} // namespace coir
