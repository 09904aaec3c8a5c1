#include "fiber/sanitizer.h"
#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/wait.h"

#include <chrono>
#include <gtest/gtest.h>
#include <random>
#include <vector>

using namespace std::chrono_literals;

TEST(sleep, wakes_in_the_order_of_the_deadlines) {
    std::vector<int> order;
    for (auto margin = 1ms;; margin *= 2) { // until all sleep before the first is to wake
        auto const start = std::chrono::steady_clock::now() + margin;
        std::vector<coir::fiber<void>> all;
        for (int i : {3, 0, 4, 1, 2, 1})
            all.push_back(coir::spawn([&order, i, until = start + i * 1us] {
                coir::sleep(until);
                order.push_back(i);
            }));
        coir::yield();
        bool const in_time = order.empty() && std::chrono::steady_clock::now() < start;
        coir::joinall(all);
        if (in_time) break;
        order.clear();
    }
    EXPECT_EQ(order, (std::vector{0, 1, 1, 2, 3, 4}));
}

TEST(sleep, never_ends_early) {
    for (auto wait : {1ns, 999ns, 50'000ns, 1'000'000ns}) {
        auto const until = std::chrono::steady_clock::now() + wait;
        coir::sleep(until);
        EXPECT_GE(std::chrono::steady_clock::now(), until);
    }
}

TEST(sleep, of_nothing_or_less_lets_the_others_run) {
    int ran = 0;
    coir::spawn([&] { ++ran; });
    coir::sleep(0s);
    EXPECT_EQ(ran, 1);
    coir::spawn([&] { ++ran; });
    coir::sleep(-1h);
    EXPECT_EQ(ran, 2);
    coir::spawn([&] { ++ran; });
    coir::sleep(std::chrono::steady_clock::time_point{});
    EXPECT_EQ(ran, 3);
}

TEST(sleep, a_hundred_thousand_at_random) {
    constexpr int count = coir::sanitizer_threads ? 5'000 : 100'000; // ThreadSanitizer takes 8,128 fibers
    std::mt19937 random(3);
    std::vector<coir::fiber<int>> all;
    all.reserve(count);
    for (int i = 0; i < count; ++i)
        all.push_back(coir::spawn([i, wait = std::chrono::microseconds(random() % 200'000)] {
            coir::sleep(wait);
            return i;
        }));
    long sum = 0;
    for (auto& each : all) sum += each.get();
    EXPECT_EQ(sum, (count - 1L) * count / 2);
    EXPECT_EQ(coir::hub::current().alive(), 0u);
}
