#include "hub/watchers.h"

#include "hub/event.h"
#include "hub/wait.h"
#include "tests/hub/watcher_fixture.h"
#include "tests/rerun.h"

#include <chrono>
#include <csignal>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using coir::event;
using coir::hub;
using namespace std::chrono_literals;

// What is the same for all kinds, shown with those that are the easiest to make happen.

TEST(watchers, a_callback_may_take_the_watcher_or_nothing) {
    hub::async one, other;
    event both;
    hub::async* given = nullptr;
    one.start([&](hub::async& self) { given = &self; });
    other.start([&] { both.set(); });
    one.send();
    other.send();
    both.wait();
    EXPECT_EQ(given, &one);
}

TEST(watchers, callbacks_run_in_turn_among_the_ready_fibers) {
    std::string order;
    event done;
    hub::timer watcher{0s};
    watcher.start([&] { order += 'w'; });
    coir::sleep(1ms); // the watcher was due before
    order += 'm';
    EXPECT_EQ(order, "wm");
}

TEST(watchers, a_callback_is_let_go_with_its_captures) {
    auto held = std::make_shared<int>(5);
    hub::async one;
    one.start([held] {});
    EXPECT_EQ(held.use_count(), 2);
    one.start([held, also = held] {});
    EXPECT_EQ(held.use_count(), 3) << "the second took the place of the first";
    one.stop();
    EXPECT_EQ(held.use_count(), 1);
    hub::timer once{0s};
    event rang;
    once.start([held, &rang] { rang.set(); });
    rang.wait();
    EXPECT_EQ(held.use_count(), 1) << "one that is over needs it no more";
}

TEST(watchers, a_callback_may_be_move_only) {
    hub::timer once{0s};
    event rang;
    once.start([&rang, owned = std::make_unique<int>(7)] {
        EXPECT_EQ(*owned, 7);
        rang.set();
    });
    rang.wait();
}

TEST(watchers, what_a_callback_throws_is_reported_and_the_hub_lives) {
    reports all;
    hub::timer often{0s, 1us};
    int calls = 0;
    event thrice;
    often.start([&] {
        if (++calls == 3) thrice.set();
        throw std::runtime_error("oh");
    });
    thrice.wait();
    often.stop();
    ASSERT_GE(all.seen.size(), 2u);
    EXPECT_EQ(all.seen[0], "a callback of a hub::timer");
}

TEST(watchers, a_callback_must_not_wait) {
    reports all;
    hub::timer once{0s};
    event reached;
    bool slept = false;
    once.start([&] {
        reached.set();
        coir::sleep(1us);
        slept = true;
    });
    reached.wait();
    EXPECT_FALSE(slept);
    EXPECT_EQ(all.seen.size(), 1u);
}

// Also with others ready, to whom a fiber would switch without a look at itself.
TEST(watchers, a_callback_must_not_yield) {
    reports all;
    hub::timer once{0s};
    hub::prepare before;
    bool went_on = false;
    auto const yields = [&] {
        before.stop();
        coir::spawn([] {});
        coir::yield();
        went_on = true;
    };
    once.start(yields);
    EXPECT_TRUE(once.wait());
    coir::yield();
    EXPECT_EQ(all.seen, std::vector<std::string>{"a callback of a hub::timer"});
    before.start(yields);
    EXPECT_TRUE(once.wait());
    EXPECT_EQ(all.seen.back(), "a callback of a hub::prepare");
    EXPECT_FALSE(went_on);
}

TEST(watchers, a_callback_may_destroy_its_watcher) {
    auto owned = std::make_unique<hub::timer>(0s, 1us);
    event gone;
    owned->start([&, witness = std::string(100, 'x')] {
        owned.reset();
        EXPECT_EQ(witness, std::string(100, 'x')) << "the callback outlives its own run";
        gone.set();
    });
    gone.wait();
    EXPECT_FALSE(owned);
    auto idle = std::make_unique<hub::idle>();
    auto next = std::make_unique<hub::idle>();
    gone.clear();
    idle->start([&] {
        idle.reset();
        next.reset(); // which would be called right after
        gone.set();
    });
    next->start([] { ADD_FAILURE() << "it was destroyed"; });
    gone.wait();
}

TEST(watchers, a_callback_may_start_it_again) {
    hub::timer once{0s};
    event done;
    int calls = 0;
    std::function<void()> again = [&] {
        EXPECT_FALSE(once.active());
        if (++calls == 3) return done.set();
        once.start([&] { again(); });
    };
    once.start([&] { again(); });
    done.wait();
    EXPECT_EQ(calls, 3);
}

TEST(watchers, stop_takes_back_what_happened_already) {
    hub::async one;
    event other_ran;
    hub::async stopper;
    stopper.start([&] {
        one.stop(); // its callback stands behind this one
        other_ran.set();
    });
    one.start([] { ADD_FAILURE() << "it was stopped"; });
    stopper.send();
    one.send();
    other_ran.wait();
    coir::yield();
    EXPECT_FALSE(one.active());
    one.start();
    EXPECT_FALSE(one.wait(1ms)) << "what happened before is forgotten";
}

TEST(watchers, several_fibers_wait_for_one_in_their_order) {
    hub::async one;
    std::string order;
    event all_wait;
    auto waiting = [&](char name) {
        return coir::spawn([&, name] {
            EXPECT_TRUE(one.wait());
            order += name;
        });
    };
    auto a = waiting('a'), b = waiting('b'), c = waiting('c');
    coir::yield();
    EXPECT_TRUE(one.active()) << "while they wait";
    one.send();
    coir::joinall({a, b, c});
    EXPECT_EQ(order, "abc");
    EXPECT_FALSE(one.active());
}

TEST(watchers, a_deadline_ends_a_wait_and_deactivates) {
    hub::async never;
    EXPECT_FALSE(never.wait(1ms));
    EXPECT_FALSE(never.active());
    EXPECT_FALSE(never.wait(0s));
    hub::timer late{1h};
    EXPECT_FALSE(late.wait(1us));
}

TEST(watchers, one_that_waits_is_killed) {
    hub::async never;
    bool cleaned = false;
    auto waiting = coir::spawn([&] {
        struct guard {
            bool& flag;
            ~guard() { flag = true; }
        } at_end{cleaned};
        never.wait();
    });
    coir::yield();
    EXPECT_TRUE(waiting.kill());
    EXPECT_TRUE(cleaned);
    EXPECT_FALSE(never.active());
    EXPECT_TRUE(waiting.successful()) << "fiber_exit";
}

TEST(watchers, killed_just_before_it_happens) {
    hub::async one;
    one.start();
    auto waiting = coir::spawn([&] { one.wait(); });
    coir::yield();
    one.send();
    waiting.kill({.block = false});
    waiting.join();
    EXPECT_TRUE(waiting.successful() && !waiting.returned()) << "by fiber_exit";
    EXPECT_TRUE(one.wait()) << "it is kept for who comes next";
}

TEST(watchers, a_timeout_just_after_it_happened) {
    bool granted = false, late = false;
    std::chrono::steady_clock::time_point passes;
    auto waiting = coir::spawn([&] {
        hub::timer one{0s};
        one.start(); // due before the timeout, however long this takes
        passes = std::chrono::steady_clock::now() + 1ms;
        coir::timeout const limit{passes};
        granted = one.wait();
        try {
            coir::sleep(10s);
        } catch (coir::timed_out const& which) {
            late = limit.raised(which);
        }
    });
    coir::yield();
    while (std::chrono::steady_clock::now() < passes) {} // the loop finds both due
    waiting.join();
    EXPECT_TRUE(granted);
    EXPECT_TRUE(late) << "by the next wait";
}

TEST(watchers, a_timeout_ends_a_wait) {
    hub::async never;
    EXPECT_FALSE(coir::with_timeout(1ms, [&] { never.wait(); }));
    EXPECT_FALSE(never.active());
}

TEST(watchers, what_happens_between_waits_is_kept_for_one_wait) {
    hub::async one;
    one.start();
    one.send();
    coir::sleep(1us);
    one.send();
    coir::sleep(1us);
    EXPECT_TRUE(one.wait(0s));
    EXPECT_FALSE(one.wait(1ms));
    one.stop();
    one.send();
    EXPECT_FALSE(one.wait(1ms)) << "inactive";
}

TEST(watchers, stop_leaves_those_who_wait) {
    hub::async one;
    one.start([] { ADD_FAILURE() << "it was stopped"; });
    auto waiting = coir::spawn([&] { return one.wait(); });
    coir::yield();
    one.stop();
    EXPECT_TRUE(one.active());
    one.send();
    EXPECT_TRUE(waiting.get());
}

TEST(watchers, the_wait_and_the_callback_both_learn) {
    hub::async one;
    int calls = 0;
    one.start([&] { ++calls; });
    auto waiting = coir::spawn([&] { return one.wait(); });
    coir::yield();
    one.send();
    EXPECT_TRUE(waiting.get());
    coir::yield();
    EXPECT_EQ(calls, 1);
}

TEST(watchers, belong_to_their_thread) {
    hub::timer mine{1h};
    std::thread([&] {
        EXPECT_THROW(mine.start([] {}), std::logic_error);
        EXPECT_THROW(mine.wait(1ms), std::logic_error);
        EXPECT_THROW(mine.again(), std::logic_error);
    }).join();
    EXPECT_FALSE(mine.active());
}

TEST(watchers, outlive_their_thread_as_inactive_ones) {
    std::optional<hub::timer> timer;
    std::optional<hub::async> async;
    std::optional<hub::signal> signal;
    std::optional<hub::stat> stat;
    std::optional<hub::idle> idle;
    std::optional<hub::io> io;
    pipe_ends nothing;
    std::thread([&] {
        timer.emplace(1h).start([] {});
        async.emplace().start([] {});
        signal.emplace(SIGUSR1).start([] {});
        stat.emplace("/tmp").start([] {});
        idle.emplace().start([] {});
        io.emplace(nothing.in(), hub::readable).start([] {});
        coir::sleep(1us);
    }).join();
    EXPECT_FALSE(timer->active() || async->active() || signal->active() || stat->active() || idle->active() ||
                 io->active());
    EXPECT_THROW(timer->start(), std::logic_error);
    async->send(); // nobody is there
    struct sigaction now;
    sigaction(SIGUSR1, nullptr, &now);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
    hub::signal mine{SIGUSR1};
    mine.start(); // nobody else's any more
    EXPECT_TRUE(mine.active());
}

TEST(watchers, DISABLED_destroyed_on_another_thread) {
    auto mine = std::make_unique<hub::timer>(1h);
    mine->start();
    std::thread([&] { mine.reset(); }).join();
}

TEST(watchers, destruction_on_another_thread_ends_the_program) {
    auto const child = rerun("watchers.DISABLED_destroyed_on_another_thread");
    EXPECT_FALSE(child.passed());
    EXPECT_NE(child.error.find("a hub::timer was stopped or destroyed on another thread"), std::string::npos)
        << child.error;
}

// What keeps the thread from being stuck.

TEST_ALONE(watchers, one_with_a_reference_is_waited_for) {
    hub::async one;
    std::thread sender;
    bool called = false;
    event never;
    one.start([&] {
        called = true;
        one.stop();
    });
    sender = std::thread([&] { one.send(); });
    sender.join();
    EXPECT_THROW(never.wait(), coir::would_block_forever);
    EXPECT_TRUE(called) << "not before it had happened and was stopped";
}

TEST_ALONE(watchers, one_without_a_reference_is_no_reason_to_wait) {
    pipe_ends nothing;
    event never;
    hub::async async;
    hub::timer timer{1h};
    hub::io io{nothing.in(), hub::readable};
    hub::signal signal{SIGUSR1};
    hub::stat stat{"/tmp"};
    hub::periodic periodic{std::chrono::system_clock::now() + 1h};
    hub::idle idle;
    hub::prepare prepare;
    hub::check check;
    hub::fork fork;
    auto const stuck = [&] { EXPECT_THROW(never.wait(), coir::would_block_forever); };
    auto const with = [&](auto& one) {
        bool const had = one.has_ref();
        one.unref();
        one.start([] {});
        stuck();
        one.ref();
        EXPECT_FALSE(never.wait(1ms));
        one.unref();
        stuck();
        one.stop();
        return had;
    };
    EXPECT_TRUE(with(async));
    EXPECT_TRUE(with(timer));
    EXPECT_TRUE(with(io));
    EXPECT_TRUE(with(signal));
    EXPECT_TRUE(with(stat));
    EXPECT_TRUE(with(periodic));
    EXPECT_TRUE(with(idle));
    EXPECT_FALSE(with(prepare));
    EXPECT_FALSE(with(check));
    EXPECT_FALSE(with(fork));
    stuck();
}

TEST_ALONE(watchers, a_deadlock_report_names_them) {
    hub::signal one{SIGUSR2};
    one.unref();
    std::string const number = std::to_string(SIGUSR2);
    try {
        one.wait();
        ADD_FAILURE();
    } catch (coir::would_block_forever const& error) {
        EXPECT_NE(std::string(error.what()).find("waits for signal " + number), std::string::npos) << error.what();
    }
    EXPECT_FALSE(one.active());
}

TEST_ALONE(watchers, a_hub_is_joined_when_those_with_a_reference_are_over) {
    hub::timer once{1ms};
    bool rang = false;
    once.start([&] { rang = true; });
    hub::timer forever{1us, 1us};
    forever.unref();
    forever.start([] {});
    EXPECT_TRUE(hub::current().join());
    EXPECT_TRUE(rang);
}
