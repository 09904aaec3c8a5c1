#include "hub/offload.h"

#include "fiber/sanitizer.h"
#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/wait.h"
#include "tests/hub/gate.h"
#include "tests/rerun.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <gtest/gtest.h>
#include <memory>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;

TEST(offload, results_of_every_kind) {
    EXPECT_EQ(coir::offload([] { return 42; }), 42);
    EXPECT_EQ(*coir::offload([] { return std::make_unique<int>(3); }), 3);
    int ran = 0;
    coir::offload([&] { ++ran; });
    EXPECT_EQ(ran, 1);
    EXPECT_THROW(coir::offload([] { throw std::runtime_error("there"); }), std::runtime_error);
    EXPECT_THROW(coir::offload([]() -> int { throw 1; }), int);
}

TEST(offload, runs_elsewhere_without_a_hub_and_others_run_meanwhile) {
    auto const here = std::this_thread::get_id();
    gate held;
    auto waiting = coir::spawn([&] {
        coir::offload([&] {
            EXPECT_NE(std::this_thread::get_id(), here);
            EXPECT_EQ(coir::hub::existing(), nullptr);
            held.pass();
        });
    });
    auto beside = coir::spawn([&] { held.open(); });
    coir::joinall({waiting, beside});
}

TEST(offload, errno_goes_out_and_comes_back) {
    errno = EBUSY;
    coir::offload([] {
        EXPECT_EQ(errno, EBUSY);
        errno = ENOENT;
    });
    EXPECT_EQ(errno, ENOENT);
}

TEST(offload, workers_block_all_signals) {
    sigset_t before, mine;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    coir::offload([] {
        sigset_t now;
        pthread_sigmask(SIG_SETMASK, nullptr, &now);
        for (int signal : {SIGINT, SIGTERM, SIGALRM, SIGCHLD, SIGUSR1}) EXPECT_EQ(sigismember(&now, signal), 1);
    });
    pthread_sigmask(SIG_SETMASK, nullptr, &mine);
    for (int signal = 1; signal < 32; ++signal)
        EXPECT_EQ(sigismember(&before, signal), sigismember(&mine, signal)) << signal;
}

// The calls meet at a gate that only opens when as many run as may.
TEST(offload, DISABLED_three_workers) {
    ASSERT_EQ(coir::offload_limit(), 3u);
    gate held;
    std::atomic<int> running{0}, most{0};
    std::vector<coir::fiber<int>> all;
    for (int i = 0; i < 20; ++i)
        all.push_back(coir::spawn([&, i] {
            return coir::offload([&, i] {
                int const now = ++running;
                for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {}
                held.pass();
                --running;
                return i;
            });
        }));
    coir::yield();
    held.await(3);
    held.open();
    int sum = 0;
    for (auto& each : all) sum += each.get();
    EXPECT_EQ(sum, 190);
    EXPECT_EQ(most, 3);
}
TEST(offload, DISABLED_usual_limit) {
    EXPECT_EQ(coir::offload_limit(), 32u);
    EXPECT_EQ(coir::offload([] { return 42; }), 42);
}
TEST(offload, a_limit_that_is_none_is_told_once) {
    for (char const* const wrong : {"", "0", "-1", "1025", "ten", "3 "}) {
        auto const child = rerun("offload.DISABLED_usual_limit", {std::string("COIR_OFFLOAD_THREADS=") + wrong});
        EXPECT_TRUE(child.passed()) << child.output << child.error;
        EXPECT_EQ(child.error, "coir: COIR_OFFLOAD_THREADS: '" + std::string(wrong) +
                                   "' is no number from 1 to 1024; there are 32\n");
    }
}
TEST(offload, more_calls_than_workers_wait_their_turn) {
    auto const child = rerun("offload.DISABLED_three_workers", {"COIR_OFFLOAD_THREADS=3"});
    EXPECT_TRUE(child.passed()) << child.output << child.error;
}

TEST(offload, from_several_hubs) {
    std::vector<std::thread> threads;
    std::atomic<int> sum{0};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            std::vector<coir::fiber<int>> all;
            for (int i = 0; i < 100; ++i) all.push_back(coir::spawn([i] { return coir::offload([i] { return i; }); }));
            for (auto& each : all) sum += each.get();
        });
    for (auto& each : threads) each.join();
    EXPECT_EQ(sum, 4 * 4950);
}

// The worker has posted the result, but may not have left post() yet when the thread is over.
TEST(offload, is_the_last_thing_a_thread_does) {
    for (int i = 0; i < 300; ++i) std::thread([] { EXPECT_EQ(coir::offload([] { return 7; }), 7); }).join();
}

// The worker writes to the stack of the fiber that waits: the hub stays until that is over.
TEST(offload, is_still_under_way_when_the_thread_ends) {
    gate held;
    std::thread leaving([&] {
        coir::spawn([&] { coir::offload([&] { held.pass(); }); });
        coir::yield();
        held.await(1);
    });
    held.await(1);
    held.open();
    leaving.join();
}

// In the child no worker has the call: the fiber that waits for it is told, when nobody else is left.
TEST(offload, DISABLED_fork_meanwhile) {
    gate held;
    auto forking = coir::spawn([&] {
        held.await(1);
        pid_t const child = fork();
        if (child == 0) return; // main is left, and waits for what will never come
        held.open();
        int status;
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 9) << status;
    });
    pid_t const parent = getpid();
    try {
        coir::offload([&] { held.pass(); });
        EXPECT_EQ(getpid(), parent);
    } catch (coir::would_block_forever const&) {
        EXPECT_NE(getpid(), parent);
        _exit(9);
    }
    forking.get();
}
TEST(offload, a_call_of_before_the_fork_does_not_hang_the_child) {
#if COIR_TSAN
    GTEST_SKIP() << "ThreadSanitizer does not survive a fork with threads";
#endif
    auto const child = rerun("offload.DISABLED_fork_meanwhile");
    EXPECT_TRUE(child.passed()) << child.status << child.output << child.error;
}

TEST(offload, works_after_a_fork) {
#if COIR_TSAN
    GTEST_SKIP() << "ThreadSanitizer does not survive a fork with threads";
#endif
    EXPECT_EQ(coir::offload([] { return 1; }), 1);
    pid_t const child = fork();
    if (child == 0) {
        int const sum =
            coir::offload([] { return 2; }) + coir::spawn([] { return coir::offload([] { return 3; }); }).get();
        _exit(sum);
    }
    EXPECT_EQ(coir::offload([] { return 4; }), 4);
    int status;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 5);
}
