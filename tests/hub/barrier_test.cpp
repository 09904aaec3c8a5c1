#include "hub/barrier.h"

#include "coir.h"

#include <atomic>
#include <gtest/gtest.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

TEST(barrier, lets_all_through_when_the_last_comes_and_begins_anew) {
    coir::barrier it{3};
    std::string log;
    std::vector<coir::fiber<void>> all;
    for (char const name : {'a', 'b', 'c'})
        all.push_back(coir::spawn([&, name] {
            for (int round = 0; round < 2; ++round) {
                log += name;
                log += std::to_string(it.arrive_and_wait());
            }
        }));
    coir::joinall(all);
    EXPECT_EQ(log, "abc0c2a1b021") << "how many were missing";
    EXPECT_EQ(it.waiting(), 0u);
    EXPECT_EQ(it.parties(), 3u);
}

TEST(barrier, breaks_when_one_gives_up) {
    coir::barrier it{3};
    auto const waiting = coir::spawn([&] { EXPECT_THROW(it.arrive_and_wait(), coir::broken_barrier); });
    auto const killed = coir::spawn([&] { it.arrive_and_wait(); });
    coir::yield();
    EXPECT_EQ(it.waiting(), 2u);
    killed.kill();
    waiting.get();
    EXPECT_TRUE(it.broken());
    EXPECT_THROW(it.arrive_and_wait(), coir::broken_barrier);
    it.reset();
    EXPECT_THROW(it.arrive_and_wait(1us), coir::broken_barrier);
    EXPECT_TRUE(it.broken());
    it.reset();
    auto const refused = coir::spawn([&] { EXPECT_THROW(it.arrive_and_wait(), coir::broken_barrier); });
    coir::yield();
    it.abort();
    refused.get();
    EXPECT_THROW(coir::barrier(0), std::invalid_argument);
}

// It has arrived: the others go through, so it does, too, and its round is over.
TEST(barrier, one_that_is_killed_or_late_before_the_last_comes_but_runs_after_goes_through) {
    for (bool const kills : {true, false}) {
        coir::barrier it{2};
        std::size_t missing = 7;
        auto const first = coir::spawn([&] {
            missing = kills ? it.arrive_and_wait() : it.arrive_and_wait(50us);
            coir::yield();
        });
        coir::yield();
        if (kills)
            first.kill({.block = false});
        else
            for (auto const end = std::chrono::steady_clock::now() + 100us; std::chrono::steady_clock::now() < end;) {}
        EXPECT_EQ(it.arrive_and_wait(), 0u);
        first.join();
        EXPECT_EQ(missing, 1u);
        EXPECT_FALSE(it.broken());
        EXPECT_EQ(first.returned(), !kills) << "the kill is thrown by the next wait";
    }
}

TEST(barrier, one_that_is_killed_after_a_reset_does_not_break_the_next_round) {
    coir::barrier it{2};
    auto const first = coir::spawn([&] { it.arrive_and_wait(); });
    coir::yield();
    first.kill({.block = false});
    it.reset();
    first.join();
    EXPECT_FALSE(it.broken());
    auto const second = coir::spawn([&] { return it.arrive_and_wait(); });
    coir::yield();
    EXPECT_EQ(it.arrive_and_wait(), 0u);
    EXPECT_EQ(second.get(), 1u);
}

TEST(barrier, of_threads) {
    coir::barrier it{3};
    std::atomic<int> arrived{0};
    std::vector<std::thread> all;
    for (int t = 0; t < 3; ++t)
        all.emplace_back([&] {
            for (int round = 1; round <= 100; ++round) {
                ++arrived;
                it.arrive_and_wait();
                EXPECT_GE(arrived, 3 * round);
                it.arrive_and_wait();
            }
        });
    for (auto& each : all) each.join();
}

TEST(latch, opens_once_and_stays_open) {
    coir::latch it{2};
    EXPECT_FALSE(it.try_wait());
    EXPECT_FALSE(it.wait(0s));
    it.count_down();
    EXPECT_THROW(it.count_down(2), std::logic_error);
    auto const last = coir::spawn([&] { return it.arrive_and_wait(); });
    EXPECT_TRUE(it.wait());
    EXPECT_TRUE(it.try_wait() && last.get());
    EXPECT_TRUE(coir::latch(0).wait());
}
