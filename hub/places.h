// A number of places that are taken and given back, first come first served: what limits a pool. Internal.
//
// For any thread, under the lock of whom it belongs to.
#pragma once

#include "fiber/thread_lock.h"
#include "hub/deadline.h"
#include "hub/waiter.h"

#include <cstddef>
#include <limits>
#include <mutex>

namespace coir::detail {

class COIR_API places {
public:
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max(); // stays so, whatever is taken

    /// `what`, a literal, says in reports what is waited for.
    places(std::size_t count, char const* what) noexcept : free_(count), what_(what) {}

    /// **Parks** while none is free, or would go to who waits already: true, or false when `until` has passed first.
    /// Throws what interrupts the caller, and would_block_forever. `held` is the lock, also after throwing.
    bool take(std::unique_lock<thread_lock>& held, deadline until = {});
    bool try_take() noexcept;
    /// **Parks** likewise, and takes none.
    bool wait(std::unique_lock<thread_lock>& held, deadline until);

    void give_back() noexcept;

    std::size_t free() const noexcept { return free_; }

private:
    std::size_t free_; // above 0 only while nobody waits to take
    wait_queue waiting_;
    char const* const what_;
};

} // namespace coir::detail
