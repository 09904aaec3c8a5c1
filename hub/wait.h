// Waiting for several things: joinall, iwait and wait, over fibers, events, semaphores and results alike.
//
// Events and the like must outlive the wait; fibers are kept. Any thread.
#pragma once

#include "hub/fiber.h"
#include "hub/source.h"

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <mutex>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

namespace coir {

/// Anything that wait() and iwait() take, by conversion: a fiber, an event, a semaphore, a result, a latch. Any thread.
class COIR_API waitable {
public:
    /// The end of `fiber`, of which it is another handle.
    waitable(any_fiber const& fiber) noexcept : waitable(static_cast<source&>(fiber.control_block())) {}
    /// That `what` is ready. It must outlive this, unless it is counted.
    waitable(source& what) noexcept : of_(&what) { of_->retain_source(); }
    /// The same thing.
    waitable(waitable const& other) noexcept : waitable(*other.of_) {}
    /// From now on the same thing as `other`.
    waitable& operator=(waitable const& other) noexcept {
        other.of_->retain_source();
        std::exchange(of_, other.of_)->release_source();
        return *this;
    }
    /// Lets go of it; a fiber, as any_fiber does.
    ~waitable() { of_->release_source(); }

    /// Who asks now would not have to wait.
    bool ready() const noexcept {
        std::lock_guard held{of_->lock};
        return of_->is_ready();
    }
    /// They stand for the same thing.
    bool operator==(waitable const& other) const noexcept = default;

private:
    friend class completion_order;
    source* of_;
};

/// How long, and for how many, several things are waited for.
struct wait_options {
    /// Not longer than this.
    deadline until{};
    std::size_t count = std::numeric_limits<std::size_t>::max(); ///< enough when so many are ready
};

/// What iwait() walks along: the order in which things become ready. For the fiber that made it.
class COIR_API completion_order : waiter_group {
public:
    /// Begins to look out for all of `of`. Throws what hub::current throws, and std::logic_error in a hub's own
    /// callback. Allocates.
    completion_order(std::vector<waitable> of, wait_options options);
    completion_order(completion_order const&) = delete;
    completion_order& operator=(completion_order const&) = delete;
    /// Looks out for them no more.
    ~completion_order();

    /// **Parks.** The place, in what it was made of, of the next that is ready; none when it has been enough, or the
    /// deadline has passed. Throws what interrupts the caller, and would_block_forever.
    std::optional<std::size_t> next();

private:
    struct node : waiter {
        node* next_ready = nullptr;
    };
    bool take(waiter& one) noexcept override;
    void append(node& ready) noexcept;

    std::vector<waitable> const of_;
    std::vector<node> nodes_;
    thread_lock lock_; // of what follows; taken under those of the sources
    node* first_ready_ = nullptr;
    node** last_ready_ = &first_ready_;
    bool sleeps_ = false;
    std::uint32_t epoch_ = 0; // of that sleep
    context& who_;
    hub& home_;
    std::size_t left_;
    deadline const until_;
};

/// The things of a range as they become ready, each once: what iwait() returns, for a range-for. It stays where it was
/// made, and is for the fiber that made it.
template <class Thing>
class completions {
public:
    /// Keeps `things`. Throws as completion_order's constructor.
    completions(std::vector<Thing> things, wait_options options)
        : things_(std::move(things)), order_({things_.begin(), things_.end()}, options) {}

    /// Single pass: one iterator at a time.
    class iterator {
    public:
        using value_type = Thing;               ///< what the range was made of
        using difference_type = std::ptrdiff_t; ///< for the standard library

        /// **Parks.** At the first that is ready. Throws as operator++.
        explicit iterator(completions& of) : of_(&of), place_(of.order_.next()) {}
        /// What has become ready. Valid as long as the range.
        Thing& operator*() const noexcept { return of_->things_[*place_]; }
        /// The same.
        Thing* operator->() const noexcept { return &**this; }
        /// **Parks.** To the next that is ready. Throws what interrupts the caller, and would_block_forever.
        iterator& operator++() {
            place_ = of_->order_.next();
            return *this;
        }
        /// The same; there is no former place to return.
        void operator++(int) { ++*this; }
        /// It has been enough, or the deadline has passed.
        bool operator==(std::default_sentinel_t) const noexcept { return !place_; }

    private:
        completions* of_;
        std::optional<std::size_t> place_;
    };

    /// **Parks.** At the first that is ready, or, begun again, the next. Throws what interrupts the caller, and
    /// would_block_forever.
    iterator begin() { return iterator(*this); }
    /// It has been enough, or the deadline has passed.
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    std::vector<Thing> things_;
    completion_order order_;
};

/// A range of what is convertible to waitable.
template <class Range>
concept waitable_range =
    std::ranges::input_range<Range> && std::convertible_to<std::ranges::range_reference_t<Range>, waitable>;

/// The elements of `things` in the order in which they become ready; those that are ready already first. It does not
/// wait, but each step along what it returns **Parks** and throws (completions::iterator). Throws what hub::current
/// throws, and std::logic_error in a hub's own callback. Allocates. Any thread, for the fiber that calls it.
template <waitable_range Things>
auto iwait(Things&& things, wait_options options = {}) {
    return completions<std::ranges::range_value_t<Things>>({std::ranges::begin(things), std::ranges::end(things)},
                                                           options);
}
/// The same for things of several kinds: `iwait({fiber, event})`.
inline completions<waitable> iwait(std::initializer_list<waitable> things, wait_options options = {}) {
    return {std::vector<waitable>(things), options};
}

/// **Parks.** Until all of `things`, or `options.count` of them, are ready or `options.until` has passed: those that
/// are, in the order in which they became so. Throws what interrupts the caller, and would_block_forever. Allocates.
/// Any thread.
template <waitable_range Things>
auto wait(Things&& things, wait_options options = {}) {
    std::vector<std::ranges::range_value_t<Things>> ready;
    for (auto& each : iwait(things, options)) ready.push_back(each);
    return ready;
}
/// The same for things of several kinds: `wait({fiber, event})`.
inline std::vector<waitable> wait(std::initializer_list<waitable> things, wait_options options = {}) {
    std::vector<waitable> ready;
    for (waitable& each : iwait(things, options)) ready.push_back(each);
    return ready;
}

/// **Parks.** Until the other fibers of the thread have ended, or none of them can ever go on: true; false when `until`
/// has passed first. Throws what interrupts the caller. Any thread. gevent: wait() without objects.
inline bool wait(deadline until = {}) { return hub::current().join(until); }

/// How long, and for how many, fibers are joined.
struct join_options {
    deadline until{};         ///< not longer than this
    bool raise_error = false; ///< throw the first exception that one of them ends with
    std::size_t count = std::numeric_limits<std::size_t>::max(); ///< enough when so many have ended
};

/// **Parks.** Until all of them have ended; what they ended with stays with them. Throws what join throws. Any thread.
template <fiber_range Fibers>
void joinall(Fibers const& all) {
    for (any_fiber const& each : all) each.join();
}
/// The same for fibers of several kinds: `joinall({a, b})`.
inline void joinall(std::initializer_list<any_fiber> all) {
    for (any_fiber const& each : all) each.join();
}

/// **Parks.** The same with a deadline, for a number of them, or with the first exception: those that have ended, in
/// that order. Throws what interrupts the caller, would_block_forever and, if it is told to, what a fiber ended with:
/// the others go on then. Allocates. Any thread.
template <fiber_range Fibers>
auto joinall(Fibers const& all, join_options options) {
    std::vector<std::ranges::range_value_t<Fibers>> ended;
    for (auto& each : iwait(all, {options.until, options.count})) {
        if (std::exception_ptr const error = options.raise_error ? each.exception() : nullptr)
            std::rethrow_exception(error);
        ended.push_back(each);
    }
    return ended;
}
/// The same for fibers of several kinds: `joinall({a, b}, {.until = 5s})`.
inline std::vector<any_fiber> joinall(std::initializer_list<any_fiber> all, join_options options) {
    return joinall(std::vector<any_fiber>(all), options);
}

} // namespace coir
