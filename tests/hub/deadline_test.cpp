#include "hub/deadline.h"

#include <chrono>
#include <gtest/gtest.h>
#include <limits>

using coir::deadline;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

TEST(deadline, is_never_by_default_and_for_what_no_clock_can_hold) {
    EXPECT_TRUE(deadline{}.is_never());
    EXPECT_TRUE(deadline(steady_clock::time_point::max()).is_never());
    EXPECT_TRUE(deadline(std::chrono::hours::max()).is_never());
    EXPECT_TRUE(deadline(std::chrono::nanoseconds::max()).is_never());
    EXPECT_TRUE(deadline(std::chrono::duration<double>(std::numeric_limits<double>::infinity())).is_never());
}

TEST(deadline, counts_durations_from_now) {
    auto const before = coir::steady_now();
    deadline const soon(5s);
    auto const after = coir::steady_now();
    EXPECT_GE(soon.ns(), before + 5'000'000'000);
    EXPECT_LE(soon.ns(), after + 5'000'000'000);
    EXPECT_LT(soon, deadline(10s));
    EXPECT_LT(deadline(10s), deadline::never());
}

TEST(deadline, rounds_up_and_never_into_the_past) {
    auto const before = coir::steady_now();
    EXPECT_GE(deadline(std::chrono::duration<double, std::nano>(0.5)).ns(), before + 1);
    EXPECT_GE(deadline(-5s).ns(), before);
    auto const over = deadline(std::chrono::hours::min()).ns();
    EXPECT_LE(over, coir::steady_now());
}

TEST(deadline, a_moment_is_itself) {
    auto const moment = steady_clock::now() - 3s;
    EXPECT_EQ(deadline(moment).ns(), moment.time_since_epoch().count());
    EXPECT_EQ(deadline::at(17).ns(), 17);
}
