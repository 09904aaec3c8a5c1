#include "fiber/thread_lock.h"

#include "fiber/futex.h"

#include <climits>

namespace coir {
namespace {

// Leaves the core to its other thread for a moment.
inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

} // namespace

void thread_lock::wait() noexcept {
    constexpr int spins = 100; // about as long as any holder takes
    for (int i = 0; i < spins; ++i) {
        int seen = free;
        if (state_.load(std::memory_order_relaxed) == free &&
            state_.compare_exchange_weak(seen, held, std::memory_order_acquire, std::memory_order_relaxed))
            return;
        relax();
    }
    while (state_.exchange(contended, std::memory_order_acquire) != free) futex_wait(state_, contended);
}

void thread_lock::wake_one() noexcept { futex_wake(state_, 1); }

void thread_condition::wait(std::unique_lock<thread_lock>& held) noexcept {
    int const seen = changes_.load(std::memory_order_relaxed);
    held.unlock();
    futex_wait(changes_, seen);
    held.lock();
}

void thread_condition::notify(int count) noexcept {
    changes_.fetch_add(1, std::memory_order_relaxed);
    futex_wake(changes_, count);
}

void thread_condition::notify_one() noexcept { notify(1); }
void thread_condition::notify_all() noexcept { notify(INT_MAX); }

} // namespace coir
