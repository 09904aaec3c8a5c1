#include "hub/thread_pool.h"

#include "fiber/sanitizer.h"
#include "hub/event.h"
#include "hub/fiber.h"
#include "hub/offload.h"
#include "hub/select.h"
#include "hub/semaphore.h"
#include "hub/timeout.h"
#include "tests/hub/gate.h"
#include "tests/rerun.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <gtest/gtest.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using coir::thread_pool;
using namespace std::chrono_literals;

namespace {

struct tried {}; // an error

int exit_status_of(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
}

} // namespace

TEST(thread_pool, results_of_every_kind) {
    thread_pool two{2};
    EXPECT_EQ(two.spawn([](int a, int b) { return a + b; }, 1, 2).get(), 3);
    EXPECT_EQ(*two.spawn([](std::unique_ptr<int> n) { return n; }, std::make_unique<int>(3)).get(), 3);
    EXPECT_EQ(two.apply([](std::string const& text) { return text + "!"; }, "so"), "so!");
    std::atomic<int> ran{0};
    two.spawn([&] { ++ran; }).get();
    two.apply([&] { ++ran; });
    EXPECT_EQ(ran, 2);
    EXPECT_THROW(two.apply([]() -> int { throw tried{}; }), tried);
    EXPECT_THROW(two.spawn([] { throw tried{}; }).get(), tried);
    EXPECT_EQ(two.map([](int n) { return n * n; }, {3, 1, 2}), (std::vector{9, 1, 4}));
    two.map([&](int n) { ran += n; }, {1, 2, 3});
    EXPECT_EQ(ran, 8);
}

TEST(thread_pool, a_result_stays_and_its_handles_say_how_it_is) {
    thread_pool one{1};
    gate held;
    auto const result = one.spawn([&] { return held.pass(), std::string("done"); });
    auto const copy = result;
    EXPECT_TRUE(result);
    EXPECT_FALSE(coir::thread_result<int>());
    EXPECT_TRUE(copy == result);
    EXPECT_FALSE(result.ready());
    EXPECT_FALSE(result.wait(1ms));
    EXPECT_THROW(result.get(1ms), coir::timed_out);
    EXPECT_EQ(result.value(), nullptr);
    held.open();
    EXPECT_EQ(result.get(), "done");
    EXPECT_EQ(copy.get(), "done");
    EXPECT_TRUE(copy.ready() && copy.successful() && copy.wait());
    EXPECT_EQ(*copy.value(), "done");
    EXPECT_EQ(copy.exception(), nullptr);
    auto const failed = one.spawn([] { throw tried{}; });
    EXPECT_TRUE(failed.wait());
    EXPECT_FALSE(failed.successful());
    EXPECT_NE(failed.exception(), nullptr);
}

TEST(thread_pool, runs_elsewhere_without_a_hub_and_others_run_meanwhile) {
    thread_pool one{1};
    auto const here = std::this_thread::get_id();
    gate held;
    auto const beside = coir::spawn([&] { held.open(); });
    one.apply([&] {
        EXPECT_NE(std::this_thread::get_id(), here);
        EXPECT_EQ(coir::hub::existing(), nullptr);
        sigset_t blocked;
        pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
        EXPECT_EQ(sigismember(&blocked, SIGTERM), 1);
        held.pass();
    });
    EXPECT_TRUE(beside.join());
}

TEST(thread_pool, has_as_many_threads_as_are_needed_up_to_its_size) {
    thread_pool three{3};
    EXPECT_EQ(three.maxsize(), 3u);
    EXPECT_EQ(three.size(), 0u);
    gate held;
    std::atomic<int> running{0}, most{0};
    auto const feeder = coir::spawn([&] {
        std::vector<coir::thread_result<void>> all;
        for (int i = 0; i < 20; ++i)
            all.push_back(three.spawn([&] {
                int const now = ++running;
                for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {}
                held.pass();
                --running;
            }));
        return all;
    });
    coir::yield();
    held.await(3);
    EXPECT_EQ(three.size(), 3u);
    EXPECT_FALSE(feeder.ready()) << "spawn waits where there is enough to do";
    EXPECT_EQ(three.unfinished(), 4u);
    held.open();
    EXPECT_EQ(feeder.get().size(), 20u);
    EXPECT_TRUE(three.join());
    EXPECT_EQ(three.unfinished(), 0u);
    EXPECT_EQ(most, 3);
    EXPECT_THROW(thread_pool{0}, std::invalid_argument);
}

// The call has all it needs: who waits for it leaves at once, and nothing waits for it when the pool goes.
TEST(thread_pool, who_waits_is_killed_at_once_and_the_call_goes_on) {
    gate held, reached;
    auto const shared = std::make_shared<int>(1);
    std::weak_ptr<int> const watched = shared;
    {
        thread_pool one{1};
        auto const waiting =
            coir::spawn([&, shared] { return one.apply([&held, shared] { return held.pass(), shared; }); });
        coir::yield();
        held.await(1);
        waiting.kill();
        EXPECT_TRUE(waiting.ready());
        EXPECT_FALSE(coir::with_timeout(1ms, [&] { return one.apply([&reached] { reached.open(); }); }));
    }
    EXPECT_GT(shared.use_count(), 1);
    held.open();
    reached.pass(); // what was spawned is called, also after the pool has gone
    while (shared.use_count() > 1) std::this_thread::yield();
}

TEST(thread_pool, a_killed_spawner_takes_no_place) {
    thread_pool one{1};
    gate held;
    one.spawn([&] { held.pass(); });
    one.spawn([] {});
    std::atomic<bool> ran{false};
    auto const killed = coir::spawn([&] { one.spawn([&] { ran = true; }); });
    coir::yield();
    EXPECT_FALSE(killed.ready());
    killed.kill();
    held.open();
    EXPECT_TRUE(one.join());
    EXPECT_EQ(one.apply([] { return 1; }), 1);
    EXPECT_FALSE(ran);
}

TEST(thread_pool, join_comes_after_all_that_a_call_holds_is_gone) {
    thread_pool two{2};
    for (int i = 0; i < 200; ++i) {
        auto const held = std::make_shared<int>(i);
        two.spawn([held] {});
        two.spawn([](auto const&) {}, held);
        EXPECT_TRUE(two.join());
        EXPECT_EQ(held.use_count(), 1);
    }
    gate closed;
    two.spawn([&] { closed.pass(); });
    EXPECT_FALSE(two.join(1ms));
    closed.open();
    EXPECT_TRUE(two.join());
}

TEST(thread_pool, several_wait_for_one_together_with_other_things) {
    thread_pool one{1};
    gate held;
    auto const result = one.spawn([&] { return held.pass(), 5; });
    int linked = 0;
    result.rawlink([&](auto const& ended) { linked += *ended.value(); });
    auto const taken_back = result.rawlink([&](auto const&) { linked += 100; });
    result.unlink(taken_back);
    coir::event never;
    std::vector<coir::fiber<int>> waiters;
    for (int i = 0; i < 3; ++i) waiters.push_back(coir::spawn([&] { return result.get(); }));
    auto const selecting = coir::spawn([&] { return coir::select(never.on_set(), result.on_set()); });
    coir::yield();
    held.open();
    auto const first = coir::wait({coir::waitable(never), result}, {.count = 1});
    ASSERT_EQ(first.size(), 1u);
    EXPECT_TRUE(first.front() == coir::waitable(result));
    for (auto& each : waiters) EXPECT_EQ(each.get(), 5);
    EXPECT_EQ(selecting.get(), 1u);
    coir::idle();
    EXPECT_EQ(linked, 5);
}

TEST(thread_pool, a_link_keeps_the_result_that_it_is_to_see) {
    thread_pool one{1};
    coir::event seen;
    one.spawn([] { return std::string("seen"); }).rawlink([&](auto const& ended) {
        EXPECT_EQ(ended.get(), "seen");
        seen.set();
    });
    EXPECT_TRUE(seen.wait());
}

TEST(thread_pool, imap_in_order_and_as_they_come) {
    thread_pool three{3};
    gate first_may;
    auto const body = [&](int n) {
        if (n == 0) first_may.pass();
        return n == 3 ? throw tried{} : n;
    };
    std::vector<int> const numbers{0, 1, 2};
    auto coming = three.imap_unordered(body, numbers);
    EXPECT_EQ(*coming.next() + *coming.next(), 3);
    first_may.open();
    EXPECT_EQ(coming.next(), 0);
    EXPECT_EQ(coming.next(), std::nullopt);
    std::vector<int> all;
    try {
        for (int each : three.imap(body, {2, 1, 0, 3, 4}, 2)) all.push_back(each);
        ADD_FAILURE();
    } catch (tried const&) {}
    EXPECT_EQ(all, (std::vector{2, 1, 0}));
    EXPECT_TRUE(three.join());
}

TEST(thread_pool, breaking_out_of_imap_lets_go_of_the_range) {
    thread_pool two{2};
    gate held;
    {
        std::vector<int> const numbers(100, 1);
        for (int each : two.imap_unordered([&](int n) { return n ? n : (held.pass(), n); }, numbers)) {
            EXPECT_EQ(each, 1);
            break;
        }
    }
    held.open();
    EXPECT_TRUE(two.join());
}

// All would wait for each other if they did not call at once.
TEST(thread_pool, apply_and_map_on_its_own_threads) {
    thread_pool two{2};
    auto const inner = [&](int n) {
        auto const here = std::this_thread::get_id();
        return two.apply([=] { return std::this_thread::get_id() == here ? n : -1; });
    };
    EXPECT_EQ(two.map(
                  [&](int n) {
                      return two.map(inner, {n, n + 1});
                  },
                  {1, 2, 3}),
              (std::vector<std::vector<int>>{{1, 2}, {2, 3}, {3, 4}}));
    std::atomic<int> ran{0};
    two.map(
        [&](int) {
            for (int i = 0; i < 10; ++i) two.spawn([&] { ++ran; });
        },
        {1, 2, 3});
    EXPECT_TRUE(two.join());
    EXPECT_EQ(ran, 30);
    thread_pool other{1};
    EXPECT_EQ(two.apply([&] { return other.apply([] { return 1; }); }), 1) << "another pool's is waited for";
}

TEST(thread_pool, the_shared_one_uses_the_threads_of_offload) {
    thread_pool& shared = thread_pool::shared();
    EXPECT_EQ(&shared, &thread_pool::shared());
    EXPECT_EQ(shared.maxsize(), coir::offload_limit());
    EXPECT_EQ(shared.apply([] { return 1; }) + coir::offload([] { return 2; }), 3);
    EXPECT_EQ(coir::offload([&] { return shared.apply([] { return 3; }); }), 3);
    EXPECT_EQ(shared.size(), coir::shared_workers().size());
}

TEST(thread_pool, from_several_threads_with_hubs_and_without) {
    thread_pool three{3};
    std::atomic<int> sum{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            if (t % 2)
                for (int i = 0; i < 100; ++i) sum += three.spawn([i] { return i; }).get();
            else {
                std::vector<coir::fiber<int>> all;
                for (int i = 0; i < 100; ++i)
                    all.push_back(coir::spawn([&, i] { return three.apply([i] { return i; }); }));
                for (auto& each : all) sum += each.get();
            }
        });
    for (auto& each : threads) each.join();
    EXPECT_EQ(sum, 4 * 4950);
}

TEST(thread_pool, is_the_last_thing_a_thread_does) {
    for (int i = 0; i < 200; ++i)
        std::thread([] {
            thread_pool one{1};
            EXPECT_EQ(one.apply([] { return 7; }), 7);
        }).join();
}

TEST(thread_pool, exceptions_that_nobody_asks_for_are_reported) {
    std::atomic<int> reports{0};
    auto const before = coir::on_unhandled_exception([&](auto const&) { ++reports; });
    {
        thread_pool one{1};
        one.spawn([] { throw tried{}; });
        EXPECT_TRUE(one.join());
        EXPECT_EQ(reports, 1);
        auto const seen = one.spawn([] { throw tried{}; });
        EXPECT_TRUE(seen.wait());
        EXPECT_NE(seen.exception(), nullptr);
        EXPECT_THROW(one.apply([] { throw tried{}; }), tried);
        {
            coir::semaphore begun{0};
            auto const dropped = one.imap([&](int) { begun.release(), throw tried{}; }, {1, 2}, 2);
            for (int i = 0; i < 2; ++i) begun.acquire();
            EXPECT_TRUE(one.join());
        }
    }
    EXPECT_EQ(reports, 3);
    coir::on_unhandled_exception(before);
}

// The hub has nothing to wait for but the thread: it is never told that nobody will wake it.
TEST_ALONE(thread_pool, is_no_deadlock_while_a_thread_has_something_to_do) {
    thread_pool two{2};
    for (int i = 0; i < 20000; ++i) ASSERT_EQ(two.spawn([i] { return i; }).get(), i);
    coir::event set_elsewhere;
    for (int i = 0; i < 2000; ++i) {
        std::thread([&] { set_elsewhere.set(); }).detach();
        set_elsewhere.wait();
        set_elsewhere.clear();
    }
}

TEST_ALONE(thread_pool, would_block_forever_when_its_threads_are_idle) {
    thread_pool two{2};
    EXPECT_EQ(two.apply([] { return 1; }), 1);
    coir::event never;
    EXPECT_THROW(never.wait(), coir::would_block_forever);
}

TEST(thread_pool, begins_anew_in_a_forked_child) {
#if COIR_TSAN
    GTEST_SKIP() << "ThreadSanitizer does not survive a fork with threads";
#endif
    thread_pool one{1};
    gate held;
    auto const before = one.spawn([&] { return held.pass(), 1; });
    held.await(1);
    pid_t const child = fork();
    if (child == 0) {
        if (one.unfinished() != 0 || one.size() != 0 || one.maxsize() != 1) _exit(1);
        if (one.apply([] { return 2; }) != 2 || one.spawn([] { return 3; }).get() != 3) _exit(2);
        if (!one.join() || thread_pool::shared().apply([] { return 4; }) != 4) _exit(3);
        if (before.wait(1ms)) _exit(4);
        try {
            before.get();
            _exit(5);
        } catch (coir::would_block_forever const&) {}
        {
            thread_pool another{2};
            if (another.apply([] { return 5; }) != 5) _exit(6);
        }
        _exit(0);
    }
    held.open();
    EXPECT_EQ(exit_status_of(child), 0);
    EXPECT_EQ(before.get(), 1);
    EXPECT_EQ(one.apply([] { return 2; }), 2);
}

// The child of a thread of the pool has that thread, which goes on with its call.
TEST(thread_pool, one_of_its_threads_forks) {
#if COIR_TSAN
    GTEST_SKIP() << "ThreadSanitizer does not survive a fork with threads";
#endif
    thread_pool one{1};
    EXPECT_EQ(one.apply([&] {
        pid_t const child = fork();
        if (child == 0) _exit(one.apply([] { return 6; }));
        return exit_status_of(child);
    }),
              6);
}
