// The deadlines of one hub: a four-way heap of absolute nanoseconds, ordered by the deadline and, where two agree, by
// who came first. libev's own timers count in floating-point seconds from a cached clock and are waited for in whole
// milliseconds; these are exact, and the loop waits for the nearest one through a timerfd.
//
// One thread only. Setting and cancelling are O(log n); memory grows with the number of timers and is kept. Setting
// never fails: timers for which there is no memory stand aside in a list, each linked by itself, until there is some.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace coir {

/// One deadline. Lies with its owner, who cancels it before it goes.
struct timer {
    using action = void (*)(timer& due) noexcept;

    explicit timer(action what) noexcept : fire(what) {}
    timer(timer const&) = delete;
    timer& operator=(timer const&) = delete;

    action fire;                            // runs on the hub's loop, after the timer has left the heap
    void const* survives_fork_in = nullptr; // the fiber that it goes on for in a child that this one forked
    std::size_t slot = unset;
    timer* next_aside = nullptr; // the heap's, for one that is in the list …
    std::int64_t at_aside = 0;   // … and its deadline

    static constexpr std::size_t unset = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t aside = unset - 1; // in the list
    bool set() const noexcept { return slot != unset; }
};

class timer_heap {
public:
    static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();

    bool empty() const noexcept { return heap_.empty() && !aside_; }
    std::size_t size() const noexcept { return heap_.size() + count_aside(); }

    /// The earliest deadline, or none.
    std::int64_t nearest() const noexcept {
        std::int64_t const at = heap_.empty() ? none : heap_.front().at;
        return aside_ ? nearest_aside(at) : at;
    }

    /// `due` must not be set.
    void set(timer& due, std::int64_t at) noexcept;
    void cancel(timer& set) noexcept;

    /// Takes out and fires every timer whose deadline is not after `now`. Timers set meanwhile wait for the next call.
    void fire_due(std::int64_t now) noexcept;

    /// Cancels all but those that survive a fork in `forking`.
    void clear(void const* forking) noexcept;

private:
    struct entry {
        std::int64_t at;
        std::uint64_t order;
        timer* owner;
        bool before(entry const& other) const noexcept { return at != other.at ? at < other.at : order < other.order; }
    };

    void place(std::size_t slot, entry const& what) noexcept;
    void rise(std::size_t slot, entry const& what) noexcept;
    void sink(std::size_t slot, entry const& what) noexcept;

    std::size_t count_aside() const noexcept;
    std::int64_t nearest_aside(std::int64_t at) const noexcept;
    void leave_aside(timer& one) noexcept;
    void take_in_aside() noexcept;

    std::vector<entry> heap_;
    std::uint64_t next_order_ = 0;
    timer* aside_ = nullptr; // newest first
};

} // namespace coir
