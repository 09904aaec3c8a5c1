#include "hub/thread_lock.h"

namespace coir {

void thread_lock::wait() noexcept {
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

void thread_lock::wake_one() noexcept { state_.notify_one(); }

} // namespace coir
