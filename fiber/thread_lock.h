// Keeps other threads out for a few instructions. Every primitive that waits has one, for its queue of waiters; a fiber
// never parks and never runs a stranger's code while it holds it. It blocks the thread, past every hook (futex.h).
// Internal.
#pragma once

#include "fiber/export.h"

#include <atomic>
#include <mutex>
#include <sys/single_threaded.h>

namespace coir {

/// While the process has one thread (glibc 2.32: __libc_single_threaded) locking is a store: fibers of one thread are
/// never interrupted. Otherwise one exchange, and a futex for those who come in between.
class thread_lock {
public:
    void lock() noexcept {
        if (__libc_single_threaded) [[likely]]
            return state_.store(held, std::memory_order_relaxed);
        int seen = free;
        if (!state_.compare_exchange_strong(seen, held, std::memory_order_acquire, std::memory_order_relaxed))
            [[unlikely]]
            wait();
    }

    void unlock() noexcept {
        if (__libc_single_threaded) [[likely]]
            return state_.store(free, std::memory_order_relaxed);
        // The last touch: whoever gets the lock may free what it lies in. wake_one uses the address only.
        if (state_.exchange(free, std::memory_order_release) == contended) [[unlikely]]
            wake_one();
    }

private:
    enum : int { free, held, contended };

    COIR_API void wait() noexcept;
    COIR_API void wake_one() noexcept;

    std::atomic<int> state_{free};
};

/// What threads of ours that are no fibers wait with: a condition variable. Returns without a reason at times.
class thread_condition {
public:
    /// Blocks the thread. `held` is free meanwhile, and held again afterwards.
    COIR_API void wait(std::unique_lock<thread_lock>& held) noexcept;
    /// Under the lock.
    COIR_API void notify_one() noexcept;
    COIR_API void notify_all() noexcept;

private:
    void notify(int count) noexcept;

    std::atomic<int> changes_{0};
};

} // namespace coir
