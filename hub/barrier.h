// Barriers and latches: fibers that wait for each other, each time anew, and fibers that wait for a number of things to
// happen, once.
//
// They must outlive those who wait. Any thread.
#pragma once

#include "hub/deadline.h"
#include "hub/source.h"

#include <cstddef>
#include <stdexcept>

namespace coir {

/// A fiber has given up waiting at a barrier, so that it can never be full.
class COIR_API broken_barrier : public std::runtime_error {
public:
    /// what() says so.
    broken_barrier();
};

/// `parties` fibers wait until all have arrived; then it begins anew. Any thread. Python's threading.Barrier.
class COIR_API barrier {
public:
    /// For `parties` fibers. Throws std::invalid_argument for 0.
    explicit barrier(std::size_t parties);
    barrier(barrier const&) = delete;
    barrier& operator=(barrier const&) = delete;

    /// **Parks** unless it is the last to arrive. Returns how many were still missing: 0 for the last. If one that
    /// waits is interrupted or `until` passes, the barrier is broken: broken_barrier for all who wait, or come, until
    /// reset(). Throws that, what interrupts the caller, and would_block_forever.
    std::size_t arrive_and_wait(deadline until = {});

    /// Breaks it: who waits gets broken_barrier.
    void abort() noexcept;
    /// Breaks it for those who wait, and makes it usable again.
    void reset() noexcept;
    /// Somebody gave up waiting, or called abort(), since the last reset().
    bool broken() const noexcept;
    /// Fibers that wait now.
    std::size_t waiting() const noexcept;
    /// How many have to arrive.
    std::size_t parties() const noexcept { return parties_; }

private:
    struct arrival;
    void break_up() noexcept;

    thread_lock mutable lock_;
    wait_queue waiting_;
    std::size_t const parties_;
    std::size_t arrived_ = 0;
    bool broken_ = false;
};

/// Counts down to 0 and stays there; std::latch for fibers. Also for wait() and iwait(). Any thread.
class COIR_API latch : public source {
public:
    /// `count` is left.
    explicit latch(std::size_t count) noexcept : left_(count) {}

    /// `by` less is left; at 0 all who wait go on. Throws std::logic_error if that is more than is left.
    void count_down(std::size_t by = 1);
    /// It has come to 0.
    bool try_wait() const noexcept;
    /// **Parks** until it has, true, or `until` has passed, false. Throws what interrupts the caller, and
    /// would_block_forever.
    bool wait(deadline until = {});
    /// **Parks** as wait(), after count_down(), and throws what both throw.
    bool arrive_and_wait(deadline until = {}) {
        count_down();
        return wait(until);
    }

private:
    bool is_ready() const noexcept override { return left_ == 0; }
    std::size_t left_; // under the lock
};

} // namespace coir
