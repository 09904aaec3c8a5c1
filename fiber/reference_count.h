// How many hold on to something. Internal.
#pragma once

#include <atomic>
#include <cstdint>
#include <sys/single_threaded.h>

namespace coir {

/// Counts on any thread, and in handlers of signals. While the process has one thread (glibc 2.32:
/// __libc_single_threaded) without a lock: a locked instruction costs as much as a switch, and the making of a fiber
/// counts three times.
class reference_count {
public:
    /// Who acts on it, because it is 1, sees what the others wrote before they let go.
    std::uint32_t now() const noexcept { return count_.load(std::memory_order_acquire); }

    void add() noexcept {
        if (__libc_single_threaded) [[likely]]
            add_alone(1);
        else
            count_.fetch_add(1, std::memory_order_relaxed);
    }

    /// Returns how many there were before: 1 for the last.
    std::uint32_t drop() noexcept {
        if (__libc_single_threaded) [[likely]]
            return add_alone(std::uint32_t(-1));
        return count_.fetch_sub(1, std::memory_order_acq_rel);
    }

private:
    // One instruction: a handler runs before it or after it.
    std::uint32_t add_alone(std::uint32_t what) noexcept {
#if defined(__x86_64__)
        asm volatile("xaddl %0, %1" : "+r"(what), "+m"(count_) : : "memory", "cc");
        return what;
#else
        return count_.fetch_add(what, std::memory_order_acq_rel);
#endif
    }

    std::atomic<std::uint32_t> count_{1}; // the maker's
};

} // namespace coir
