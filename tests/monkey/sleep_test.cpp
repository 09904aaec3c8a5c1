#include "tests/monkey/outcome.h"

#include <algorithm>
#include <ctime>
#include <functional>
#include <string>
#include <sys/wait.h>
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

// Two sleepers at once: only possible if neither blocks the thread.
void expect_overlap(std::function<void(unsigned microseconds)> const& sleep_for) {
    std::int64_t ends[2];
    int asleep = 0, most = 0;
    auto const sleeper = [&](int number, unsigned microseconds) {
        std::int64_t const begun = now();
        most = std::max(most, ++asleep);
        sleep_for(microseconds);
        --asleep;
        ends[number] = now() - begun;
    };
    auto one = coir::spawn([&] { sleeper(0, 20'000); }), other = coir::spawn([&] { sleeper(1, 1'000); });
    coir::joinall({one, other});
    EXPECT_EQ(most, 2);
    EXPECT_GE(ends[0], 20'000'000) << "woke early";
    EXPECT_GE(ends[1], 1'000'000) << "woke early";
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
    timespec const bad{0, -1};
    EXPECT_EQ(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &bad, nullptr), EINVAL);
    EXPECT_EQ(clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &good, nullptr), EOPNOTSUPP);
    clockid_t own;
    pthread_getcpuclockid(pthread_self(), &own);
    EXPECT_EQ(clock_nanosleep(own, 0, &good, nullptr), EINVAL) << "would wait for itself";
    EXPECT_EQ(errno, 0) << "clock_nanosleep returns its error and leaves errno alone";
}

// It passes because this fiber runs.
TEST(sleep, by_cpu_time_lets_others_use_it_up) {
    for (int const flags : {0, TIMER_ABSTIME}) {
        std::int64_t const begun = now(CLOCK_PROCESS_CPUTIME_ID), wanted = 5'000'000;
        timespec const time = flags ? after(CLOCK_PROCESS_CPUTIME_ID, wanted) : timespec{0, wanted};
        auto sleeper = coir::spawn([&] { return clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, flags, &time, nullptr); });
        until_parked(sleeper);
        while (!sleeper.ready()) coir::yield();
        EXPECT_EQ(sleeper.get(), 0);
        EXPECT_GE(now(CLOCK_PROCESS_CPUTIME_ID) - begun, wanted);
    }
}

// The time of a child that has stopped does not pass.
TEST(sleep, by_cpu_time_is_ended_by_a_handler_and_tells_what_is_left) {
    handler const usr1{SIGUSR1};
    pid_t const child = checked(fork(), "fork");
    if (child == 0) {
        raise(SIGSTOP);
        _exit(0);
    }
    EXPECT_EQ(waitpid(child, nullptr, WUNTRACED), child);
    clockid_t clock;
    ASSERT_EQ(clock_getcpuclockid(child, &clock), 0);
    timespec const wanted{100, 0};
    timespec left{};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return clock_nanosleep(clock, 0, &wanted, &left); }).result, EINTR);
    EXPECT_EQ(left.tv_sec, 100);
    kill(child, SIGKILL);
    EXPECT_EQ(waitpid(child, nullptr, 0), child);
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
