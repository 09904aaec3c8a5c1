// map and imap: a function is called for each element of a range, the calls are made elsewhere (by fibers of a group,
// by the threads of a pool), and the results are handed back in the order of the elements or in that of their coming.
//
// The function is moved or copied once, and all calls share it: several at once, if that is what makes them. A call
// gets its element as an rvalue, made as std::ranges::range_value_t; elements of a container that is passed as an
// rvalue are moved. For several ranges, map over a view of tuples.
#pragma once

#include "hub/fiber.h"
#include "hub/places.h"

#include <cstddef>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace coir {

/// @cond internal
namespace detail {

template <class T>
using stored_result = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// A call failed on a thread, and nobody fetched its exception. Null: none did.
COIR_API void report_lost(std::exception_ptr const& error) noexcept;

/// **Parks** until `feeder` has been ended, whatever interrupts the caller. On a hub itself it only sees to its end.
COIR_API void end_feeder(any_fiber const& feeder) noexcept;

// What came of one call.
template <class T>
struct outcome {
    std::optional<stored_result<T>> value;
    any_fiber failed;         // a fiber that ended without a result; it knows why …
    std::exception_ptr error; // … or what a thread has caught
    bool there = false;

    ~outcome() { report_lost(error); }

    stored_result<T> take() {
        if (failed) {
            if (std::exception_ptr const why = failed.exception()) std::rethrow_exception(why);
            throw fiber_exit{};
        }
        if (error) std::rethrow_exception(std::exchange(error, nullptr));
        return std::move(*value);
    }
};

// The outcomes of calls between those who make them and those who take them. Any thread.
template <class T>
class arrivals {
public:
    using place = typename std::list<outcome<T>>::iterator;

    // `maxsize`: how many may have been begun beyond those that were asked for; 0: any number.
    arrivals(bool in_order, std::size_t maxsize)
        : room_(maxsize ? maxsize : places::unlimited, "someone who takes the results of imap"), in_order_(in_order) {}

    /// **Parks** while enough is under way.
    void await_room() {
        std::unique_lock held{lock_};
        room_.take(held);
    }

    /// One more call will be made.
    place expect() {
        std::list<outcome<T>> one(1);
        std::lock_guard held{lock_};
        under_way_.splice(under_way_.end(), one);
        return std::prev(under_way_.end());
    }
    /// It will not.
    void withdraw(place which) noexcept {
        std::list<outcome<T>> gone;
        std::lock_guard held{lock_};
        gone.splice(gone.end(), under_way_, which);
    }
    /// It was made, and `which` filled.
    void arrived(place which) noexcept {
        std::lock_guard held{lock_};
        which->there = true;
        hand_over(which);
    }
    /// No call will follow; the last were not even begun if `feeder` has failed.
    void no_more(any_fiber const& feeder, bool failed) noexcept {
        std::lock_guard held{lock_};
        fed_ = true;
        if (failed) {
            under_way_.splice(under_way_.end(), last_);
            place const which = std::prev(under_way_.end());
            which->failed = feeder;
            which->there = true;
            hand_over(which);
        } else if (under_way_.empty()) {
            takers_.notify_all();
        }
    }

    /// **Parks.** The next result, or nothing when there will be none. Throws what the call threw.
    std::optional<stored_result<T>> next() {
        std::list<outcome<T>> one;
        std::unique_lock held{lock_};
        if (!std::exchange(asked_, true)) room_.give_back();
        while (arrived_.empty()) {
            if (fed_ && under_way_.empty()) return std::nullopt;
            takers_.wait(held, {}, "a result of imap");
        }
        asked_ = false;
        one.splice(one.end(), arrived_, arrived_.begin());
        held.unlock();
        return one.front().take();
    }

private:
    void hand_over(place which) noexcept {
        if (!in_order_)
            arrived_.splice(arrived_.end(), under_way_, which);
        else
            while (!under_way_.empty() && under_way_.front().there)
                arrived_.splice(arrived_.end(), under_way_, under_way_.begin());
        if (!arrived_.empty()) takers_.notify_all();
    }

    thread_lock lock_; // of what follows
    places room_;
    bool asked_ = false; // who waits for a result has made room for one more
    bool const in_order_;
    bool fed_ = false;
    std::list<outcome<T>> under_way_; // in the order of the elements
    std::list<outcome<T>> arrived_;   // in the order of taking
    std::list<outcome<T>> last_{1};   // for what the range itself throws
    wait_queue takers_;
};

// A call of the function that all share.
template <class F, class Element>
struct mapped_call {
    std::shared_ptr<F> function;
    Element element;
    auto operator()() -> std::remove_cvref_t<std::invoke_result_t<F&, Element>> {
        return std::invoke(*function, std::move(element));
    }
};

template <class F, class Range>
using mapped_type = std::remove_cvref_t<std::invoke_result_t<std::decay_t<F>&, std::ranges::range_value_t<Range>>>;

// A container that is ours.
template <class Range>
concept owned_range = !std::is_lvalue_reference_v<Range> && !std::ranges::borrowed_range<Range> &&
                      !std::ranges::view<std::remove_cvref_t<Range>>;

// Calls `start(call, where, place)` for each element. **Parks.**
template <class Range, class T, class F, class Start>
void feed(std::remove_reference_t<Range>& range, std::shared_ptr<arrivals<T>> const& to,
          std::shared_ptr<F> const& function, Start const& start) {
    using element = std::ranges::range_value_t<Range>;
    auto each = std::ranges::begin(range);
    for (auto const end = std::ranges::end(range); each != end; ++each) {
        mapped_call<F, element> call{function, [&]() -> element {
                                         if constexpr (owned_range<Range>)
                                             return std::ranges::iter_move(each);
                                         else
                                             return *each;
                                     }()};
        to->await_room();
        auto const place = to->expect();
        try {
            start(std::move(call), to, place);
        } catch (...) {
            to->withdraw(place);
            throw;
        }
    }
}

// How a call is made at once.
struct call_here {
    template <class Call, class T>
    void operator()(Call&& call, std::shared_ptr<arrivals<T>> const& to, typename arrivals<T>::place where) const {
        if constexpr (std::is_void_v<T>) {
            call();
            where->value.emplace();
        } else {
            where->value.emplace(call());
        }
        to->arrived(where);
    }
};

} // namespace detail
/// @endcond

/// The results of imap. A single pass: in a range-for, or by next(). It may be used by any thread, one fiber at a time.
/// When it goes, no further calls are begun; those that are under way go on, and exceptions that nobody fetched are
/// reported as unhandled.
template <class T>
class [[nodiscard]] mapped {
public:
    using value_type = detail::stored_result<T>; ///< std::monostate for a function that returns nothing

    /// @cond internal
    mapped(std::shared_ptr<detail::arrivals<T>> from, any_fiber feeder)
        : from_(std::move(from)), feeder_(std::move(feeder)) {}
    /// @endcond

    /// The other has none then, and may only be assigned to or destroyed.
    mapped(mapped&&) noexcept = default;
    /// **Parks** as the destructor does, for what it had before.
    mapped& operator=(mapped other) noexcept {
        from_.swap(other.from_);
        std::swap(feeder_, other.feeder_);
        current_.swap(other.current_);
        return *this;
    }
    /// **Parks** until nobody goes along the range any more, whatever interrupts the caller.
    ~mapped() {
        if (feeder_) detail::end_feeder(feeder_);
    }

    /// **Parks.** The next result; nothing when there is none any more. Throws what the function threw for it, after
    /// which there may be others; what the range threw, which comes last; fiber_exit if the call was killed; what
    /// interrupts the caller; would_block_forever.
    std::optional<value_type> next() { return from_->next(); }

    /// Single pass: all iterators are at the same place.
    class iterator {
    public:
        using iterator_concept = std::input_iterator_tag; ///< for the standard library
        using value_type = mapped::value_type;            ///< a result
        using difference_type = std::ptrdiff_t;           ///< for the standard library

        /// **Parks.** At the next result. Throws as next().
        explicit iterator(mapped& of) : of_(&of) { ++*this; }
        /// The result, which may be moved out; until the next increment.
        value_type& operator*() const noexcept { return *of_->current_; }
        value_type* operator->() const noexcept { return &**this; } ///< as operator*
        /// **Parks.** Throws as next(), and is at the end then.
        iterator& operator++() {
            of_->current_.reset();
            of_->current_ = of_->next();
            return *this;
        }
        /// **Parks.** The same.
        void operator++(int) { ++*this; }
        /// There are no more.
        bool operator==(std::default_sentinel_t) const noexcept { return !of_->current_; }

    private:
        mapped* of_;
    };

    /// **Parks.** For a range-for, which begins with the next result. Throws as next().
    iterator begin() { return iterator(*this); }
    /// For a range-for.
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    std::shared_ptr<detail::arrivals<T>> from_;
    any_fiber feeder_;
    std::optional<value_type> current_;
};

/// A range that map and imap take: one pass is enough. One that is passed as an rvalue is moved from.
template <class Range>
concept mappable_range = std::ranges::input_range<Range> &&
    (std::is_lvalue_reference_v<Range> || std::movable<std::remove_cvref_t<Range>>);

/// What group, pool and thread_pool have in common. `Self` says how a call is made, and when at once. Any thread.
template <class Self>
class mapping {
public:
    /// **Parks.** Calls `function` with each element, and returns the results in the order of the elements, as a
    /// vector, or nothing if the function returns nothing. Throws, of what the calls threw, what comes first in that
    /// order, and what interrupts the caller: the calls that are under way go on then, and no more are begun.
    template <class F, mappable_range Range>
    auto map(F&& function, Range&& range) {
        using T = detail::mapped_type<F, Range>;
        std::conditional_t<std::is_void_v<T>, std::monostate, std::vector<detail::stored_result<T>>> all;
        auto const to = std::make_shared<detail::arrivals<T>>(true, 0);
        auto const shared = std::make_shared<std::decay_t<F>>(std::forward<F>(function));
        if (self().calls_here())
            detail::feed<Range>(range, to, shared, detail::call_here{});
        else
            detail::feed<Range>(range, to, shared, self().starter());
        to->no_more({}, false);
        while (auto result = to->next())
            if constexpr (!std::is_void_v<T>) all.push_back(std::move(*result));
        if constexpr (!std::is_void_v<T>) return all;
    }
    /// **Parks.** The same for elements that are listed.
    template <class F, class Element>
    auto map(F&& function, std::initializer_list<Element> elements) {
        return map(std::forward<F>(function), std::vector<Element>(elements));
    }

    /// The results in the order of the elements, each as soon as it and those before it have come. A fiber of its own
    /// goes along `range`, which must outlive what is returned unless it is passed as an rvalue. With a `maxsize`, no
    /// more calls are begun than have been asked for, and so many: it bounds what piles up when they come quicker than
    /// they are taken. Throws what hub::current and acquire_stack throw. Any thread: the range is gone along on it.
    template <class F, mappable_range Range>
    auto imap(F&& function, Range&& range, std::size_t maxsize = 0) {
        return begin<true>(std::forward<F>(function), std::forward<Range>(range), maxsize);
    }
    /// The same for elements that are listed.
    template <class F, class Element>
    auto imap(F&& function, std::initializer_list<Element> elements, std::size_t maxsize = 0) {
        return imap(std::forward<F>(function), std::vector<Element>(elements), maxsize);
    }

    /// The same in the order in which they come.
    template <class F, mappable_range Range>
    auto imap_unordered(F&& function, Range&& range, std::size_t maxsize = 0) {
        return begin<false>(std::forward<F>(function), std::forward<Range>(range), maxsize);
    }
    /// The same for elements that are listed.
    template <class F, class Element>
    auto imap_unordered(F&& function, std::initializer_list<Element> elements, std::size_t maxsize = 0) {
        return imap_unordered(std::forward<F>(function), std::vector<Element>(elements), maxsize);
    }

protected:
    ~mapping() = default;

private:
    Self& self() noexcept { return static_cast<Self&>(*this); }

    template <bool InOrder, class F, class Range>
    auto begin(F&& function, Range&& range, std::size_t maxsize) {
        using T = detail::mapped_type<F, Range>;
        auto to = std::make_shared<detail::arrivals<T>>(InOrder, maxsize);
        fiber<void> const feeder([to, start = self().starter(), held = std::tuple<Range>(std::forward<Range>(range)),
                                  shared = std::make_shared<std::decay_t<F>>(std::forward<F>(function))]() mutable {
            detail::feed<Range>(std::get<0>(held), to, shared, start);
        });
        feeder.rawlink([to](fiber<void> const& ended) { to->no_more(ended, !ended.returned()); });
        feeder.start();
        return mapped<T>(std::move(to), feeder);
    }
};

} // namespace coir
