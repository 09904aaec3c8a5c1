// The channel keeps nothing: put() and get() wait for each other, and hand over from fiber to fiber. gevent's Channel,
// with shutdown.
//
// Who waits is served in the order of coming; of the two that meet, the one that gets goes on first. A channel must
// outlive those who wait. Any thread; T is moved from thread to thread then.
#pragma once

#include "hub/queue.h"

namespace coir {
namespace detail {

/// What does not depend on the type of the items. Any thread.
//
// A waiter's slot is where its item is (T*), or is to be put (std::optional<T>*); null once that has been done.
class COIR_API channel_base {
public:
    channel_base(channel_base const&) = delete;
    channel_base& operator=(channel_base const&) = delete;

    /// From now on putting and getting throw queue_shut_down, for those that wait too.
    void shutdown() noexcept;
    /// That was called.
    bool is_shut_down() const noexcept;

    /// Fibers that wait to put, less those that wait to get. gevent: balance.
    std::ptrdiff_t balance() const noexcept;

protected:
    /// @cond internal
    channel_base() = default;
    ~channel_base() = default;

    // The following are called with the lock held, and return so.

    // Grants the longest waiting one of the other side; null if there is none. Not one of `own`, a select() of the
    // caller's.
    static waiter* meet(wait_queue& others, waiter_group const* own = nullptr) noexcept {
        return others.empty() ? nullptr : meet_one_of(others, own);
    }
    // One of them waits that, as far as can be seen, can be granted.
    static bool somebody_in(wait_queue& others, waiter_group const* own) noexcept;
    // As meet(putters_), with the caller put into the ready queue before the one that it meets: step_aside() is to
    // follow. Null, and nothing has happened, if there is none.
    waiter* line_up_and_meet(bool& lined_up);
    // **Parks.** In a queue of the channel: false if `until` has passed, or throws queue_shut_down if that was why.
    bool wait(wait_queue& queue, waiter& one, std::unique_lock<thread_lock>& held, deadline until, char const* what);
    // Grants `one` of a select(), which is possible now.
    static bool claim(waiter& one) noexcept;
    bool leave_case(waiter& one) noexcept; // takes the lock itself; it was served

    static waiter* meet_one_of(wait_queue& others, waiter_group const* own) noexcept;

    // Without the lock: **Parks**, behind who was met, or where the caller stands in the ready queue.
    static void step_back(bool was_here) noexcept;
    static void step_aside() noexcept;

    thread_lock mutable lock_;
    wait_queue getters_;
    wait_queue putters_;
    bool shut_down_ = false;
    /// @endcond
};

} // namespace detail

/// Hands items of type T, which need only be movable, by what is noexcept, from fiber to fiber; it keeps none. They are
/// moved while others are kept out of the channel, so that must not wait. Any thread. gevent: Channel.
template <class T>
class channel : public detail::channel_base {
public:
    using value_type = T; ///< what is put and got

    /// **Parks** until a fiber gets `item`, true, or `until` has passed, false; `item` is as it was then. Throws
    /// queue_shut_down, what interrupts the caller, and would_block_forever.
    bool put(T&& item, deadline until = {}) {
        std::unique_lock held{lock_};
        if (shut_down_) throw queue_shut_down();
        if (waiter* const getter = meet(getters_)) {
            bool const here = getter->who->on_this_thread();
            hand_over(std::move(item), *getter);
            held.unlock();
            step_back(here);
            return true;
        }
        waiter one;
        one.slot = &item;
        return wait(putters_, one, held, until, "a fiber that gets");
    }
    /// The same with a copy of `item`.
    bool put(T const& item, deadline until = {}) { return put(T(item), until); }
    /// Hands it to a fiber that waits for one, true; `item` is as it was if there is none. Throws queue_shut_down.
    bool try_put(T&& item) {
        std::lock_guard held{lock_};
        if (shut_down_) throw queue_shut_down();
        waiter* const getter = meet(getters_);
        if (getter) hand_over(std::move(item), *getter);
        return getter;
    }
    /// The same with a copy of `item`.
    bool try_put(T const& item) { return try_put(T(item)); }

    /// **Parks** until a fiber puts, and returns what that puts. Throws queue_shut_down, what interrupts the caller,
    /// and would_block_forever.
    T get() { return *get(deadline{}); }
    /// The same until `until`: nothing if that has passed first.
    std::optional<T> get(deadline until) {
        std::unique_lock held{lock_};
        for (;;) {
            if (std::optional<T> kept = take_kept()) return kept;
            if (shut_down_) throw queue_shut_down();
            bool lined_up = false;
            waiter* const putter = line_up_and_meet(lined_up);
            std::optional<T> item;
            if (putter) item.emplace(take_from(*putter));
            if (lined_up) {
                held.unlock();
                step_aside();
                held.lock();
            }
            if (item) return item;
            if (lined_up) continue; // who was there had gone meanwhile
            waiter one;
            one.slot = &item;
            wait(getters_, one, held, until, "a fiber that puts");
            return item;
        }
    }
    /// Takes from a fiber that waits to put; nothing if none does. Throws queue_shut_down.
    std::optional<T> try_get() {
        std::lock_guard held{lock_};
        if (std::optional<T> kept = take_kept()) return kept;
        if (shut_down_) throw queue_shut_down();
        if (waiter* const putter = meet(putters_)) return take_from(*putter);
        return std::nullopt;
    }

    /// For select(): an item was got, and moved to `to`, which must outlive the case. select() throws queue_shut_down
    /// as get() does.
    auto on_get(T& to) noexcept { return get_case(*this, to); }
    /// For select(): `item` was put. It stays in the case until then. select() throws queue_shut_down as put() does.
    auto on_put(T item) { return put_case(*this, std::move(item)); }

    /// For a range-for: gets until the channel is shut down. Each step **Parks**, this one too, and throws what
    /// interrupts the caller, and would_block_forever.
    auto begin() { return detail::queue_iterator<channel>(*this); }
    /// The channel is shut down.
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    static void hand_over(T&& item, waiter& getter) noexcept {
        static_assert(std::is_nothrow_move_constructible_v<T>, "who is met has been granted the item when it is moved");
        static_cast<std::optional<T>*>(getter.slot)->emplace(std::move(item));
        getter.slot = nullptr;
    }
    static T take_from(waiter& putter) noexcept {
        static_assert(std::is_nothrow_move_constructible_v<T>, "who is met has been granted to put when it is moved");
        return std::move(*static_cast<T*>(std::exchange(putter.slot, nullptr)));
    }
    std::optional<T> take_kept() {
        if (kept_.empty()) return std::nullopt;
        return kept_.pop();
    }

    class get_case final : public select_case {
    public:
        get_case(channel& of, T& to) noexcept : of_(of), to_(to) {}
        bool try_now() override {
            std::optional<T> item = of_.try_get();
            if (item) to_ = std::move(*item);
            return item.has_value();
        }
        void queue(waiter& one) override {
            std::lock_guard held{of_.lock_};
            one.slot = &item_;
            if (of_.shut_down_) {
                claim(one);
            } else if (waiter* const putter = meet(of_.putters_, one.group)) {
                T item = take_from(*putter);
                if (claim(one))
                    hand_over(std::move(item), one);
                else
                    of_.kept_.push(std::move(item));
            } else {
                of_.getters_.push(one);
            }
        }
        void leave(waiter& one) noexcept override { of_.leave_case(one); }
        void complete() override {
            if (!item_) throw queue_shut_down();
            to_ = std::move(*item_);
        }
        char const* what() const noexcept override { return "a fiber that puts"; }

    private:
        channel& of_;
        T& to_;
        std::optional<T> item_;
    };

    class put_case final : public select_case {
    public:
        put_case(channel& of, T&& item) : of_(of), item_(std::move(item)) {}
        bool try_now() override { return of_.try_put(std::move(item_)); }
        void queue(waiter& one) override {
            std::lock_guard held{of_.lock_};
            one.slot = &item_;
            if (of_.shut_down_) {
                claim(one);
            } else if (!somebody_in(of_.getters_, one.group)) {
                of_.putters_.push(one);
            } else if (claim(one)) {
                one.slot = nullptr;
                if (waiter* const getter = meet(of_.getters_, one.group))
                    hand_over(std::move(item_), *getter);
                else
                    of_.kept_.push(std::move(item_));
            }
        }
        void leave(waiter& one) noexcept override { served_ = of_.leave_case(one); }
        void complete() override {
            if (!served_) throw queue_shut_down();
        }
        char const* what() const noexcept override { return "a fiber that gets"; }

    private:
        channel& of_;
        T item_;
        bool served_ = false;
    };

    // Items whose putter was told that they are taken while the select() that was to get them, on another thread, chose
    // something else in the same moment. The next that gets has them.
    detail::fifo_items<T> kept_;
};

} // namespace coir
