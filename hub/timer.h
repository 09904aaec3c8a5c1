// The deadlines of one hub: a four-way heap of absolute nanoseconds. libev's own timers count in floating-point seconds
// from a cached clock and are waited for in whole milliseconds; these are exact, and the loop waits for the nearest one
// through a timerfd.
//
// A timer may be late: by the thread's timer slack, as the kernel's sleeps are (prctl(2), PR_SET_TIMERSLACK: 50 us), or
// by a thousandth of the time that it was set ahead, as the timeouts of its poll and epoll_wait are (fs/select.c,
// select_estimate_accuracy), but not by more than a millisecond. So the deadlines of ten thousand connections do not
// make ten thousand rounds of the loop. The heap is ordered by the last moment of each, and fires together what may go;
// as the kernel's hrtimers do.
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
    std::uint32_t id = unset;               // the heap's number for it
    timer* next_aside = nullptr;            // the heap's, for one that is in the list …
    std::int64_t at_aside = 0;              // … and its deadline

    static constexpr std::uint32_t unset = std::numeric_limits<std::uint32_t>::max();
    static constexpr std::uint32_t aside = unset - 1; // in the list
    bool set() const noexcept { return id != unset; }
};

class timer_heap {
public:
    static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();

    /// Timers may be late by `least_slack` ns, and as said above. `now` is the steady clock's.
    explicit timer_heap(std::int64_t least_slack = 0, std::int64_t now = 0) noexcept
        : least_slack_(least_slack), now_(now) {}

    bool empty() const noexcept { return heap_.empty() && !aside_; }
    std::size_t size() const noexcept { return heap_.size() + count_aside(); }

    /// From when on there is something for fire_due() to do; none if there are no timers.
    std::int64_t nearest() const noexcept {
        std::int64_t const at = heap_.empty() ? none : heap_.front().deadline();
        return aside_ ? nearest_aside(at) : at;
    }
    /// When it must be done at the latest.
    std::int64_t latest() const noexcept {
        std::int64_t const at = heap_.empty() ? none : heap_.front().latest;
        return aside_ ? nearest_aside(at) : at;
    }

    /// `due` must not be set.
    void set(timer& due, std::int64_t at) noexcept;
    void cancel(timer& set) noexcept;

    /// Takes out and fires, in the order of their last moments, the timers whose deadlines are not after `now`, up to
    /// the first that can wait. Timers set meanwhile wait for the next call.
    void fire_due(std::int64_t now) noexcept;

    /// Cancels all but those that survive a fork in `forking`.
    void clear(void const* forking) noexcept;

private:
    // The owners lie on the stacks of those who wait, a line of memory each: moving an entry must not touch them. So
    // the heap's places are kept here, by number.
    struct entry {
        std::int64_t latest;
        std::uint64_t order;
        std::uint32_t slack; // ns
        std::uint32_t id;
        std::int64_t deadline() const noexcept { return latest - slack; }
        bool before(entry const& other) const noexcept {
            return latest != other.latest ? latest < other.latest : order < other.order;
        }
    };

    void place(std::size_t slot, entry const& what) noexcept;
    void rise(std::size_t slot, entry const& what) noexcept;
    void sink(std::size_t slot, entry const& what) noexcept;

    std::size_t count_aside() const noexcept;
    std::int64_t nearest_aside(std::int64_t at) const noexcept;
    void leave_aside(timer& one) noexcept;
    void take_in_aside() noexcept;

    void make_room();
    std::uint32_t slack_until(std::int64_t at) const noexcept;

    std::vector<entry> heap_;
    std::vector<std::uint32_t>
        slots_;                  // by number: where in the heap it is; of a number that is free, the next free one
    std::vector<timer*> owners_; // by number
    std::uint32_t free_ = timer::unset;
    std::uint64_t next_order_ = 0;
    std::int64_t least_slack_;
    std::int64_t now_;       // when it was last looked
    timer* aside_ = nullptr; // newest first
};

} // namespace coir
