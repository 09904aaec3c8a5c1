// How many hold on to something. Internal.
#pragma once

#include <atomic>
#include <cstdint>
#include <sys/single_threaded.h>

namespace coir {

/// Counts on any thread. While the process has one (glibc 2.32: __libc_single_threaded) by a load and a store: a locked
/// instruction costs as much as a switch, and the making of a fiber counts three times.
class reference_count {
public:
    /// Who acts on it, because it is 1, sees what the others wrote before they let go.
    std::uint32_t now() const noexcept { return count_.load(std::memory_order_acquire); }

    void add() noexcept {
        if (__libc_single_threaded) [[likely]]
            return count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        count_.fetch_add(1, std::memory_order_relaxed);
    }

    /// Returns how many there were before: 1 for the last.
    std::uint32_t drop() noexcept {
        if (!__libc_single_threaded) return count_.fetch_sub(1, std::memory_order_acq_rel);
        std::uint32_t const before = count_.load(std::memory_order_relaxed);
        count_.store(before - 1, std::memory_order_relaxed);
        return before;
    }

private:
    std::atomic<std::uint32_t> count_{1}; // the maker's
};

} // namespace coir
