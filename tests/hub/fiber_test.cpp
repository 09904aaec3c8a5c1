#include "hub/fiber.h"

#include "hub/barrier.h"
#include "hub/event.h"
#include "hub/hub.h"
#include "hub/wait.h"

#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::string report_of(auto&& action) {
    testing::internal::CaptureStderr();
    action();
    return testing::internal::GetCapturedStderr();
}

int free_function(int a, int b) { return a - b; }

} // namespace

TEST(fiber, run_in_the_order_of_spawning_once_the_caller_parks) {
    std::string order;
    std::vector<coir::fiber<void>> all;
    for (char name : std::string("abc")) all.push_back(coir::spawn([&order, name] { order += name; }));
    EXPECT_EQ(order, "");
    coir::joinall(all);
    EXPECT_EQ(order, "abc");
}

TEST(fiber, results_of_every_kind) {
    EXPECT_EQ(coir::spawn([] { return 42; }).get(), 42);
    EXPECT_EQ(*coir::spawn([] { return std::make_unique<int>(3); }).get(), 3);
    coir::spawn([] {}).get();
    int variable = 0;
    auto reference = coir::spawn([&]() -> int& { return variable; });
    EXPECT_EQ(&reference.get(), &variable);
    auto kept = coir::spawn([] { return std::string("kept"); });
    EXPECT_EQ(kept.get(), "kept");
    kept.get() += "!";
    EXPECT_EQ(kept.get(), "kept!") << "an lvalue handle refers to the result";
    EXPECT_TRUE(kept.successful());
    EXPECT_EQ(coir::spawn([] { return std::make_unique<int>(1); }).exception(), nullptr);
}

TEST(fiber, callables_and_arguments_of_every_kind) {
    EXPECT_EQ(coir::spawn(free_function, 5, 2).get(), 3);
    auto moved = std::make_unique<int>(9);
    EXPECT_EQ(coir::spawn([](std::unique_ptr<int> p) { return *p; }, std::move(moved)).get(), 9);
    EXPECT_EQ(moved, nullptr);
    std::string text = "before";
    auto copied = coir::spawn([](std::string s) { return s; }, text);
    text = "after";
    EXPECT_EQ(copied.get(), "before");
    auto referred = coir::spawn([](std::string& s) { s += "!"; }, std::ref(text));
    referred.get();
    EXPECT_EQ(text, "after!");
    struct type {
        int value;
        int twice() const { return 2 * value; }
    };
    EXPECT_EQ(coir::spawn(&type::twice, type{4}).get(), 8);
    EXPECT_EQ(coir::spawn([mine = std::make_unique<int>(6)] { return *mine; }).get(), 6);
}

TEST(fiber, function_and_arguments_go_when_the_function_has_returned) {
    auto witness = std::make_shared<int>();
    auto f = coir::spawn([](std::shared_ptr<int>) {}, witness);
    auto g = coir::spawn([witness] { throw 1; });
    EXPECT_EQ(witness.use_count(), 3);
    coir::joinall({f, g});
    EXPECT_EQ(witness.use_count(), 1) << "though the handles are still there";
    EXPECT_TRUE(g.exception());
}

TEST(fiber, the_result_goes_with_the_last_handle) {
    auto witness = std::make_shared<int>();
    auto f = coir::spawn([witness] { return witness; });
    auto second = f;
    f.join();
    f = {};
    EXPECT_EQ(witness.use_count(), 2);
    second = {};
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(fiber, get_throws_what_the_function_threw_every_time) {
    auto f = coir::spawn([]() -> int { throw std::runtime_error("mine"); });
    EXPECT_TRUE(f.join()) << "join leaves it where it is";
    for (int i = 0; i < 2; ++i) EXPECT_THROW(f.get(), std::runtime_error);
    EXPECT_FALSE(f.successful());
    EXPECT_TRUE(f.ready());
}

TEST(fiber, one_that_leaves_by_fiber_exit_has_no_result_and_no_error) {
    auto f = coir::spawn([]() -> int { throw coir::fiber_exit{}; });
    EXPECT_TRUE(f.join());
    EXPECT_TRUE(f.successful());
    EXPECT_EQ(f.exception(), nullptr);
    EXPECT_THROW(f.get(), coir::fiber_exit);
}

TEST(fiber, an_exception_nobody_fetches_is_reported_once) {
    auto const report = report_of([] {
        coir::spawn({.name = "loser"}, [] { throw std::runtime_error("unseen"); });
        coir::yield();
    });
    EXPECT_NE(report.find("loser"), std::string::npos);
    EXPECT_NE(report.find("std::runtime_error: unseen"), std::string::npos) << report;
    EXPECT_EQ(report_of([] {
                  auto f = coir::spawn([] { throw 1; });
                  f.join();
                  EXPECT_TRUE(f.exception());
              }),
              "");
}

TEST(fiber, asking_too_early_does_not_count_as_having_seen_the_exception) {
    EXPECT_NE(report_of([] {
                  auto f = coir::spawn([] { throw std::runtime_error("later"); });
                  EXPECT_EQ(f.exception(), nullptr);
                  f.join();
              }).find("later"),
              std::string::npos);
}

TEST(fiber, join_gives_up_at_its_deadline) {
    bool go = false;
    auto f = coir::spawn([&] {
        while (!go) coir::yield();
        return 1;
    });
    EXPECT_FALSE(f.join(0s));
    EXPECT_FALSE(f.join(1ms));
    EXPECT_FALSE(f.ready());
    try {
        f.get(-1s);
        FAIL();
    } catch (coir::timed_out const& late) {
        EXPECT_NE(std::string(late.what()).find(f.name()), std::string::npos);
    }
    go = true;
    EXPECT_TRUE(f.join(1h));
    EXPECT_TRUE(f.join(-1s)) << "it has ended, so there is nothing to wait for";
    EXPECT_EQ(f.get(), 1);
}

TEST(fiber, many_may_join_one_and_go_on_in_their_order) {
    std::string order;
    auto f = coir::spawn([] { coir::sleep(1ms); });
    std::vector<coir::fiber<void>> waiting;
    for (char name : std::string("abcd"))
        waiting.push_back(coir::spawn([&, name] {
            if (name == 'b')
                EXPECT_FALSE(f.join(0s)); // gives up before, and must not stand in the way
            else
                EXPECT_TRUE(f.join());
            order += name;
        }));
    coir::joinall(waiting);
    EXPECT_EQ(order, "bacd");
}

TEST(fiber, join_refuses_oneself) {
    coir::any_fiber self;
    auto f = coir::spawn([&] { EXPECT_THROW(self.join(), std::logic_error); });
    self = f;
    f.join();
}

TEST(fiber, is_joined_and_asked_for_its_result_by_other_threads) {
    coir::event go;
    auto answer = coir::spawn([&] { return go.wait(), std::make_unique<int>(42); });
    auto failing = coir::spawn([&] { go.wait(), throw std::runtime_error("no"); });
    coir::latch done(4);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            EXPECT_FALSE(answer.join(1ns));
            done.count_down();
            EXPECT_TRUE(answer.join());
            EXPECT_EQ(*answer.get(), 42);
            EXPECT_THROW(failing.get(), std::runtime_error);
        });
    done.wait();
    go.set();
    coir::joinall({answer, failing});
    for (auto& each : threads) each.join();
}

TEST(fiber, names) {
    auto named = coir::spawn({.name = "worker"}, [] {});
    auto other = coir::spawn([] {});
    EXPECT_EQ(named.name(), "worker");
    EXPECT_EQ(other.name(), "fiber-" + std::to_string(other.id()));
    EXPECT_NE(named.id(), other.id());
    coir::joinall({named, other});
}

TEST(fiber, stack_size) {
    auto big = coir::spawn({.stack_size = std::size_t{4} << 20}, [] {
        char volatile room[3 << 20];
        for (std::size_t i = 0; i < sizeof room; i += 4096) room[i] = 1;
        return int(room[0]);
    });
    EXPECT_EQ(big.get(), 1);
    EXPECT_THROW(coir::spawn({.stack_size = coir::largest_stack + 1}, [] {}), std::system_error);
}

TEST(fiber, run_without_a_handle) {
    int ran = 0;
    for (int i = 0; i < 100; ++i) coir::spawn([&] { ++ran; });
    coir::yield();
    EXPECT_EQ(ran, 100);
    EXPECT_EQ(coir::hub::current().alive(), 0u);
}

TEST(fiber, an_exception_while_a_fiber_is_made_leaks_nothing) {
    struct throws {
        throws() = default;
        throws(throws const&) { throw std::runtime_error("copy"); }
        void operator()() const {}
    } one;
    for (int i = 0; i < 10; ++i) EXPECT_THROW(coir::spawn(one), std::runtime_error);
    EXPECT_EQ(coir::hub::current().alive(), 0u);
}

namespace {

// A result that takes its time to go: closes a session, writes a line.
struct slow_to_go {
    std::shared_ptr<std::string> went; // where: the name of who destroyed it
    slow_to_go(std::shared_ptr<std::string> to_tell) : went(std::move(to_tell)) {}
    slow_to_go(slow_to_go&&) = default;
    ~slow_to_go() {
        if (!went) return;
        std::string const where = coir::context::current().name();
        coir::sleep(1ms);
        *went = where;
    }
};

} // namespace

TEST(fiber, a_result_that_nobody_can_fetch_is_destroyed_by_the_fiber_itself) {
    auto went = std::make_shared<std::string>();
    coir::event go, other;
    bool timed_out = false;
    coir::spawn({.name = "its own"}, [&] {
        go.wait();
        return slow_to_go(went);
    });
    auto waits = coir::spawn([&] { timed_out = !other.wait(); }); // goes on when the first one ends
    coir::yield();
    go.set();
    other.set();
    waits.join();
    EXPECT_FALSE(timed_out) << "its wait had no end, and what it waited for was there";
    EXPECT_TRUE(coir::hub::current().join());
    EXPECT_EQ(*went, "its own");
}

TEST(fiber, a_result_whose_last_handle_goes_in_the_hub_is_destroyed_by_a_fiber) {
    auto went = std::make_shared<std::string>();
    coir::fiber<slow_to_go> handle({.name = "mine"}, [went] { return slow_to_go(went); });
    handle.rawlink([kept = handle](auto&) {}); // which the hub destroys
    handle.start();
    handle = {};
    EXPECT_TRUE(coir::hub::current().join());
    EXPECT_EQ(*went, "what is left of mine");
}

TEST(fiber, an_exception_is_reported_also_when_the_hub_has_the_last_handle) {
    std::string const report = report_of([] {
        coir::spawn([] { throw std::runtime_error("nobody's"); }).rawlink([](auto&) {});
        coir::hub::current().join();
    });
    EXPECT_NE(report.find("nobody's"), report.npos) << report;
}

TEST(fiber, a_report_that_waits_keeps_nobody_from_running) {
    std::string order;
    coir::event reported, ran;
    auto const before = coir::on_unhandled_exception([&](coir::unhandled_exception const&) {
        order += "report ";
        reported.set();
        ran.wait();
        order += "goes on ";
    });
    coir::spawn([] { throw std::runtime_error("nobody's"); });
    coir::spawn([&] {
        reported.wait();
        order += "another ";
        ran.set();
    });
    EXPECT_TRUE(coir::hub::current().join());
    coir::on_unhandled_exception(before);
    EXPECT_EQ(order, "report another goes on ");
}

TEST(fiber, fibers_spawn_fibers) {
    std::function<int(int)> fib = [&](int n) -> int {
        if (n < 2) return n;
        auto a = coir::spawn(fib, n - 1);
        return fib(n - 2) + a.get();
    };
    EXPECT_EQ(coir::spawn(fib, 15).get(), 610);
}

TEST(fiber, handles_are_dropped_and_asked_on_other_threads) {
    std::vector<coir::fiber<int>> all;
    for (int i = 0; i < 200; ++i) all.push_back(coir::spawn([i] { return coir::yield(), i; }));
    std::thread asking([copies = all]() mutable {
        int ended = 0;
        for (auto& each : copies)
            if (each.ready() && each.successful() && !each.exception()) ++ended;
        copies.clear();
        EXPECT_LE(ended, 200);
    });
    for (auto& each : all) each.join();
    int sum = 0;
    for (auto& each : all) sum += each.get();
    asking.join();
    EXPECT_EQ(sum, 199 * 100);
}

TEST(fiber, one_that_is_spawned_for_later_has_options_too) {
    auto later = coir::spawn_later(1ms, {.name = "tomorrow"}, [] { return 3; });
    EXPECT_EQ(later.name(), "tomorrow");
    EXPECT_TRUE(later.started());
    EXPECT_EQ(later.get(), 3);
}
