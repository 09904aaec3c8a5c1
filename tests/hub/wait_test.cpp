#include "coir.h"
#include "tests/hub/deadlock.h"
#include "tests/never_ended.h"
#include "tests/rerun.h"

#include <chrono>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

TEST(wait, over_a_mixture_in_the_order_of_completion) {
    coir::event set;
    coir::semaphore permits{0};
    coir::async_result<int> result;
    auto const fiber = coir::spawn([&] {
        result.set(1);
        set.set();
        permits.release();
    });
    std::vector<coir::waitable> const all{set, permits, result, fiber};
    EXPECT_EQ(coir::wait(all), (std::vector<coir::waitable>{result, set, permits, fiber}));
    EXPECT_EQ(permits.value(), 1u) << "nothing was taken";
    EXPECT_EQ(coir::wait(all).size(), 4u) << "what is ready is ready";
}

TEST(wait, until_a_deadline_or_for_some) {
    coir::event set, never;
    set.set();
    EXPECT_EQ(coir::wait({never, set}, {.until = 1us}), (std::vector<coir::waitable>{set}));
    EXPECT_EQ(coir::wait({never, set}, {.count = 1}), (std::vector<coir::waitable>{set}));
    EXPECT_TRUE(coir::wait({never, set}, {.count = 0}).empty());
    EXPECT_TRUE(coir::wait(std::vector<coir::waitable>{}).empty());
}

TEST(iwait, waits_at_each_step_only_as_long_as_it_must) {
    std::string log;
    std::vector<coir::fiber<char>> all;
    for (char const name : {'a', 'b', 'c'})
        all.push_back(coir::spawn([name] {
            for (char each = 'c'; each > name; --each) coir::yield();
            return name;
        }));
    for (auto const& each : coir::iwait(all)) {
        log += each.get();
        if (log.size() == 2) break;
    }
    EXPECT_EQ(log, "cb");
    coir::joinall(all);
}

TEST(iwait, goes_on_after_what_interrupted_it) {
    coir::event one, other;
    auto const it = coir::spawn([&] {
        auto things = coir::iwait({one, other});
        EXPECT_THROW(things.begin(), int);
        auto const first = things.begin();
        EXPECT_TRUE(*first == one);
    });
    coir::yield();
    it.kill({.error = std::make_exception_ptr(1), .block = false});
    one.set(); // after the kill: what was ready is still there
    it.get();
}

TEST(joinall, those_that_ended_in_that_order) {
    auto const slow = coir::spawn([] { return coir::yield(), 1; });
    auto const fast = coir::spawn([] { return 2; });
    EXPECT_EQ(coir::joinall({slow, fast}, {}), (std::vector<coir::any_fiber>{fast, slow}));
    coir::event go;
    auto const never = coir::spawn([&] { go.wait(); });
    EXPECT_EQ(coir::joinall({never, fast}, {.until = 1us}), (std::vector<coir::any_fiber>{fast}));
    EXPECT_EQ(coir::joinall({never, fast, slow}, {.count = 1}).size(), 1u);
    go.set();
    never.join();
}

TEST(joinall, throws_the_first_error_if_it_is_to) {
    coir::event go;
    auto const failing = coir::spawn([] { throw 7; });
    auto const never = coir::spawn([&] { go.wait(); });
    EXPECT_THROW(coir::joinall({never, failing}, {.raise_error = true}), int);
    EXPECT_EQ(coir::joinall({failing}, {}).size(), 1u);
    go.set();
    never.join();
}

TEST(wait, one_thing_in_several_waits_and_twice_in_one) {
    coir::event set;
    int woken = 0;
    std::vector<coir::fiber<void>> all;
    for (int i = 0; i < 3; ++i) all.push_back(coir::spawn([&] { woken += int(coir::wait({set, set}).size()); }));
    coir::yield();
    set.set();
    coir::joinall(all);
    EXPECT_EQ(woken, 6);
}

TEST(wait, for_things_that_other_threads_end) {
    for (int i = 0; i < 50; ++i) {
        coir::event set;
        coir::semaphore permits{0};
        coir::async_result<int> result;
        std::thread a([&] { set.set(); });
        std::thread b([&] {
            permits.release();
            result.set(1);
        });
        EXPECT_EQ(coir::wait({set, permits, result}).size(), 3u);
        a.join();
        b.join();
    }
}

TEST_ALONE(wait, for_all_fibers_of_the_thread) {
    EXPECT_TRUE(coir::wait());
    bool done = false;
    coir::spawn([&] {
        coir::sleep(1us);
        done = true;
    });
    EXPECT_TRUE(coir::wait(1h));
    EXPECT_TRUE(done);
    coir::event go;
    auto const stuck = coir::spawn([&] { go.wait(); });
    EXPECT_TRUE(coir::wait()) << "none of them can go on";
    auto const sleeping = coir::spawn([] { coir::sleep(1h); });
    EXPECT_FALSE(coir::wait(1us));
    go.set();
    coir::killall({stuck, sleeping});
}
