// Keeps other threads out for a few instructions. Every primitive that waits has one, for its queue of waiters; a fiber
// never parks and never runs a stranger's code while it holds it. Internal.
#pragma once

#include <atomic>
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
        // The last touch: whoever gets the lock may free what it lies in. notify_one uses the address only.
        if (state_.exchange(free, std::memory_order_release) == contended) [[unlikely]]
            state_.notify_one();
    }

private:
    enum : int { free, held, contended };

    [[gnu::noinline, gnu::cold]] void wait() noexcept {
        constexpr int spins = 100; // about as long as any holder takes
        for (int i = 0; i < spins; ++i) {
            int seen = free;
            if (state_.load(std::memory_order_relaxed) == free &&
                state_.compare_exchange_weak(seen, held, std::memory_order_acquire, std::memory_order_relaxed))
                return;
            __builtin_ia32_pause();
        }
        while (state_.exchange(contended, std::memory_order_acquire) != free)
            state_.wait(contended, std::memory_order_relaxed);
    }

    std::atomic<int> state_{free};
};

} // namespace coir
