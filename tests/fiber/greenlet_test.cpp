// The semantics are those of Python's greenlet; its documentation's examples are among the cases.

#include "fiber/greenlet.h"

#include "hub/fiber.h"
#include "hub/hub.h"
#include "tests/never_ended.h"

#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using coir::fiber_exit;
using coir::greenlet;
using coir::value;
using namespace std::chrono_literals;

namespace {

template <class... A>
value up(A&&... values) {
    return greenlet::current().parent().switch_to(std::forward<A>(values)...);
}

// What a greenlet that is unwound leaves behind.
struct on_end {
    int& ran;
    ~on_end() { ++ran; }
};

} // namespace

TEST(greenlet, twelve_fifty_six_thirty_four_seventy_eight) {
    std::ostringstream out;
    greenlet first, second;
    first = greenlet([&] {
        out << "12 ";
        second.switch_to();
        out << "34 ";
    });
    second = greenlet([&] {
        out << "56 ";
        first.switch_to();
        out << "78 ";
    });
    first.switch_to();
    EXPECT_EQ(out.str(), "12 56 34 ");
    second.switch_to();
    EXPECT_EQ(out.str(), "12 56 34 78 ");
    EXPECT_TRUE(first.dead() && second.dead());
}

TEST(greenlet, values_go_both_ways) {
    greenlet g([](int x) {
        std::string const s = up(x + 1);
        auto const [a, b] = up(s + "!").template take<std::tuple<int, double>>();
        return a * b;
    });
    int const y = g.switch_to(1);
    EXPECT_EQ(y, 2);
    std::string const s = g.switch_to(std::string("hey"));
    EXPECT_EQ(s, "hey!");
    double const product = g.switch_to(3, 0.5);
    EXPECT_EQ(product, 1.5);
    EXPECT_TRUE(g.dead());
}

TEST(greenlet, carries_what_only_moves) {
    greenlet g([](std::unique_ptr<int> in) { return std::make_unique<int>(*in + 1); });
    std::unique_ptr<int> const out = g.switch_to(std::make_unique<int>(1));
    EXPECT_EQ(*out, 2);
}

TEST(greenlet, works_as_a_generator) {
    greenlet numbers([] {
        for (int i = 0; i < 5; ++i) up(i);
    });
    std::vector<int> got;
    for (;;) {
        value next = numbers.switch_to();
        if (numbers.dead()) break;
        got.push_back(next.take<int>());
    }
    EXPECT_EQ(got, (std::vector{0, 1, 2, 3, 4}));
}

TEST(greenlet, wrong_arguments_are_thrown_into_the_parent) {
    greenlet g([](int) {});
    EXPECT_THROW(g.switch_to(std::string("no int")), coir::bad_value_cast);
    EXPECT_TRUE(g.dead());
}

TEST(greenlet, what_escapes_goes_to_the_parent) {
    greenlet g([] { throw std::runtime_error("mine"); });
    try {
        g.switch_to();
        FAIL();
    } catch (std::runtime_error const& error) {
        EXPECT_STREQ(error.what(), "mine");
    }
    EXPECT_TRUE(g.dead());
}

TEST(greenlet, the_parent_gets_it_and_not_who_switched) {
    std::vector<std::string> seen;
    greenlet child;
    greenlet outer([&] {
        child = greenlet([] { throw std::runtime_error("to outer"); });
        try {
            up();
        } catch (std::runtime_error const& error) {
            seen.push_back(error.what());
        }
    });
    outer.switch_to();
    child.switch_to(); // from here, but its parent is `outer`, whose end then brings control back here
    EXPECT_EQ(seen, std::vector<std::string>{"to outer"});
    EXPECT_TRUE(outer.dead());
}

TEST(greenlet, fiber_exit_ends_it_quietly) {
    greenlet g([] { throw fiber_exit{}; });
    EXPECT_FALSE(g.switch_to().has_value());
    EXPECT_TRUE(g.dead());
}

TEST(greenlet, a_dead_one_stands_for_its_parent) {
    greenlet g([] {});
    g.switch_to();
    EXPECT_EQ(g.switch_to(5).take<int>(), 5);
    EXPECT_THROW(g.throw_into(std::runtime_error("x")), std::runtime_error);
    EXPECT_NO_THROW(g.throw_into());
}

TEST(greenlet, states) {
    greenlet g([] { up(); });
    EXPECT_FALSE(g.active());
    EXPECT_FALSE(g.dead());
    g.switch_to();
    EXPECT_TRUE(g.active());
    g.switch_to();
    EXPECT_FALSE(g.active());
    EXPECT_TRUE(g.dead());
    EXPECT_TRUE(greenlet::current().active());
    EXPECT_FALSE(greenlet{});
    EXPECT_FALSE(greenlet::current().parent()) << "the thread's own has none";
}

TEST(greenlet, throw_into_raises_where_it_was_switched_away) {
    greenlet g([] {
        try {
            up();
        } catch (int thrown) {
            return thrown;
        }
        return -1;
    });
    g.switch_to();
    EXPECT_EQ(g.throw_into(7).take<int>(), 7);
}

TEST(greenlet, throw_into_one_that_never_ran) {
    bool ran = false;
    auto witness = std::make_shared<int>();
    greenlet g([&ran, witness] { ran = true; });
    EXPECT_THROW(g.throw_into(std::runtime_error("x")), std::runtime_error);
    EXPECT_TRUE(g.dead());
    greenlet quiet([&ran] { ran = true; });
    EXPECT_NO_THROW(quiet.throw_into());
    EXPECT_TRUE(quiet.dead());
    EXPECT_FALSE(ran);
    EXPECT_EQ(witness.use_count(), 2);
    g = {};
    EXPECT_EQ(witness.use_count(), 1) << "the function is destroyed though it was never called";
}

TEST(greenlet, throw_into_a_dead_child_of_one_that_never_ran) {
    bool ran = false;
    greenlet parent([&ran] { ran = true; });
    greenlet child([] {});
    child.set_parent(parent);
    EXPECT_THROW(child.throw_into(std::runtime_error("x")), std::runtime_error);
    EXPECT_TRUE(child.dead());
    EXPECT_TRUE(parent.dead()) << "the error went through it";
    EXPECT_FALSE(ran);
}

TEST(greenlet, switching_to_oneself_returns_the_values) {
    EXPECT_EQ(greenlet::current().switch_to(3).take<int>(), 3);
    EXPECT_THROW(greenlet::current().throw_into(3), int);
}

TEST(greenlet, set_parent) {
    greenlet a([] { return 1; });
    std::optional<int> got;
    greenlet b([&] { got = up().template take<int>(); });
    b.switch_to();
    a.set_parent(b);
    EXPECT_EQ(a.parent(), b);
    a.switch_to(); // its result goes to b, which ends and comes back here
    EXPECT_EQ(got, 1);
    EXPECT_TRUE(b.dead());
}

TEST(greenlet, set_parent_refuses_circles_threads_and_nothing) {
    greenlet a([] {}), b([] {}), c([] {});
    b.set_parent(a);
    c.set_parent(b);
    EXPECT_THROW(a.set_parent(c), std::invalid_argument);
    EXPECT_THROW(a.set_parent(a), std::invalid_argument);
    EXPECT_THROW(a.set_parent(greenlet{}), std::invalid_argument);
    EXPECT_THROW(greenlet::current().set_parent(a), std::invalid_argument);
    std::thread([&] {
        EXPECT_THROW(a.set_parent(greenlet::current()), std::invalid_argument);
        EXPECT_THROW(greenlet([] {}).set_parent(a), std::invalid_argument);
    }).join();
    EXPECT_EQ(c.parent(), b);
}

TEST(greenlet, another_thread_may_hold_but_not_switch) {
    greenlet g([] { up(); });
    g.switch_to();
    std::thread([copy = g] {
        EXPECT_THROW(copy.switch_to(), std::logic_error);
        EXPECT_THROW(copy.throw_into(), std::logic_error);
    }).join();
    g.switch_to();
    EXPECT_TRUE(g.dead());
}

// The new thread has its thread-local storage where the ended one had it: that alone does not make it the
// same.
TEST(greenlet, a_thread_that_took_the_place_of_an_ended_one_is_another) {
    int ran = 0;
    for (int i = 0; i < 10; ++i) {
        greenlet left_behind;
        std::thread([&] {
            never_ended const dropped_elsewhere;
            left_behind = greenlet([&] {
                on_end end{ran};
                up();
            });
            left_behind.switch_to();
        }).join();
        std::thread([&] {
            greenlet::current();
            EXPECT_THROW(left_behind.switch_to(), std::logic_error);
            left_behind = {};
        }).join();
    }
    EXPECT_EQ(ran, 0) << "dropped on another thread it stays as it is";
}

TEST(greenlet, dropping_a_suspended_one_runs_its_destructors) {
    int ran = 0;
    {
        greenlet g([&] {
            on_end outer{ran};
            try {
                on_end inner{ran};
                up();
            } catch (std::exception const&) {
                ADD_FAILURE() << "fiber_exit is no std::exception";
            }
        });
        g.switch_to();
        EXPECT_EQ(ran, 0);
    }
    EXPECT_EQ(ran, 2);
}

TEST(greenlet, dropping_a_fresh_one_destroys_its_function) {
    auto witness = std::make_shared<int>();
    {
        greenlet g([witness] {});
    }
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(greenlet, one_that_is_dropped_may_switch_elsewhere_while_it_ends) {
    std::vector<std::string> steps;
    greenlet friend_of([&] {
        steps.push_back("friend");
        up();
        steps.push_back("friend again");
    });
    {
        greenlet g([&] {
            try {
                up();
            } catch (fiber_exit const&) {
                greenlet nested([&] { steps.push_back("nested"); });
                nested.switch_to();
                throw;
            }
        });
        g.switch_to();
        friend_of.switch_to();
    }
    friend_of.switch_to();
    EXPECT_EQ(steps, (std::vector<std::string>{"friend", "nested", "friend again"}));
}

// The last handle is on the greenlet's own stack: it goes while the greenlet runs.
TEST(greenlet, one_that_drops_its_own_last_handle_ends_when_switched_away) {
    int ran = 0;
    {
        auto own = std::make_unique<greenlet>();
        *own = greenlet([&] {
            on_end end{ran};
            own.reset();
            up();
            ADD_FAILURE() << "nobody could switch back";
        });
        auto* const raw = own.get();
        raw->switch_to();
    }
    EXPECT_EQ(ran, 1);
}

TEST(greenlet, an_error_of_one_that_is_dropped_is_reported_not_thrown_later) {
    testing::internal::CaptureStderr();
    {
        greenlet g([] {
            try {
                up();
            } catch (fiber_exit const&) {
                throw std::runtime_error("while it ended");
            }
        });
        g.switch_to();
    }
    auto const report = testing::internal::GetCapturedStderr();
    EXPECT_NE(report.find("while it ended"), std::string::npos) << report;
    EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), 1) << report;
    EXPECT_NO_THROW(greenlet([] {}).switch_to());
    EXPECT_NO_THROW(coir::yield());
}

TEST(greenlet, what_is_pending_for_the_dropper_stays_its_own) {
    EXPECT_THROW(greenlet([] {
                     {
                         greenlet inner([] { up(); });
                         inner.switch_to();
                     }
                     throw 1;
                 }).switch_to(),
                 int);
}

TEST(greenlet, a_handle_may_go_on_another_thread) {
    auto witness = std::make_shared<int>();
    greenlet ended([witness] {}), fresh([witness] {});
    ended.switch_to();
    EXPECT_EQ(witness.use_count(), 2);
    std::thread([a = std::move(ended), b = std::move(fresh)]() mutable { a = b = {}; }).join();
    EXPECT_EQ(witness.use_count(), 1);
}

// The other thread's handle may be the last, at any moment of the greenlet's run.
TEST(greenlet, the_last_handle_goes_on_another_thread_while_it_runs) {
    auto witness = std::make_shared<int>();
    for (int i = 0; i < 300; ++i) {
        greenlet g([witness] {
            for (int spin = 0; spin < 1000; ++spin) asm volatile("");
        });
        auto const raw = [](greenlet own) {
            greenlet const* volatile kept = &own;
            (void)kept;
            std::thread other;
            greenlet runner([&other, inner = std::move(own)]() mutable {
                greenlet here = inner;
                other = std::thread([last = std::move(inner)]() mutable { last = {}; });
                here.switch_to();
            });
            runner.switch_to();
            other.join();
        };
        raw(std::move(g));
    }
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(greenlet, nested_trees) {
    std::function<int(int)> grow = [&](int depth) -> int {
        if (depth == 0) return 1;
        int sum = 0;
        for (int i = 0; i < 2; ++i) {
            greenlet child([&grow](int below) { return grow(below); });
            sum += child.switch_to(depth - 1).take<int>();
        }
        return sum;
    };
    EXPECT_EQ(greenlet([&](int depth) { return grow(depth); }).switch_to(8).take<int>(), 256);
}

TEST(greenlet, an_ended_parent_is_passed_over) {
    greenlet child;
    greenlet parent([&] { child = greenlet([] { return 9; }); });
    parent.switch_to();
    EXPECT_TRUE(parent.dead());
    EXPECT_EQ(child.switch_to().take<int>(), 9) << "to the grandparent";
}

TEST(greenlet, may_sleep_and_others_run_meanwhile) {
    std::vector<std::string> steps;
    auto beside = coir::spawn([&] { steps.push_back("fiber"); });
    greenlet g([&] {
        steps.push_back("before");
        coir::sleep(1ms);
        steps.push_back("after");
        return 4;
    });
    EXPECT_EQ(g.switch_to().take<int>(), 4);
    EXPECT_EQ(steps, (std::vector<std::string>{"before", "fiber", "after"}));
}

TEST(greenlet, in_fibers) {
    auto const sum = [] {
        greenlet numbers([] {
            for (int i = 1; i <= 10; ++i) {
                coir::yield();
                up(i);
            }
            return 0;
        });
        int total = 0;
        while (int next = numbers.switch_to()) total += next;
        return total;
    };
    auto a = coir::spawn(sum), b = coir::spawn(sum);
    EXPECT_EQ(a.get() + b.get(), 110);
}

TEST(greenlet, a_parked_fiber_cannot_be_switched_to) {
    greenlet of_fiber;
    auto parked = coir::spawn([&] {
        of_fiber = greenlet::current();
        coir::sleep(1ms);
    });
    coir::yield();
    EXPECT_THROW(of_fiber.switch_to(), std::logic_error);
    EXPECT_THROW(of_fiber.throw_into(), std::logic_error);
    EXPECT_TRUE(parked.join());
}

// Its parent waits in the hub for something else and cannot take the error: it must not vanish.
TEST(greenlet, an_error_that_no_parent_can_take_is_reported) {
    testing::internal::CaptureStderr();
    greenlet child;
    auto parent = coir::spawn([&] {
        child = greenlet([] { throw std::runtime_error("nobody's"); });
        coir::sleep(1ms);
    });
    coir::yield();
    auto runner = coir::spawn([&] { child.switch_to(); });
    EXPECT_TRUE(parent.join());
    auto const report = testing::internal::GetCapturedStderr();
    EXPECT_NE(report.find("nobody's"), std::string::npos) << report;
}

namespace {

// Records what a trace callback is told, under names.
struct recorded_trace {
    std::vector<std::string> events;
    std::vector<std::pair<greenlet, std::string>> names{{greenlet::current(), "main"}};
    greenlet::trace_callback former;

    recorded_trace() {
        former = greenlet::set_trace([this](coir::trace_event event, greenlet const& from, greenlet const& to) {
            EXPECT_TRUE(to == greenlet::current() || !to.active()) << "it runs in the target";
            events.push_back((event == coir::trace_event::thrown ? "throw " : "switch ") + name(from) + " " + name(to));
        });
    }
    ~recorded_trace() { greenlet::set_trace(std::move(former)); }

    std::string name(greenlet const& of) const {
        for (auto const& [each, text] : names)
            if (each == of) return text;
        return "?";
    }
    std::vector<std::string> take() { return std::exchange(events, {}); }
};

using lines = std::vector<std::string>;

} // namespace

TEST(greenlet_trace, switches_and_throws) {
    recorded_trace trace;
    greenlet quiet([] { up(); }), failing([] { throw 1; });
    trace.names.insert(trace.names.end(), {{quiet, "quiet"}, {failing, "failing"}});
    quiet.switch_to();
    quiet.switch_to();
    EXPECT_EQ(trace.take(),
              (lines{"switch main quiet", "switch quiet main", "switch main quiet", "switch quiet main"}));
    EXPECT_THROW(failing.switch_to(), int);
    EXPECT_EQ(trace.take(), (lines{"switch main failing", "throw failing main"}));
}

TEST(greenlet_trace, throw_into_and_oneself) {
    recorded_trace trace;
    greenlet g([] {
        try {
            up();
        } catch (int) {}
    });
    trace.names.emplace_back(g, "g");
    g.switch_to();
    g.throw_into(1);
    EXPECT_EQ(trace.take(), (lines{"switch main g", "switch g main", "throw main g", "switch g main"}));
    greenlet::current().switch_to();
    EXPECT_EQ(trace.take(), lines{"switch main main"});
    EXPECT_THROW(greenlet::current().throw_into(1), int);
    EXPECT_EQ(trace.take(), lines{"throw main main"});
}

// greenlet starts it for that; here it is only said so.
TEST(greenlet_trace, throw_into_one_that_never_ran) {
    recorded_trace trace;
    greenlet outer([] {}), inner([] {}), quiet([] {});
    inner.set_parent(outer);
    trace.names.insert(trace.names.end(), {{outer, "outer"}, {inner, "inner"}, {quiet, "quiet"}});
    EXPECT_THROW(inner.throw_into(1), int);
    EXPECT_EQ(trace.take(), (lines{"throw main inner", "throw inner outer", "throw outer main"}));
    quiet.throw_into();
    EXPECT_EQ(trace.take(), (lines{"throw main quiet", "switch quiet main"}));
}

TEST(greenlet_trace, the_end_of_one_that_is_dropped) {
    recorded_trace trace;
    {
        greenlet g([] { up(); });
        g.switch_to();
        trace.take();
    }
    EXPECT_EQ(trace.take(), (lines{"throw main ?", "switch ? main"}));
}

// Its last handle is gone when it has ended, but the callback is still told who it was.
TEST(greenlet_trace, origin_is_alive_while_it_is_told_of) {
    std::vector<bool> dead;
    auto const former = greenlet::set_trace(
        [&](coir::trace_event, greenlet const& from, greenlet const&) { dead.push_back(from.dead()); });
    auto own = std::make_unique<greenlet>();
    *own = greenlet([&] { own.reset(); });
    greenlet* const raw = own.get();
    raw->switch_to();
    greenlet::set_trace(former);
    EXPECT_EQ(dead, (std::vector{false, true}));
}

TEST(greenlet_trace, a_callback_that_throws_ends_the_tracing) {
    int calls = 0;
    bool thrown_in_target = false;
    greenlet g([&] {
        try {
            up();
        } catch (std::runtime_error const&) {
            thrown_in_target = true;
            throw;
        }
    });
    g.switch_to();
    greenlet::set_trace([&](coir::trace_event, greenlet const&, greenlet const&) {
        ++calls;
        throw std::runtime_error("from the callback");
    });
    EXPECT_THROW(g.switch_to(), std::runtime_error);
    EXPECT_EQ(calls, 1);
    EXPECT_TRUE(thrown_in_target);
    EXPECT_FALSE(greenlet::trace());
}

TEST(greenlet_trace, what_a_callback_throws_takes_the_place_of_what_was_thrown) {
    bool ran = false;
    auto const fail = [](coir::trace_event event, greenlet const&, greenlet const&) {
        if (event == coir::trace_event::thrown) throw std::runtime_error("from the callback");
    };
    greenlet g([] { throw 1; });
    greenlet::set_trace(fail);
    EXPECT_THROW(g.switch_to(), std::runtime_error);
    EXPECT_NO_THROW(greenlet([] {}).switch_to()) << "nothing is left pending";
    EXPECT_FALSE(greenlet::trace());
    // One that is to begin does not.
    greenlet::set_trace([](coir::trace_event, greenlet const&, greenlet const&) { throw 2; });
    greenlet fresh([&] { ran = true; });
    EXPECT_THROW(fresh.switch_to(), int);
    EXPECT_FALSE(ran);
    EXPECT_TRUE(fresh.dead());
    greenlet never([&] { ran = true; });
    greenlet::set_trace(fail);
    EXPECT_THROW(never.throw_into(1), std::runtime_error);
    EXPECT_TRUE(never.dead());
    EXPECT_FALSE(ran);
}

TEST(greenlet_trace, a_callback_that_throws_while_one_is_dropped_is_reported) {
    testing::internal::CaptureStderr();
    int ran = 0;
    {
        greenlet g([&] {
            on_end end{ran};
            up();
        });
        g.switch_to();
        greenlet::set_trace([](coir::trace_event event, greenlet const&, greenlet const&) {
            if (event == coir::trace_event::switched) throw std::runtime_error("from the callback");
        });
    }
    auto const report = testing::internal::GetCapturedStderr();
    EXPECT_EQ(ran, 1);
    EXPECT_NE(report.find("from the callback"), std::string::npos) << report;
    EXPECT_FALSE(greenlet::trace());
}

TEST(greenlet_trace, set_returns_the_former_and_a_callback_may_replace_itself) {
    EXPECT_FALSE(greenlet::trace());
    int first = 0, second = 0;
    auto witness = std::make_shared<int>();
    EXPECT_FALSE(greenlet::set_trace([&, witness](coir::trace_event, greenlet const&, greenlet const&) {
        ++first;
        greenlet::set_trace([&](coir::trace_event, greenlet const&, greenlet const&) { ++second; });
        EXPECT_GT(witness.use_count(), 1) << "it is not destroyed while it runs";
    }));
    greenlet([] {}).switch_to();
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, 1);
    EXPECT_EQ(witness.use_count(), 1);
    EXPECT_TRUE(greenlet::set_trace({}));
    EXPECT_FALSE(greenlet::set_trace({}));
    greenlet([] {}).switch_to();
    EXPECT_EQ(second, 1);
}

TEST(greenlet_trace, is_each_threads_own) {
    recorded_trace trace;
    std::thread([] {
        EXPECT_FALSE(greenlet::trace());
        int calls = 0;
        greenlet::set_trace([&](coir::trace_event, greenlet const&, greenlet const&) { ++calls; });
        greenlet([] {}).switch_to();
        EXPECT_EQ(calls, 2);
    }).join();
    EXPECT_EQ(trace.take(), lines{});
}

TEST(greenlet_trace, the_hubs_own_switches_are_not_told) {
    recorded_trace trace;
    auto fiber = coir::spawn([] {
        coir::yield();
        coir::sleep(1ms);
    });
    EXPECT_TRUE(fiber.join());
    EXPECT_EQ(trace.take(), lines{});
    greenlet waits([] {
        coir::sleep(1ms);
        up();
    });
    trace.names.emplace_back(waits, "waits");
    waits.switch_to();
    EXPECT_EQ(trace.take(), (lines{"switch main waits", "switch waits main"}));
}

// Waits while it goes, which only one that has not ended can.
TEST(greenlet, what_nobody_gets_of_one_that_is_dropped_may_wait_while_it_goes) {
    struct slow {
        bool* went;
        slow(bool& to_tell) : went(&to_tell) {}
        slow(slow&& other) noexcept : went(std::exchange(other.went, nullptr)) {}
        ~slow() {
            if (!went) return;
            coir::sleep(1ms);
            *went = true;
        }
    };
    bool went = false;
    coir::spawn([&] {
        coir::greenlet dropped([&] {
            try {
                coir::greenlet::current().parent().switch_to();
            } catch (coir::fiber_exit const&) {}
            return slow(went);
        });
        dropped.switch_to();
        dropped = {};
        EXPECT_TRUE(went);
    }).join();
    EXPECT_TRUE(went);
}
