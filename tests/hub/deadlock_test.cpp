// Whether anybody can still wake anybody is asked over all threads: hub/registry.h.

#include "tests/hub/deadlock.h"

#include "coir.h"
#include "tests/never_ended.h"
#include "tests/rerun.h"

#include <future>
#include <gtest/gtest.h>
#include <string>
#include <thread>

using namespace std::chrono_literals;

TEST_ALONE(deadlock, over_two_threads_is_found_and_names_the_fibers_of_both) {
    coir::event never;
    std::string of_the_other;
    std::thread other([&] {
        auto const waiting = coir::spawn({.name = "over there"}, [&] { never.wait(); });
        of_the_other = deadlock_of([&] { waiting.join(); });
        waiting.kill();
    });
    std::string const mine = deadlock_of([&] { never.wait(); });
    if (mine.empty()) ADD_FAILURE() << "went on";
    never.set(); // if it was found here, the other still hopes for this thread, which blocks
    other.join();
    for (auto const& report : {mine, of_the_other})
        EXPECT_TRUE(report.empty() || contains(report, "this would block forever:")) << report;
    EXPECT_TRUE(contains(mine + of_the_other, "on another thread:")) << mine << of_the_other;
    EXPECT_TRUE(contains(mine + of_the_other, "over there: parked, waits for event")) << mine << of_the_other;
}

TEST_ALONE(deadlock, is_none_while_another_thread_runs) {
    coir::event set;
    std::promise<void> go;
    std::thread other([&] {
        go.get_future().wait(); // has no hub: anything may come of it
        set.set();
    });
    coir::spawn([&] {
        coir::sleep(20ms); // longer than the first look for a deadlock
        go.set_value();
    });
    EXPECT_TRUE(set.wait());
    other.join();
}

TEST_ALONE(deadlock, is_found_when_the_thread_that_could_have_helped_ends) {
    coir::event never, here_waits;
    std::thread([&] { here_waits.wait(); }).detach();
    coir::spawn([&] {
        coir::sleep(20ms); // longer than the first look for a deadlock
        here_waits.set();
    });
    EXPECT_TRUE(contains(deadlock_of([&] { never.wait(); }), "waits for event"));
}

TEST_ALONE(deadlock, is_none_while_a_call_is_offloaded_and_idle_workers_are_no_help) {
    coir::event set;
    auto const it = coir::spawn([&] {
        coir::offload([] {});
        set.set();
    });
    EXPECT_TRUE(set.wait());
    it.join();
    set.clear();
    EXPECT_TRUE(contains(deadlock_of([&] { set.wait(); }), "waits for event")) << "a worker is left, and idle";
}

TEST_ALONE(deadlock, of_a_fiber_is_told_to_the_threads_own) {
    never_ended const left_behind;
    coir::event never;
    auto const stuck = coir::spawn({.name = "stuck"}, [&] { never.wait(); });
    EXPECT_TRUE(contains(deadlock_of([&] { stuck.join(); }), "stuck: parked, waits for event"));
    EXPECT_FALSE(stuck.ready()) << "it waits on";
    never.set();
    stuck.join();
}

TEST_ALONE(deadlock, is_found_beside_an_idle_worker_that_has_a_hub) {
    coir::thread_pool two{2};
    two.apply([] { coir::sleep(1us); });
    coir::event never;
    EXPECT_TRUE(contains(deadlock_of([&] { never.wait(); }), "waits for event"));
    coir::event set; // … and none while a worker, with a hub or without, has something to do
    auto const works = two.spawn([&] {
        coir::sleep(20ms);
        set.set();
    });
    EXPECT_TRUE(set.wait());
    works.get();
}

TEST_ALONE(deadlock, names_those_that_wait_in_a_generator_or_a_greenlet) {
    coir::event never, other;
    auto in_generator = coir::spawn({.name = "consumer"}, [&] {
        coir::generator<int> numbers{[&](auto& out) {
            never.wait();
            out.yield(1);
        }};
        numbers.next();
    });
    auto in_greenlet = coir::spawn({.name = "switcher"}, [&] {
        coir::greenlet waits([&] { never.wait(); });
        waits.switch_to();
    });
    coir::yield();
    std::string const report = deadlock_of([&] { other.wait(); });
    EXPECT_TRUE(contains(report, "consumer: switched away, in generator-")) << report;
    EXPECT_EQ(report.find(", waits for event\n", report.find("consumer")),
              report.find(", waits", report.find("consumer")))
        << report;
    EXPECT_TRUE(contains(report, "greenlet-")) << report;
    EXPECT_TRUE(contains(report, ": parked, waits for event\n")) << report;
    never.set();
    in_generator.join();
    in_greenlet.join();
    EXPECT_FALSE(contains(coir::hub::current().report(), "greenlet-"));
}
