// Queues: first in first out, last in first out, by priority, with a count of unfinished work, and the channel, which
// keeps nothing and hands over from fiber to fiber. gevent.queue's, with shutdown as Python 3.13 has it.
//
// Who waits to get or to put is served in the order of coming, and an item that was handed over to a fiber is that
// fiber's: a kill or timeout that comes in the same moment waits for the fiber's next wait, so nothing is lost. A queue
// must outlive those who wait. Any thread; T is moved from thread to thread then.
#pragma once

#include "hub/deadline.h"
#include "hub/select_case.h"
#include "hub/waiter.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <limits>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace coir {

/// The queue was shut down: nothing can be put any more, and nothing is left to get.
class COIR_API queue_shut_down : public std::runtime_error {
public:
    queue_shut_down();
};

namespace detail {

template <class T>
class fifo_items {
public:
    bool empty() const noexcept { return items_.empty(); }
    std::size_t size() const noexcept { return items_.size(); }
    void push(T&& last) { items_.push_back(std::move(last)); }
    T const& front() const noexcept { return items_.front(); }
    T pop() {
        T first = std::move(items_.front());
        items_.pop_front();
        return first;
    }
    void clear() noexcept { items_.clear(); }

private:
    std::deque<T> items_;
};

template <class T>
class lifo_items {
public:
    bool empty() const noexcept { return items_.empty(); }
    std::size_t size() const noexcept { return items_.size(); }
    void push(T&& last) { items_.push_back(std::move(last)); }
    T const& front() const noexcept { return items_.back(); }
    T pop() {
        T last = std::move(items_.back());
        items_.pop_back();
        return last;
    }
    void clear() noexcept { items_.clear(); }

private:
    std::vector<T> items_;
};

// A heap; of equal items the one that came first.
template <class T, class Compare>
class priority_items {
public:
    explicit priority_items(Compare compare = {}) : later_{std::move(compare)} {}
    bool empty() const noexcept { return heap_.empty(); }
    std::size_t size() const noexcept { return heap_.size(); }
    void push(T&& item) {
        heap_.push_back({std::move(item), next_order_++});
        std::push_heap(heap_.begin(), heap_.end(), later_);
    }
    T const& front() const noexcept { return heap_.front().item; }
    T pop() {
        std::pop_heap(heap_.begin(), heap_.end(), later_);
        T first = std::move(heap_.back().item);
        heap_.pop_back();
        return first;
    }
    void clear() noexcept { heap_.clear(); }

private:
    struct entry {
        T item;
        std::uint64_t order;
    };
    struct later {
        Compare compare;
        bool operator()(entry const& one, entry const& other) const {
            if (compare(other.item, one.item)) return true;
            return !compare(one.item, other.item) && other.order < one.order;
        }
    };
    std::vector<entry> heap_;
    std::uint64_t next_order_ = 0;
    later later_;
};

// What does not depend on the type of the items.
class COIR_API queue_base {
public:
    queue_base(queue_base const&) = delete;
    queue_base& operator=(queue_base const&) = delete;

    /// Nothing can be put from now on: who waits to put, or tries, gets queue_shut_down; what is in it can still be
    /// got, and then getting throws queue_shut_down too. Any thread.
    void shutdown() noexcept;
    bool is_shut_down() const noexcept;

    /// Fibers that wait to put, less those that wait to get.
    std::ptrdiff_t balance() const noexcept;

protected:
    queue_base() = default;
    ~queue_base() = default;

    // Waits in one of the queues, already looked at under the lock.
    bool wait_to_get(waiter& one, std::unique_lock<thread_lock>& held, deadline until);
    bool wait_to_put(waiter& one, std::unique_lock<thread_lock>& held, deadline until);
    // The next that waits to put and can still be granted, now granted; null if there is none. Not one of `group`.
    waiter* next_putter(waiter_group const* group) noexcept;
    // Somebody waits to get and, as far as can be seen, still can be granted. Not one of `group`.
    bool somebody_gets(waiter_group const* group) noexcept;
    // After an item was handed to a fiber of this thread: lets that run first.
    static void step_back() noexcept;
    static bool grant_to(waiter& one) noexcept;
    [[noreturn]] static void throw_shut_down();

    thread_lock mutable lock_;
    wait_queue getters_; // there is nothing that they could get
    wait_queue putters_; // there is no room for what they bring
    bool shut_down_ = false;
};

} // namespace detail

/// What all queues have in common. `Items` is what keeps the items.
template <class T, class Items>
class basic_queue : public detail::queue_base {
public:
    using value_type = T;

    /// Takes `maxsize` items; 0: any number.
    explicit basic_queue(std::size_t maxsize = 0, Items items = {})
        : items_(std::move(items)), limit_(maxsize ? maxsize : unlimited) {}

    /// **Parks** while the queue is full: until there is room, true, or `until` has passed, false; `item` is as it was
    /// then. Throws queue_shut_down, what interrupts the caller, and would_block_forever.
    bool put(T&& item, deadline until = {}) { return put_item(item, until); }
    bool put(T const& item, deadline until = {}) {
        T copy(item);
        return put_item(copy, until);
    }
    /// Puts it if that is possible at once. `item` is as it was otherwise. Throws queue_shut_down.
    bool try_put(T&& item) { return try_put_item(item); }
    bool try_put(T const& item) {
        T copy(item);
        return try_put_item(copy);
    }

    /// **Parks** while the queue is empty. Throws queue_shut_down, what interrupts the caller, and would_block_forever.
    T get() { return *take(deadline{}, false); }
    /// The same until `until`: nothing if that has passed.
    std::optional<T> get(deadline until) { return take(until, false); }
    /// What get() would return, if it can at once. Throws queue_shut_down.
    std::optional<T> try_get() { return try_take(false); }

    /// As get(), with a copy of the item, which stays.
    T peek() requires std::copy_constructible<T> { return *take(deadline{}, true); }
    std::optional<T> peek(deadline until) requires std::copy_constructible<T> { return take(until, true); }
    std::optional<T> try_peek() requires std::copy_constructible<T> { return try_take(true); }

    std::size_t size() const noexcept {
        std::lock_guard held{lock_};
        return items_.size();
    }
    bool empty() const noexcept { return size() == 0; }
    bool full() const noexcept {
        std::lock_guard held{lock_};
        return items_.size() >= limit_;
    }
    /// 0: any number.
    std::size_t maxsize() const noexcept {
        std::lock_guard held{lock_};
        return limit_ == unlimited ? 0 : limit_;
    }

    /// Shuts down, and drops what is in it.
    void shutdown_now() noexcept {
        std::unique_lock held{lock_};
        Items const dropped(std::move(items_)); // destroyed without the lock
        items_.clear();
        held.unlock();
        shutdown();
    }

    /// For select(): an item was got, and moved to `to`.
    auto on_get(T& to) noexcept { return get_case(*this, to); }
    /// For select(): `item` was put. A copy or what was moved here stays in the case until then.
    auto on_put(T item) { return put_case(*this, std::move(item)); }

    /// Gets until the queue is shut down and empty; each step **Parks.**
    class iterator {
    public:
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        explicit iterator(basic_queue& of) : of_(&of), item_(of.next()) {}
        T& operator*() const noexcept { return *item_; }
        iterator& operator++() {
            item_ = of_->next();
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const noexcept { return !item_; }

    private:
        basic_queue* of_;
        std::optional<T> mutable item_;
    };
    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

protected:
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
    struct rendezvous {};
    explicit basic_queue(rendezvous) : limit_(0) {}

    std::size_t unfinished_ = 0; // items that came in, for joinable_queue; under the lock

private:
    void keep(T&& item) {
        items_.push(std::move(item));
        ++unfinished_;
    }

    // Hands `item` to who waits for one, or keeps it. The caller holds the lock.
    bool give(T& item, bool& handed_over) {
        while (!getters_.empty()) {
            waiter& one = getters_.pop();
            if (!grant_to(one)) continue;
            auto& slot = *static_cast<std::optional<T>*>(one.slot);
            if constexpr (std::is_copy_constructible_v<T>) {
                if (!one.takes) {
                    slot.emplace(item);
                    continue;
                }
            }
            slot.emplace(std::move(item));
            ++unfinished_;
            return handed_over = true;
        }
        if (items_.size() >= limit_) return false;
        keep(std::move(item));
        return true;
    }

    // An item, from what is kept or from who waits to put. The caller holds the lock.
    std::optional<T> receive(waiter_group const* group, bool peek) {
        if (!items_.empty()) {
            if constexpr (std::is_copy_constructible_v<T>)
                if (peek) return items_.front();
            std::optional<T> item(items_.pop());
            admit();
            return item;
        }
        if (peek || limit_ != 0) return std::nullopt;
        waiter* const putter = next_putter(group);
        if (!putter) return std::nullopt;
        ++unfinished_;
        return std::move(*static_cast<T*>(std::exchange(putter->slot, nullptr)));
    }

    // Takes in what fibers wait to put, as far as there is room.
    void admit() {
        while (!putters_.empty() && items_.size() < limit_)
            if (waiter* const putter = next_putter(nullptr))
                keep(std::move(*static_cast<T*>(std::exchange(putter->slot, nullptr))));
    }

    bool put_item(T& item, deadline until) {
        bool handed_over = false;
        std::unique_lock held{lock_};
        if (shut_down_) throw_shut_down();
        if (give(item, handed_over)) {
            held.unlock();
            if (limit_ == 0 && handed_over) step_back();
            return true;
        }
        waiter one;
        one.slot = &item;
        if (!wait_to_put(one, held, until)) return false;
        if (one.slot) throw_shut_down();
        return true;
    }

    bool try_put_item(T& item) {
        bool handed_over = false;
        std::lock_guard held{lock_};
        if (shut_down_) throw_shut_down();
        return give(item, handed_over);
    }

    std::optional<T> take(deadline until, bool peek) {
        std::unique_lock held{lock_};
        std::optional<T> item = receive(nullptr, peek);
        if (item) return item;
        if (shut_down_) throw_shut_down();
        waiter one;
        one.slot = &item;
        one.takes = !peek;
        if (wait_to_get(one, held, until) && !item) throw_shut_down();
        return item;
    }

    std::optional<T> try_take(bool peek) {
        std::lock_guard held{lock_};
        std::optional<T> item = receive(nullptr, peek);
        if (!item && shut_down_) throw_shut_down();
        return item;
    }

    std::optional<T> next() {
        try {
            return get();
        } catch (queue_shut_down const&) {
            return std::nullopt;
        }
    }

    class get_case final : public select_case {
    public:
        get_case(basic_queue& of, T& to) noexcept : of_(of), to_(to) {}

        bool try_now() override {
            held_ = of_.try_take(false);
            if (!held_) return false;
            to_ = std::move(*held_);
            return true;
        }
        void queue(waiter& one) override {
            std::lock_guard held{of_.lock_};
            one.slot = &held_;
            if (!of_.items_.empty()) {
                if (grant_to(one)) held_ = of_.receive(nullptr, false);
            } else if (std::optional<T> item = of_.receive(one.group, false)) {
                if (grant_to(one))
                    held_ = std::move(item);
                else
                    of_.items_.push(std::move(*item)); // another case has won meanwhile: the next that gets has it
            } else if (of_.shut_down_) {
                grant_to(one);
            } else {
                of_.getters_.push(one);
            }
        }
        void leave(waiter& one) noexcept override {
            std::lock_guard held{of_.lock_};
            if (one.queued()) one.unlink();
        }
        void complete() override {
            if (!held_) throw_shut_down();
            to_ = std::move(*held_);
        }
        char const* what() const noexcept override { return "queue"; }

    private:
        basic_queue& of_;
        T& to_;
        std::optional<T> held_;
    };

    class put_case final : public select_case {
    public:
        put_case(basic_queue& of, T&& item) : of_(of), item_(std::move(item)) {}

        bool try_now() override { return of_.try_put_item(item_); }
        void queue(waiter& one) override {
            std::lock_guard held{of_.lock_};
            one.slot = &item_;
            if (of_.shut_down_) {
                grant_to(one);
            } else if (of_.items_.size() >= of_.limit_ && !of_.somebody_gets(one.group)) {
                of_.putters_.push(one);
            } else if (grant_to(one)) {
                bool handed_over;
                if (!of_.give(item_, handed_over)) of_.keep(std::move(item_)); // who waited was late: the next has it
                one.slot = nullptr;
            }
        }
        void leave(waiter& one) noexcept override {
            std::lock_guard held{of_.lock_};
            if (one.queued()) one.unlink();
            refused_ = one.slot != nullptr;
        }
        void complete() override {
            if (refused_) throw_shut_down();
        }
        char const* what() const noexcept override { return "room in a queue"; }

    private:
        basic_queue& of_;
        T item_;
        bool refused_ = false;
    };

    Items items_;
    std::size_t limit_;
};

/// First in, first out.
template <class T>
class queue : public basic_queue<T, detail::fifo_items<T>> {
public:
    using basic_queue<T, detail::fifo_items<T>>::basic_queue;
};

/// Last in, first out.
template <class T>
class lifo_queue : public basic_queue<T, detail::lifo_items<T>> {
public:
    using basic_queue<T, detail::lifo_items<T>>::basic_queue;
};

/// The least first, as `Compare` has it; of equal ones the one that came first.
template <class T, class Compare = std::less<T>>
class priority_queue : public basic_queue<T, detail::priority_items<T, Compare>> {
public:
    explicit priority_queue(std::size_t maxsize = 0, Compare compare = {})
        : basic_queue<T, detail::priority_items<T, Compare>>(maxsize, detail::priority_items<T, Compare>(compare)) {}
};

/// A queue() that knows how much of what came in has been done.
template <class T>
class joinable_queue : public queue<T> {
public:
    using queue<T>::queue;

    /// What one get() brought is done. Throws std::logic_error if that has been said of all that came in.
    void task_done() {
        std::lock_guard held{this->lock_};
        if (this->unfinished_ == 0) throw std::logic_error("task_done: called more often than items were put");
        if (--this->unfinished_ == 0) all_done_.notify_all();
    }
    /// Items that came in and are not done.
    std::size_t unfinished() const noexcept {
        std::lock_guard held{this->lock_};
        return this->unfinished_;
    }
    /// **Parks** while something is unfinished: true, or false when `until` has passed first. Throws what interrupts
    /// the caller, and would_block_forever.
    bool join(deadline until = {}) {
        std::unique_lock held{this->lock_};
        return this->unfinished_ == 0 || all_done_.wait(held, until, "unfinished work in a queue");
    }

private:
    wait_queue all_done_;
};

/// Keeps nothing: put() waits for a fiber that gets, and that one goes on first.
template <class T>
class channel : public basic_queue<T, detail::fifo_items<T>> {
public:
    channel() : basic_queue<T, detail::fifo_items<T>>(typename channel::rendezvous{}) {}
};

} // namespace coir
