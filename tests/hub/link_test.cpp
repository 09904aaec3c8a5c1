#include "coir.h"

#include <chrono>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <thread>

using namespace std::chrono_literals;

TEST(link, all_are_called_once_in_their_order_with_those_who_join_between_them) {
    std::string log;
    coir::event go;
    auto const it = coir::spawn([&] { return go.wait(), 5; });
    it.link([&](coir::fiber<int> const& ended) { log += "a" + std::to_string(ended.get()); });
    it.rawlink([&](auto const& ended) {
        EXPECT_FALSE(coir::hub::in_fiber());
        log += ended.returned() ? " b" : "";
    });
    it.link_value([&](auto const&) { log += " c"; });
    it.link_exception([&](auto const&) { log += " never"; });
    auto const joining = coir::spawn([&] {
        it.join();
        log += " j";
    });
    coir::yield();
    it.link([&](auto const&) { log += " last"; });
    go.set();
    coir::idle();
    EXPECT_EQ(log, "a5 b c j last");
    EXPECT_TRUE(joining.ready());
}

TEST(link, tells_values_from_exceptions_and_an_exit_is_a_value) {
    std::string log;
    auto const failing = coir::spawn([] { throw 1; });
    auto const exiting = coir::spawn([] { throw coir::fiber_exit{}; });
    for (auto const& each : {failing, exiting}) {
        each.link_value([&](auto const&) { log += "value "; });
        each.link_exception([&](auto const& ended) { log += ended.exception() ? "exception " : "?"; });
    }
    coir::idle();
    EXPECT_EQ(log, "exception value ");
}

TEST(link, after_the_end_and_to_one_that_was_killed_before_it_began) {
    int calls = 0;
    auto const done = coir::spawn([] {});
    done.join();
    for (int i = 0; i < 3; ++i) done.link([&](auto const&) { ++calls; });
    auto const unbegun = coir::spawn([] {});
    unbegun.link([&](auto const&) { ++calls; });
    unbegun.kill();
    coir::idle();
    EXPECT_EQ(calls, 4);
}

TEST(link, that_was_taken_back_is_not_called) {
    std::string log;
    coir::fiber const it{[] {}};
    auto const first = it.link([&](auto const&) { log += "never"; });
    it.link([&](auto const&) { log += "a"; });
    it.unlink(first);
    it.start();
    it.join();
    coir::idle();
    it.unlink(first);
    EXPECT_EQ(log, "a");
}

TEST(link, may_wait_and_does_not_hold_up_the_next) {
    std::string log;
    coir::event go;
    auto const it = coir::spawn([] {});
    it.link([&](auto const&) {
        go.wait();
        log += "b";
    });
    it.link([&](auto const&) { log += "a"; });
    coir::idle();
    go.set();
    coir::idle();
    EXPECT_EQ(log, "ab");
}

TEST(link, what_it_throws_is_reported_and_the_others_are_called) {
    std::string reports;
    auto const before = coir::on_unhandled_exception([&](auto const& what) { reports += what.name + ";"; });
    bool called = false;
    {
        auto const it = coir::spawn([] {});
        it.rawlink([](auto const&) { throw 1; });
        it.link([](auto const&) { throw 2; });
        it.link([&](auto const&) { called = true; });
        coir::idle();
        EXPECT_NE(reports.find("a link of " + it.name()), std::string::npos) << reports;
    }
    coir::on_unhandled_exception(before);
    EXPECT_EQ(std::ranges::count(reports, ';'), 2) << reports;
    EXPECT_TRUE(called);
}

TEST(link, what_it_holds_goes_with_it) {
    auto const held = std::make_shared<int>();
    {
        coir::fiber const never{[] {}};
        never.link([held](auto const&) {});
        auto const it = coir::spawn([] {});
        it.link([held](auto const&) {});
        auto const taken_back = it.link([held](auto const&) {});
        it.unlink(taken_back);
        coir::idle();
    }
    EXPECT_EQ(held.use_count(), 1);
}

TEST(link, to_a_result) {
    coir::async_result<int> value, error;
    coir::async_result<void> nothing;
    auto const a = coir::spawn([] { return 5; });
    auto const b = coir::spawn([]() -> int { throw 6; });
    auto const c = coir::spawn([] {});
    a.link(std::ref(value));
    b.link(std::ref(error));
    c.link(std::ref(nothing));
    EXPECT_EQ(value.get(), 5);
    EXPECT_THROW(error.get(), int);
    nothing.get();
}

TEST(link, from_another_thread_is_called_on_the_fibers) {
    auto const here = std::this_thread::get_id();
    for (int i = 0; i < 50; ++i) {
        coir::event called;
        auto const it = coir::spawn([] { coir::yield(); });
        std::thread other([&] {
            it.rawlink([&](auto const&) { called.set(); });
            called.wait();
        });
        called.wait();
        other.join();
    }
    std::thread::id where;
    auto const it = coir::spawn([] { coir::sleep(1ms); });
    std::thread([&] { it.rawlink([&](auto const&) { where = std::this_thread::get_id(); }); }).join();
    it.join();
    coir::idle();
    EXPECT_EQ(where, here);
}

TEST(link, of_an_event_or_a_semaphore_or_a_result) {
    std::string log;
    coir::event set, never;
    coir::semaphore permits{0};
    coir::async_result<int> result;
    set.rawlink([&](coir::event& of) { log += of.is_set() ? "e" : "?"; });
    permits.rawlink([&](coir::semaphore& of) { log += std::to_string(of.value()); });
    result.rawlink([&](coir::async_result<int>& of) { log += std::to_string(*of.value()); });
    never.rawlink([&](auto&) { log += "never"; });
    auto const taken_back = set.rawlink([&](auto&) { log += "never"; });
    set.unlink(taken_back);
    set.set();
    permits.release();
    result.set(7);
    auto const about_to_be_called = set.rawlink([&](auto&) { log += "never"; });
    set.unlink(about_to_be_called);
    EXPECT_EQ(log, "") << "the hub calls them";
    coir::idle();
    EXPECT_EQ(log, "e17");
    EXPECT_EQ(permits.value(), 1u) << "who only looks takes nothing";
}

// The hub that calls it may have done so, and freed it, before set() is done with it.
TEST(link, of_an_event_that_another_thread_sets) {
    for (int i = 0; i < 200; ++i) {
        coir::event set;
        coir::latch called{4};
        for (int links = 0; links < 4; ++links) set.rawlink([&](auto&) { called.count_down(); });
        std::thread other([&] { set.set(); });
        called.wait();
        other.join();
    }
}
