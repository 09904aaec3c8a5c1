#include "hub/deadline.h"
#include "hub/timer.h"

#include <cstdint>
#include <cstdlib>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <vector>

using coir::timer;
using coir::timer_heap;

namespace {

bool no_memory = false;

struct recorder;

struct recorded : timer {
    recorder& to;
    int const number;
    std::int64_t at = 0;
    recorded(recorder& into, int n) : timer(&fired), to(into), number(n) {}
    static void fired(timer& due) noexcept;
};

struct recorder {
    timer_heap heap;
    std::vector<int> fired;
    std::vector<recorded*> set_again; // by the next callback
};

void recorded::fired(timer& due) noexcept {
    auto& self = static_cast<recorded&>(due);
    EXPECT_FALSE(self.set()) << "it has left the heap before it fires";
    self.to.fired.push_back(self.number);
    for (recorded* each : self.to.set_again) self.to.heap.set(*each, each->at);
    self.to.set_again.clear();
}

} // namespace

[[gnu::visibility("default")]] void* operator new(std::size_t size) {
    if (no_memory) throw std::bad_alloc();
    if (void* const place = std::malloc(size)) return place;
    std::abort();
}
[[gnu::visibility("default")]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    return no_memory ? nullptr : std::malloc(size);
}
[[gnu::visibility("default")]] void operator delete(void* place) noexcept { std::free(place); }
[[gnu::visibility("default")]] void operator delete(void* place, std::size_t) noexcept { std::free(place); }

TEST(timer_heap, sets_timers_without_memory) {
    recorder all;
    std::vector<std::unique_ptr<recorded>> timers;
    for (int i = 0; i < 8; ++i) timers.push_back(std::make_unique<recorded>(all, i));
    all.fired.reserve(8);
    no_memory = true;
    for (int i = 0; i < 6; ++i) all.heap.set(*timers[std::size_t(i)], 10 * (6 - i));
    all.heap.cancel(*timers[1]);
    std::int64_t const nearest = all.heap.nearest();
    all.heap.fire_due(20);
    no_memory = false;
    EXPECT_EQ(nearest, 10);
    EXPECT_EQ(std::set(all.fired.begin(), all.fired.end()), (std::set{4, 5}));
    EXPECT_EQ(all.heap.size(), 3u);
    EXPECT_EQ(all.heap.nearest(), 30);
    all.fired.clear();
    timers[3]->survives_fork_in = &all;
    timers[2]->survives_fork_in = &all;
    all.heap.clear(&all);
    EXPECT_FALSE(timers[0]->set());
    all.heap.set(*timers[0], 35);
    all.heap.fire_due(50);
    EXPECT_EQ(all.fired, (std::vector{3, 0, 2})) << "there is memory again, and they are in their order";
    EXPECT_TRUE(all.heap.empty());
}

// Against a multimap, which keeps equal keys in the order of insertion.
TEST(timer_heap, does_what_a_sorted_list_does) {
    recorder all;
    std::vector<std::unique_ptr<recorded>> timers;
    for (int i = 0; i < 300; ++i) timers.push_back(std::make_unique<recorded>(all, i));
    std::multimap<std::int64_t, int> model;
    std::mt19937 random(7);
    std::int64_t now = 0;
    for (int step = 0; step < 200000; ++step) {
        auto& one = *timers[random() % timers.size()];
        switch (random() % 8) {
        default:
            if (one.set()) {
                all.heap.cancel(one);
                auto [each, end] = model.equal_range(one.at);
                while (each->second != one.number) ASSERT_NE(++each, end);
                model.erase(each);
            } else {
                one.at = now + std::int64_t(random() % 100);
                all.heap.set(one, one.at);
                model.emplace(one.at, one.number);
            }
            break;
        case 0:
            now += std::int64_t(random() % (step % 10 ? 20 : 200)); // at times all are due
            all.fired.clear();
            all.heap.fire_due(now);
            std::vector<int> expected;
            for (auto each = model.begin(); each != model.end() && each->first <= now; each = model.erase(each))
                expected.push_back(each->second);
            ASSERT_EQ(all.fired, expected);
        }
        ASSERT_EQ(all.heap.size(), model.size());
        ASSERT_EQ(all.heap.nearest(), model.empty() ? timer_heap::none : model.begin()->first);
    }
    all.heap.clear(nullptr);
    EXPECT_TRUE(all.heap.empty());
    for (auto const& each : timers) EXPECT_FALSE(each->set());
}

TEST(timer_heap, timers_set_by_a_callback_wait_for_the_next_call) {
    recorder all;
    recorded a(all, 1), b(all, 2), c(all, 3);
    all.heap.set(a, 10);
    all.heap.set(b, 20);
    c.at = 5;
    all.set_again = {&c};
    all.heap.fire_due(30);
    EXPECT_EQ(all.fired.front(), 1);
    EXPECT_EQ(std::count(all.fired.begin(), all.fired.end(), 3), 0) << "a chain of them would hold up the loop";
    EXPECT_EQ(all.heap.nearest(), 5);
    all.heap.fire_due(30);
    EXPECT_EQ(all.fired.size(), 3u);
}

TEST(timer_heap, what_may_be_late_waits_for_the_last_moment_of_another) {
    constexpr std::int64_t ms = 1'000'000, us = 1'000;
    recorder all;
    recorded far(all, 1), near(all, 2), exact(all, 3);
    std::int64_t const now = coir::steady_now(), at = now + 1000 * ms;
    all.heap = timer_heap(50 * us, now);
    all.heap.set(far, at);
    EXPECT_EQ(all.heap.nearest(), at);
    EXPECT_GT(all.heap.latest(), at + 900 * us) << "a thousandth of a second";
    EXPECT_LE(all.heap.latest(), at + ms);
    all.heap.set(near, now + 20 * ms);
    EXPECT_EQ(all.heap.nearest(), now + 20 * ms);
    EXPECT_EQ(all.heap.latest(), now + 20 * ms + 50 * us);
    all.heap.fire_due(at - 10 * ms);
    EXPECT_EQ(all.fired, (std::vector{2}));
    all.heap.set(exact, at + 200 * us); // ahead by little
    EXPECT_EQ(all.heap.latest(), at + 250 * us);
    all.heap.fire_due(at + 100 * us);
    EXPECT_EQ(all.fired, (std::vector{2})) << "the other would need a round of its own";
    EXPECT_EQ(all.heap.nearest(), at + 200 * us);
    all.heap.fire_due(at + 200 * us);
    EXPECT_EQ(all.fired, (std::vector{2, 3, 1}));
    EXPECT_TRUE(all.heap.empty());
}

TEST(timer_heap, the_end_of_time_is_not_passed) {
    recorder all;
    recorded last(all, 1);
    all.heap = timer_heap(50'000, coir::steady_now());
    all.heap.set(last, timer_heap::none - 1);
    EXPECT_EQ(all.heap.nearest(), timer_heap::none - 1);
    EXPECT_EQ(all.heap.latest(), timer_heap::none);
    all.heap.fire_due(timer_heap::none - 2);
    EXPECT_TRUE(last.set());
    all.heap.cancel(last);
}
