#include "tests/monkey/fixture.h"

#include <ctime>
#include <functional>
#include <string>
#include <vector>

namespace {

std::int64_t now(clockid_t clock = CLOCK_MONOTONIC) {
    timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1'000'000'000ll + time.tv_nsec;
}

timespec after(clockid_t clock, std::int64_t ns) {
    std::int64_t const at = now(clock) + ns;
    return {at / 1'000'000'000, at % 1'000'000'000};
}

// Two sleepers of which the second to start is the first to wake: only possible if neither blocks the thread.
void expect_overlap(std::function<void(unsigned microseconds)> const& sleep_for) {
    std::string order;
    auto slow = coir::spawn([&] {
        sleep_for(20'000);
        order += "slow ";
    });
    auto quick = coir::spawn([&] {
        sleep_for(1'000);
        order += "quick ";
    });
    auto const begun = now();
    coir::joinall({slow, quick});
    EXPECT_EQ(order, "quick slow ");
    EXPECT_GE(now() - begun, 20'000'000) << "woke early";
}

} // namespace

TEST(sleep, usleep_lets_others_run) {
    expect_overlap([](unsigned microseconds) { EXPECT_EQ(usleep(microseconds), 0); });
}

TEST(sleep, nanosleep_lets_others_run) {
    expect_overlap([](unsigned microseconds) {
        timespec const wanted{0, long(microseconds) * 1000};
        EXPECT_EQ(nanosleep(&wanted, nullptr), 0);
    });
}

TEST(sleep, clock_nanosleep_lets_others_run) {
    for (clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME}) {
        expect_overlap([&](unsigned microseconds) {
            timespec const wanted{0, long(microseconds) * 1000};
            EXPECT_EQ(clock_nanosleep(clock, 0, &wanted, nullptr), 0);
        });
        expect_overlap([&](unsigned microseconds) {
            timespec const wanted = after(clock, microseconds * 1000ll);
            EXPECT_EQ(clock_nanosleep(clock, TIMER_ABSTIME, &wanted, nullptr), 0);
        });
    }
}

TEST(sleep, a_moment_that_has_passed_is_no_wait) {
    coir::hub::current();
    timespec const past{1, 0};
    EXPECT_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, nullptr), 0);
}

TEST(sleep, sleep_lets_others_run_and_returns_nothing_left) {
    bool done = false;
    auto sleeper = coir::spawn([&] {
        EXPECT_EQ(sleep(1), 0u);
        done = true;
    });
    until_parked(sleeper);
    EXPECT_FALSE(done);
    sleeper.join();
    EXPECT_TRUE(done);
}

TEST(sleep, bad_times_are_refused_as_libc_does) {
    coir::hub::current();
    for (timespec const bad : {timespec{0, 1'000'000'000}, timespec{0, -1}, timespec{-1, 0}}) {
        errno = 0;
        EXPECT_EQ(nanosleep(&bad, nullptr), -1);
        EXPECT_EQ(errno, EINVAL);
        EXPECT_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, nullptr), EINVAL);
    }
    errno = 0;
    timespec const good{0, 1};
    EXPECT_EQ(clock_nanosleep(12345, 0, &good, nullptr), EINVAL);
    EXPECT_EQ(errno, 0) << "clock_nanosleep returns its error and leaves errno alone";
}

TEST(sleep, sched_yield_gives_way) {
    std::string order;
    auto a = coir::spawn([&] {
        order += 'a';
        EXPECT_EQ(sched_yield(), 0);
        order += 'A';
    });
    auto b = coir::spawn([&] {
        order += 'b';
        EXPECT_EQ(sched_yield(), 0);
        order += 'B';
    });
    coir::joinall({a, b});
    EXPECT_EQ(order, "abAB");
}

TEST(sleep, a_threads_own_clock_is_refused_as_libc_does) {
    timespec const soon{0, 1};
    coir::spawn([&] { EXPECT_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &soon, nullptr), EINVAL); }).join();
}
