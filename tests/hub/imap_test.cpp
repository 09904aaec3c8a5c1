#include "hub/imap.h"

#include "fiber/generator.h"
#include "hub/event.h"
#include "hub/pool.h"
#include "hub/queue.h"
#include "hub/timeout.h"
#include "tests/rerun.h"

#include <array>
#include <chrono>
#include <forward_list>
#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

using coir::event;
using coir::group;
using coir::pool;
using namespace std::chrono_literals;

namespace {

struct tried {}; // an error

int square(int n) { return n * n; }

auto const to_pointer = [](int n) { return std::make_unique<int>(n); };

template <class Range>
auto listed(Range&& range) {
    std::vector<std::ranges::range_value_t<Range>> all;
    for (auto& each : range) all.push_back(std::move(each));
    return all;
}

// Of all numbers, and knows when somebody goes along it.
struct counting_range {
    int taken = 0;
    int iterators = 0;

    class iterator {
    public:
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        explicit iterator(counting_range& of) : of_(&of) { ++of.iterators; }
        iterator(iterator&& other) noexcept : of_(other.of_) { ++of_->iterators; }
        iterator& operator=(iterator&&) noexcept { return *this; }
        ~iterator() { --of_->iterators; }
        int operator*() const { return of_->taken; }
        iterator& operator++() {
            ++of_->taken;
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return false; }

    private:
        counting_range* of_;
    };
    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() const { return {}; }
};

} // namespace

static_assert(std::ranges::input_range<coir::mapped<int>>);
static_assert(std::movable<coir::mapped<std::unique_ptr<int>>>);

TEST(map, results_and_elements_of_every_kind) {
    group all;
    EXPECT_EQ(all.map(square, {1, 2, 3}), (std::vector{1, 4, 9}));
    EXPECT_EQ(all.map(square, std::vector<int>{}), std::vector<int>{});
    int const numbers[] = {4, 5};
    EXPECT_EQ(all.map(square, numbers), (std::vector{16, 25}));
    std::forward_list<std::string> const words{"a", "bc"};
    EXPECT_EQ(all.map(&std::string::size, words), (std::vector<std::size_t>{1, 2}));
    EXPECT_EQ(all.map([](bool b) { return !b; }, std::vector<bool>{true, false}), (std::vector<bool>{false, true}));
    int sum = 0;
    all.map([&](int n) { sum += n; }, {1, 2, 3});
    EXPECT_EQ(sum, 6);
    auto const pointers = all.map(to_pointer, {7, 8});
    EXPECT_EQ(*pointers.at(0) + *pointers.at(1), 15);
    EXPECT_EQ(all.map([factor = std::make_unique<int>(3)](int n) { return *factor * n; }, {1, 2}), (std::vector{3, 6}));
}

TEST(map, elements_of_a_container_that_is_given_away_are_moved_and_others_copied) {
    group all;
    std::vector<std::unique_ptr<int>> owned;
    owned.push_back(std::make_unique<int>(1));
    owned.push_back(std::make_unique<int>(2));
    auto const value = [](std::unique_ptr<int> n) { return *n; };
    EXPECT_EQ(all.map(value, std::move(owned)), (std::vector{1, 2}));
    std::vector<std::string> kept{"long enough to lie on the heap, not in the string", "short"};
    auto const same = all.map([](std::string text) { return text; }, kept);
    EXPECT_EQ(same, kept);
    EXPECT_EQ(all.map([](std::string text) { return text; }, std::span(kept)), kept);
    EXPECT_EQ(kept.front().size(), 49u) << "an element was moved out of what a view shows";
}

TEST(map, takes_ranges_of_a_single_pass) {
    pool two{2};
    coir::generator<int> numbers{[](auto& out) {
        for (int i = 0; i < 4; ++i) out.yield(i);
    }};
    EXPECT_EQ(two.map(square, std::move(numbers)), (std::vector{0, 1, 4, 9}));
    coir::queue<int> queue;
    for (int i = 5; i < 8; ++i) queue.put(i);
    queue.shutdown();
    EXPECT_EQ(two.map(square, queue), (std::vector{25, 36, 49}));
    EXPECT_EQ(two.map(square, two.imap(square, {1, 2})), (std::vector{1, 16}));
}

TEST(map, throws_the_first_error_of_the_list_and_lets_the_others_go_on) {
    pool two{2};
    std::string log;
    event go_on;
    auto const body = [&](char name) {
        if (name == 'c') go_on.wait();
        log += name;
        if (name == 'b') throw tried{};
    };
    EXPECT_THROW(two.map(body, {'a', 'b', 'c'}), tried);
    EXPECT_EQ(log, "ab");
    go_on.set();
    two.join();
    EXPECT_EQ(log, "abc");
}

TEST(map, begins_no_more_when_its_caller_is_killed) {
    pool two{2};
    event go_on;
    int begun = 0;
    auto const body = [&](int) {
        ++begun;
        go_on.wait();
    };
    auto const mapping = coir::spawn([&] { two.map(body, std::vector<int>(10)); });
    coir::idle();
    mapping.kill();
    go_on.set();
    two.join();
    coir::idle();
    EXPECT_EQ(begun, 2);
    EXPECT_EQ(two.free_count(), 2u);
}

TEST(map, throws_what_the_range_throws) {
    group all;
    coir::generator<int> broken{[](auto& out) {
        out.yield(1);
        throw tried{};
    }};
    EXPECT_THROW(all.map(square, broken), tried);
    all.join();
}

TEST(imap, in_order_and_as_they_come) {
    group all;
    event first_may;
    auto const body = [&](int n) {
        if (n == 0) first_may.wait();
        return n;
    };
    auto ordered = all.imap(body, {0, 1, 2});
    coir::idle();
    EXPECT_FALSE(coir::with_timeout(0s, [&] { return ordered.next(); }));
    first_may.set();
    EXPECT_EQ(listed(ordered), (std::vector{0, 1, 2}));
    first_may.clear();
    auto coming = all.imap_unordered(body, {0, 1, 2});
    EXPECT_EQ(coming.next(), 1);
    EXPECT_EQ(coming.next(), 2);
    first_may.set();
    EXPECT_EQ(coming.next(), 0);
    EXPECT_EQ(coming.next(), std::nullopt);
    EXPECT_EQ(coming.next(), std::nullopt);
}

TEST(imap, results_of_every_kind) {
    pool two{2};
    EXPECT_EQ(listed(two.imap(square, std::vector<int>{})).size(), 0u);
    EXPECT_EQ(listed(two.imap_unordered(square, std::array<int, 0>{})).size(), 0u);
    int sum = 0;
    for (auto const& each : two.imap(to_pointer, {1, 2, 3})) sum += *each;
    EXPECT_EQ(sum, 6);
    int rounds = 0;
    for ([[maybe_unused]] auto nothing : two.imap([&](int n) { sum += n; }, {4, 5})) ++rounds;
    EXPECT_EQ(rounds, 2);
    EXPECT_EQ(sum, 15);
    std::vector<std::string> const words{"a", "bc"};
    for (auto& [word, size] : two.imap([](std::string w) { return std::pair(w, w.size()); }, words))
        EXPECT_EQ(word.size(), size);
    EXPECT_EQ(listed(pool{1}.imap(square, {2, 3})), (std::vector{4, 9})) << "the pool itself is not needed";
}

TEST(imap, breaking_out_stops_it_at_once) {
    pool two{2};
    counting_range range;
    int begun = 0, ended = 0;
    event go_on;
    auto const body = [&](int n) {
        ++begun;
        if (n > 0) go_on.wait();
        ++ended;
        return n;
    };
    for (int each : two.imap(body, range)) {
        EXPECT_EQ(each, 0);
        break;
    }
    EXPECT_EQ(range.iterators, 0) << "somebody still goes along what may be gone now";
    int const by_then = begun, taken = range.taken;
    coir::idle();
    EXPECT_EQ(range.taken, taken);
    EXPECT_EQ(two.size(), 2u) << "what is under way goes on";
    go_on.set();
    two.join();
    coir::idle();
    EXPECT_EQ(begun, by_then);
    EXPECT_EQ(ended, begun);
    EXPECT_EQ(two.free_count(), 2u);
}

TEST(imap, one_that_nobody_walks_along_stops_before_it_begins) {
    pool two{2};
    counting_range range;
    { auto const unused = two.imap(square, range); }
    EXPECT_EQ(range.iterators, 0);
    coir::idle();
    EXPECT_EQ(range.taken, 0);
    counting_range other;
    auto replaced = two.imap(square, range, 1);
    coir::idle();
    EXPECT_EQ(range.iterators, 1);
    replaced = two.imap(square, other, 1);
    EXPECT_EQ(range.iterators, 0);
    EXPECT_EQ(replaced.next(), 0);
}

TEST(imap, stops_when_its_consumer_is_killed_or_late) {
    pool two{2};
    counting_range range;
    event never;
    auto const consumer = coir::spawn([&] {
        for (int each : two.imap([&](int n) { return never.wait(), n; }, range)) ADD_FAILURE() << each;
    });
    coir::idle();
    EXPECT_EQ(range.iterators, 1);
    consumer.kill();
    EXPECT_EQ(range.iterators, 0);
    EXPECT_FALSE(coir::with_timeout(1ms, [&] {
        for (int each : two.imap(square, range)) ADD_FAILURE() << each;
    })) << "the pool is full";
    EXPECT_EQ(range.iterators, 0);
    never.set();
    two.join();
}

TEST(imap, next_goes_on_after_an_error) {
    group all;
    auto const body = [](int n) { return n == 2 ? throw tried{} : n; };
    auto results = all.imap(body, {1, 2, 3});
    EXPECT_EQ(results.next(), 1);
    EXPECT_THROW(results.next(), tried);
    EXPECT_EQ(results.next(), 3);
    EXPECT_EQ(results.next(), std::nullopt);
}

TEST(imap, a_killed_call_is_an_exit_in_its_place) {
    group all;
    event never;
    auto results = all.imap([&](int n) { return n == 1 ? never.wait() : true; }, {0, 1, 2});
    coir::idle();
    ASSERT_EQ(all.size(), 1u);
    all.kill();
    EXPECT_EQ(results.next(), true);
    EXPECT_THROW(results.next(), coir::fiber_exit);
    EXPECT_EQ(results.next(), true);
    EXPECT_EQ(results.next(), std::nullopt);
}

TEST(imap, what_the_range_throws_comes_after_what_it_gave) {
    pool two{2};
    auto const broken = [] {
        return coir::generator<int>{[](auto& out) {
            for (int i = 0; i < 3; ++i) out.yield(i);
            throw tried{};
        }};
    };
    auto results = two.imap(square, broken());
    for (int n : {0, 1, 4}) EXPECT_EQ(results.next(), n);
    EXPECT_THROW(results.next(), tried);
    EXPECT_EQ(results.next(), std::nullopt);
    auto coming = two.imap_unordered(square, broken());
    std::vector<int> all;
    EXPECT_THROW(while (auto one = coming.next()) all.push_back(*one), tried);
    while (auto one = coming.next()) all.push_back(*one);
    EXPECT_EQ(all.size(), 3u);
}

TEST(imap, exceptions_that_nobody_reads_are_reported) {
    int reports = 0;
    auto const before = coir::on_unhandled_exception([&](auto const&) { ++reports; });
    group all;
    for (int each : all.imap([](int n) { return n > 1 ? throw tried{} : n; }, {1, 2, 3})) {
        EXPECT_EQ(each, 1);
        coir::idle();
        break;
    }
    EXPECT_EQ(reports, 2);
    try {
        for (int each : all.imap([](int) -> int { throw tried{}; }, {1})) ADD_FAILURE() << each;
    } catch (tried const&) {}
    coir::idle();
    EXPECT_EQ(reports, 2) << "one that was thrown is not";
    coir::on_unhandled_exception(before);
}

TEST(imap, maxsize_bounds_what_nobody_has_asked_for) {
    group all;
    counting_range range;
    int begun = 0;
    auto const body = [&](int n) { return ++begun, n; };
    for (bool const ordered : {true, false}) {
        begun = 0;
        auto results = ordered ? all.imap(body, range, 3) : all.imap_unordered(body, range, 3);
        coir::idle();
        EXPECT_EQ(begun, 3);
        for (int taken = 1; taken <= 5; ++taken) {
            EXPECT_TRUE(results.next());
            coir::idle();
            EXPECT_EQ(begun, 3 + taken);
        }
    }
}

// One that was interrupted and asks again does not ask for another one.
TEST(imap, asking_in_vain_makes_no_room) {
    group all;
    counting_range range;
    event go_on;
    int begun = 0;
    auto results = all.imap([&](int n) { return ++begun, go_on.wait(), n; }, range, 1);
    for (int i = 0; i < 4; ++i) EXPECT_FALSE(coir::with_timeout(1ms, [&] { return results.next(); }));
    EXPECT_EQ(begun, 2);
    go_on.set();
    EXPECT_EQ(results.next(), 0);
}

// The results are kept; the stacks of the fibers that brought them are used again.
TEST(imap, what_is_not_taken_yet_keeps_no_stack) {
    pool one{1};
    std::set<void const*> stacks;
    auto results = one.imap([&](int n) { return stacks.insert(__builtin_frame_address(0)), n; }, std::vector<int>(50));
    coir::idle();
    EXPECT_LT(stacks.size(), 10u);
    EXPECT_EQ(listed(results).size(), 50u);
}

TEST(imap, is_taken_on_another_thread) {
    pool two{2};
    auto results = two.imap(square, {1, 2, 3, 4});
    std::vector<int> all;
    event done;
    std::thread([&, results = std::move(results)]() mutable {
        all = listed(results);
        { auto const gone = std::move(results); }
        done.set();
    }).detach();
    done.wait();
    EXPECT_EQ(all, (std::vector{1, 4, 9, 16}));
}

TEST(imap, is_dropped_on_another_thread) {
    pool two{2};
    counting_range range;
    event go_on, done;
    std::thread([&, results = two.imap([&](int n) { return go_on.wait(), n; }, range)]() mutable {
        { auto const gone = std::move(results); }
        EXPECT_EQ(range.iterators, 0);
        done.set();
    }).detach();
    done.wait();
    go_on.set();
    two.join();
}

TEST_ALONE(imap, would_block_forever_names_what_is_waited_for) {
    group all;
    event never;
    try {
        for ([[maybe_unused]] bool each : all.imap([&](int) { return never.wait(); }, {1, 2}, 1)) FAIL();
        FAIL();
    } catch (coir::would_block_forever const& error) {
        std::string const lines = error.what();
        EXPECT_NE(lines.find("waits for a result of imap"), std::string::npos) << lines;
    }
    all.kill();
    coir::idle(); // the links of those that were killed
}

TEST(imap, its_end_is_noticed_by_a_consumer_that_is_killed_in_that_moment) {
    pool one{1};
    event never;
    auto const consumer = coir::spawn([&] {
        auto const dropped = one.imap([&](int n) { return never.wait(), n; }, {1, 2, 3}, 1);
        coir::yield();
        coir::yield();
    });
    auto const waits_for_its_end = [] {
        return coir::hub::current().report().find("the end of imap's own fiber") != std::string::npos;
    };
    while (!waits_for_its_end()) {
        ASSERT_FALSE(consumer.ready()) << "it did not wait at all";
        coir::yield();
    }
    coir::yield(); // the other has ended, and is about to tell
    consumer.kill({.block = false});
    EXPECT_TRUE(consumer.join(10s));
    never.set();
    one.join();
}
