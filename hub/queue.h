// Queues: first in first out, last in first out, by priority, and with a count of unfinished work. gevent.queue's, with
// shutdown as Python 3.13 has it. The channel, which keeps nothing, is in hub/channel.h.
//
// Who waits to get or to put is served in the order of coming, and an item that was promised to a fiber is that
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
    /// what() says so.
    queue_shut_down();
};

namespace detail {

/// @cond internal
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

/// @endcond

/// What does not depend on the type of the items: who waits, and what was promised to whom. Who is granted an item, or
/// room for one, takes or puts it when it runs; until then it is reserved for it. Any thread.
class COIR_API queue_base {
public:
    queue_base(queue_base const&) = delete;
    queue_base& operator=(queue_base const&) = delete;

    /// Nothing can be put from now on: who waits to put, or tries, gets queue_shut_down; what is in it can still be
    /// got, and then getting throws queue_shut_down too, for those that wait as well.
    void shutdown() noexcept;
    /// One of the shutdowns was called.
    bool is_shut_down() const noexcept;

    /// How many items it takes; 0: any number.
    std::size_t maxsize() const noexcept { return limit_ == unlimited ? 0 : limit_; }

protected:
    /// @cond internal
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    explicit queue_base(std::size_t maxsize) noexcept : limit_(maxsize ? maxsize : unlimited) {}
    ~queue_base() = default;

    // The following are called, and return, with the lock held. `size` is the number of items.

    bool has_item(std::size_t size) const noexcept { return size > promised_items_; }
    bool has_room(std::size_t size) const noexcept { return size + promised_room_ < limit_; }

    // **Parks** until an item, or room, has been promised, and takes back the promise: false if `until` has passed
    // first. Throws queue_shut_down if it never will be.
    bool wait_for_item(std::unique_lock<thread_lock>& held, deadline until, bool peek);
    bool wait_for_room(std::unique_lock<thread_lock>& held, deadline until);
    // An item came in, or went: promises it, or its room, to who waits longest.
    void item_came(std::size_t size) noexcept;
    void item_went(std::size_t size) noexcept;
    void items_were_dropped(std::size_t count) noexcept;

    // The same for select(): promises to `one` at once, or queues it.
    void queue_for_item(waiter& one, std::size_t size);
    void queue_for_room(waiter& one, std::size_t size);
    // Takes `one` out of its queue: whether something was promised to it. Takes the lock itself.
    bool leave_case(waiter& one) noexcept;
    // Take back a promise. Throw queue_shut_down if it was not made, or is not kept.
    void redeem_item(bool was_promised);
    void redeem_room(bool was_promised);

    thread_lock mutable lock_;
    std::size_t const limit_;
    std::size_t unfinished_ = 0; // items that came in and are not done, for joinable_queue …
    wait_queue all_done_;        // … and who waits until there are none
    bool shut_down_ = false;

private:
    bool wait(wait_queue& queue, waiter& one, std::unique_lock<thread_lock>& held, deadline until, char const* what);

    wait_queue getters_;
    wait_queue putters_;
    std::size_t promised_items_ = 0;
    std::size_t promised_room_ = 0;
    /// @endcond
};

/// @cond internal

// Iterates over what get() of a queue or channel returns, until that throws queue_shut_down. Each step parks.
template <class Queue>
class queue_iterator {
public:
    using value_type = typename Queue::value_type;
    using difference_type = std::ptrdiff_t;

    explicit queue_iterator(Queue& of) : of_(&of) { ++*this; }
    value_type& operator*() const noexcept { return *item_; }
    queue_iterator& operator++() {
        item_.reset();
        try {
            item_.emplace(of_->get());
        } catch (queue_shut_down const&) {}
        return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return !item_; }

private:
    Queue* of_;
    std::optional<value_type> mutable item_;
};

/// @endcond

} // namespace detail

/// What all queues have in common. `Items` is what keeps the items, of type T, which need only be movable. They are
/// moved, copied and compared while others are kept out of the queue, so that must not wait. Any thread.
template <class T, class Items>
class basic_queue : public detail::queue_base {
public:
    using value_type = T; ///< what is put and got

    /// Takes `maxsize` items; 0: any number. It is empty.
    explicit basic_queue(std::size_t maxsize = 0, Items items = {}) : queue_base(maxsize), items_(std::move(items)) {}

    /// **Parks** while the queue is full: until there is room, true, or `until` has passed, false; `item` is as it was
    /// then. Throws queue_shut_down, what interrupts the caller, and would_block_forever.
    bool put(T&& item, deadline until = {}) {
        std::unique_lock held{lock_};
        if (shut_down_) throw queue_shut_down();
        if (!has_room(items_.size()) && !wait_for_room(held, until)) return false;
        push(std::move(item));
        return true;
    }
    /// The same with a copy of `item`.
    bool put(T const& item, deadline until = {}) { return put(T(item), until); }
    /// Puts it if that is possible at once. `item` is as it was otherwise. Throws queue_shut_down.
    bool try_put(T&& item) {
        std::lock_guard held{lock_};
        if (shut_down_) throw queue_shut_down();
        if (!has_room(items_.size())) return false;
        push(std::move(item));
        return true;
    }
    /// The same with a copy of `item`.
    bool try_put(T const& item) { return try_put(T(item)); }

    /// **Parks** while the queue is empty, and takes out the first item. Throws queue_shut_down, what interrupts the
    /// caller, and would_block_forever.
    T get() { return *get(deadline{}); }
    /// The same until `until`: nothing if that has passed first.
    std::optional<T> get(deadline until) {
        std::unique_lock held{lock_};
        if (!has_item(items_.size()) && !wait_for_item(held, until, false)) return std::nullopt;
        return pop();
    }
    /// What get() would return, if it can at once. Throws queue_shut_down.
    std::optional<T> try_get() {
        std::lock_guard held{lock_};
        if (has_item(items_.size())) return pop();
        if (shut_down_) throw queue_shut_down();
        return std::nullopt;
    }

    /// As get(), **Parks** and throws as that does, but gives a copy of the item, which stays.
    T peek() requires std::copy_constructible<T> { return *peek(deadline{}); }
    /// The same until `until`: nothing if that has passed first.
    std::optional<T> peek(deadline until) requires std::copy_constructible<T> {
        std::unique_lock held{lock_};
        if (!has_item(items_.size())) do
                if (!wait_for_item(held, until, true)) return std::nullopt;
            while (items_.empty()); // another thread was quicker
        return items_.front();
    }
    /// What peek() would return, if it can at once. Throws queue_shut_down.
    std::optional<T> try_peek() requires std::copy_constructible<T> {
        std::lock_guard held{lock_};
        if (has_item(items_.size())) return items_.front();
        if (shut_down_) throw queue_shut_down();
        return std::nullopt;
    }

    /// Items that are in it now. gevent: qsize.
    std::size_t size() const noexcept {
        std::lock_guard held{lock_};
        return items_.size();
    }
    /// There is none.
    bool empty() const noexcept { return size() == 0; }
    /// There are maxsize() of them.
    bool full() const noexcept { return size() >= limit_; }

    /// Shuts down, and drops what is in it, which counts as done for joinable_queue.
    void shutdown_now() noexcept {
        std::unique_lock held{lock_};
        shut_down_ = true;                      // before anyone can put between here and shutdown()
        Items const dropped(std::move(items_)); // destroyed without the lock
        items_.clear();
        items_were_dropped(dropped.size());
        held.unlock();
        shutdown();
    }

    /// For select(): an item was got, and moved to `to`, which must outlive the case. select() throws queue_shut_down
    /// as get() does.
    auto on_get(T& to) noexcept { return get_case(*this, to); }
    /// For select(): `item` was put. It stays in the case until then. select() throws queue_shut_down as put() does.
    auto on_put(T item) { return put_case(*this, std::move(item)); }

    /// For a range-for: gets until the queue is shut down and empty. Each step **Parks**, this one too, and throws what
    /// interrupts the caller, and would_block_forever.
    auto begin() { return detail::queue_iterator<basic_queue>(*this); }
    /// The queue is shut down and empty.
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    // What was promised to a caller for whom it cannot be done (a move throws, no memory) is promised to the next.
    void push(T&& item) {
        try {
            items_.push(std::move(item));
        } catch (...) {
            item_went(items_.size());
            throw;
        }
        ++unfinished_;
        item_came(items_.size());
    }

    T pop() {
        struct otherwise {
            basic_queue& of;
            std::size_t const before = of.items_.size();
            ~otherwise() { before == of.items_.size() ? of.item_came(before) : of.item_went(of.items_.size()); }
        } const next{*this};
        return items_.pop();
    }

    class get_case final : public select_case {
    public:
        get_case(basic_queue& of, T& to) noexcept : of_(of), to_(to) {}
        bool try_now() override {
            std::optional<T> item = of_.try_get();
            if (item) to_ = std::move(*item);
            return item.has_value();
        }
        void queue(waiter& one) override {
            std::lock_guard held{of_.lock_};
            of_.queue_for_item(one, of_.items_.size());
        }
        void leave(waiter& one) noexcept override { promised_ = of_.leave_case(one); }
        void complete() override {
            std::lock_guard held{of_.lock_};
            of_.redeem_item(promised_);
            to_ = of_.pop();
        }
        char const* what() const noexcept override { return "an item of a queue"; }

    private:
        basic_queue& of_;
        T& to_;
        bool promised_ = false;
    };

    class put_case final : public select_case {
    public:
        put_case(basic_queue& of, T&& item) : of_(of), item_(std::move(item)) {}
        bool try_now() override { return of_.try_put(std::move(item_)); }
        void queue(waiter& one) override {
            std::lock_guard held{of_.lock_};
            of_.queue_for_room(one, of_.items_.size());
        }
        void leave(waiter& one) noexcept override { promised_ = of_.leave_case(one); }
        void complete() override {
            std::lock_guard held{of_.lock_};
            of_.redeem_room(promised_);
            of_.push(std::move(item_));
        }
        char const* what() const noexcept override { return "room in a queue"; }

    private:
        basic_queue& of_;
        T item_;
        bool promised_ = false;
    };

    Items items_;
};

/// First in, first out. Any thread. gevent: Queue, SimpleQueue.
template <class T>
class queue : public basic_queue<T, detail::fifo_items<T>> {
public:
    using basic_queue<T, detail::fifo_items<T>>::basic_queue;
};

/// Last in, first out. Any thread. gevent: LifoQueue.
template <class T>
class lifo_queue : public basic_queue<T, detail::lifo_items<T>> {
public:
    using basic_queue<T, detail::lifo_items<T>>::basic_queue;
};

/// The least first, as `Compare` has it; of equal ones the one that came first. Any thread. gevent: PriorityQueue.
template <class T, class Compare = std::less<T>>
class priority_queue : public basic_queue<T, detail::priority_items<T, Compare>> {
public:
    /// Takes `maxsize` items; 0: any number. `compare(a, b)`: a comes before b; it must neither wait nor throw.
    explicit priority_queue(std::size_t maxsize = 0, Compare compare = {})
        : basic_queue<T, detail::priority_items<T, Compare>>(maxsize, detail::priority_items<T, Compare>(compare)) {}
};

/// A queue that knows how much of what came in has been done. Any thread. gevent: JoinableQueue.
template <class T>
class joinable_queue : public queue<T> {
public:
    using queue<T>::queue;

    /// What one get() brought is done; after the last of them who waits in join() goes on. Throws std::logic_error if
    /// that has been said of all that came in.
    void task_done() {
        std::lock_guard held{this->lock_};
        if (this->unfinished_ == 0) throw std::logic_error("task_done: called more often than items were put");
        if (--this->unfinished_ == 0) this->all_done_.notify_all();
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
        return this->unfinished_ == 0 || this->all_done_.wait(held, until, "unfinished work in a queue");
    }
};

} // namespace coir
