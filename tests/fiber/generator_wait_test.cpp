// Generators and fibers: bodies that wait, consumers in turn, and what ends a consumer while its body waits.

#include "fiber/generator.h"

#include "hub/event.h"
#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/timeout.h"
#include "hub/wait.h"
#include "tests/fiber/generator_bodies.h"
#include "tests/never_ended.h"
#include "tests/rerun.h"

#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using coir::fiber_exit;
using coir::generator;
using coir::greenlet;
using namespace std::chrono_literals;

TEST(generator_wait, yield_elsewhere_is_refused) {
    std::string in_greenlet, in_fiber;
    generator<int> g{[&](auto& out) {
        greenlet([&] { in_greenlet = what_of([&] { out.yield(1); }); }).switch_to();
        coir::spawn([&] { in_fiber = what_of([&] { out.yield(1); }); }).join();
        out.yield(2);
    }};
    EXPECT_EQ(g.next(), 2);
    EXPECT_TRUE(contains(in_greenlet, "yield in greenlet-")) << in_greenlet;
    EXPECT_TRUE(contains(in_fiber, "yield in fiber-")) << in_fiber;
}

TEST(generator_wait, the_body_may_wait_and_others_run_meanwhile) {
    std::vector<std::string> steps;
    auto beside = coir::spawn([&] {
        steps.push_back("beside");
        coir::yield();
        steps.push_back("beside again");
    });
    generator<int> g{[&](auto& out) {
        for (int i = 0; i < 2; ++i) {
            coir::yield();
            out.yield(i);
        }
    }};
    while (auto n = g.next()) steps.push_back(std::to_string(*n));
    EXPECT_EQ(steps, (std::vector<std::string>{"beside", "0", "beside again", "1"}));
    EXPECT_TRUE(beside.join());
}

TEST(generator_wait, different_fibers_consume_in_turn) {
    generator<int> g{[](auto& out) {
        for (int i = 0; i < 6; ++i) {
            coir::yield();
            out.yield(i);
        }
    }};
    std::vector<std::pair<char, int>> got;
    bool busy = false;
    auto const consume = [&](char name) {
        for (;;) {
            while (busy) coir::yield();
            busy = true;
            auto const n = g.next();
            busy = false;
            if (!n) return;
            got.emplace_back(name, *n);
            coir::yield();
        }
    };
    auto a = coir::spawn(consume, 'a'), b = coir::spawn(consume, 'b');
    coir::joinall({a, b});
    ASSERT_EQ(got.size(), 6u);
    int from_a = 0;
    for (int i = 0; i < 6; ++i) {
        EXPECT_EQ(got[std::size_t(i)].second, i);
        from_a += got[std::size_t(i)].first == 'a';
    }
    EXPECT_TRUE(from_a > 0 && from_a < 6) << "both had some: " << from_a;
}

TEST(generator_wait, two_consumers_at_once_are_told) {
    generator<int> g{[](auto& out) {
        coir::sleep(1ms);
        out.yield(1);
    }};
    auto first = coir::spawn(coir::spawn_options{.name = "the first"}, [&] { EXPECT_EQ(g.next(), 1); });
    std::string said;
    auto second = coir::spawn([&] { said = what_of([&] { g.next(); }); });
    coir::joinall({first, second});
    EXPECT_TRUE(contains(said, "resumed by the first")) << said;
}

TEST(generator_wait, a_kill_of_the_consumer_is_raised_where_the_body_waits) {
    int ran = 0;
    bool went_on = false;
    auto consumer = coir::spawn([&] {
        generator<int> outer{[&](auto& out) {
            on_end end{ran};
            generator<int> inner{[&](auto& deeper) {
                on_end deepest{ran};
                coir::sleep(24h);
                deeper.yield(1);
            }};
            out.yield(*inner.next());
        }};
        outer.next();
        went_on = true;
    });
    coir::yield();
    EXPECT_TRUE(consumer.kill());
    EXPECT_EQ(ran, 2);
    EXPECT_FALSE(went_on);
}

TEST(generator_wait, a_body_may_survive_the_kill_of_its_consumer) {
    std::vector<int> got;
    auto consumer = coir::spawn([&] {
        for (int n : generator<int>{[](auto& out) {
                 try {
                     coir::sleep(24h);
                 } catch (fiber_exit const&) {
                     out.yield(1);
                 }
             }})
            got.push_back(n);
    });
    coir::yield();
    EXPECT_TRUE(consumer.kill());
    EXPECT_EQ(got, std::vector{1}) << "as gevent's: a fiber that swallows it goes on";
}

TEST(generator_wait, a_consumer_that_is_killed_elsewhere_ends_its_generators) {
    int ran = 0;
    auto consumer = coir::spawn([&] {
        generator<int> g{[&](auto& out) {
            on_end end{ran};
            out.yield(1);
        }};
        g.next();
        coir::sleep(24h);
    });
    coir::yield();
    EXPECT_EQ(ran, 0);
    EXPECT_TRUE(consumer.kill());
    EXPECT_EQ(ran, 1);
}

TEST(generator_wait, a_kill_while_it_is_closed_ends_the_consumer) {
    bool went_on = false;
    auto consumer = coir::spawn([&] {
        generator<int> g{[](auto& out) {
            try {
                out.yield(1);
            } catch (fiber_exit const&) {
                coir::sleep(24h); // its last work
            }
        }};
        g.next();
        g.close();
        went_on = true;
    });
    coir::yield();
    EXPECT_TRUE(consumer.kill());
    EXPECT_FALSE(went_on);
}

TEST(generator_wait, a_timeout_of_the_consumer_is_raised_where_the_body_waits) {
    int ran = 0;
    generator<int> g{[&](auto& out) {
        on_end end{ran};
        coir::sleep(24h);
        out.yield(1);
    }};
    coir::timeout outer{24h};
    try {
        coir::timeout limit{1ms};
        try {
            g.next();
            FAIL();
        } catch (coir::timed_out const& late) {
            EXPECT_TRUE(limit.raised(late));
        }
    } catch (coir::timed_out const&) {
        FAIL() << "it is over";
    }
    EXPECT_EQ(ran, 1);
    EXPECT_TRUE(g.finished());
}

namespace {

// A fiber that grants a wait at a moment when timeouts that end within `time` have passed, too, but not been looked at:
// the hub runs what is posted before it looks at the timers.
coir::fiber<void> grant_late(coir::event& granted, std::chrono::milliseconds time) {
    return coir::spawn([&granted, time] {
        auto const until = std::chrono::steady_clock::now() + time + 1ms;
        while (std::chrono::steady_clock::now() < until) {}
        coir::hub::current().post([&granted] { granted.set(); });
    });
}

} // namespace

TEST(generator_wait, a_timeout_that_a_granted_wait_of_the_body_leaves_is_thrown_by_the_consumers_next) {
    coir::event granted;
    int got = 0;
    auto consumer = coir::spawn([&] {
        coir::timeout limit{1ms};
        {
            generator<int> g{[&](auto& out) {
                granted.wait();
                out.yield(1);
            }};
            got = *g.next();
        }
        EXPECT_TRUE(limit.expired());
        EXPECT_THROW(coir::yield(), coir::timed_out);
    });
    auto granter = grant_late(granted, 1ms);
    coir::joinall({consumer, granter});
    EXPECT_EQ(got, 1);
}

TEST(generator_wait, a_timeout_that_passed_before_is_thrown_where_the_body_waits) {
    coir::event granted;
    bool waited = false;
    auto consumer = coir::spawn([&] {
        coir::timeout limit{1ms};
        granted.wait();
        EXPECT_TRUE(limit.expired());
        generator<int> g{[&](auto&) {
            waited = true;
            coir::sleep(24h);
        }};
        EXPECT_THROW(g.next(), coir::timed_out);
    });
    auto granter = grant_late(granted, 1ms);
    coir::joinall({consumer, granter});
    EXPECT_TRUE(waited);
}

TEST(generator_wait, a_timeout_of_the_body_waits_while_it_is_held) {
    generator<int> g{[](auto& out) {
        coir::timeout limit{1ms};
        out.yield(1);
        EXPECT_TRUE(limit.expired());
        out.yield(2);
        EXPECT_THROW(coir::yield(), coir::timed_out);
        out.yield(3);
    }};
    EXPECT_EQ(g.next(), 1);
    coir::sleep(2ms);
    EXPECT_EQ(g.next(), 2);
    EXPECT_EQ(g.next(), 3);
    EXPECT_EQ(g.next(), std::nullopt);
}

TEST(generator_wait, DISABLED_makes_the_threads_hub) {
    generator<int> g{[](auto& out) {
        coir::yield();
        out.yield(1);
    }};
    EXPECT_EQ(g.next(), 1);
    EXPECT_EQ(g.next(), std::nullopt);
    g = {};
    coir::event never;
    EXPECT_THROW(never.wait(), coir::would_block_forever);
}

// The hub is to know the thread's own context, not that of the body.
TEST(generator_wait, a_body_may_be_the_first_that_needs_a_hub) {
    auto const run = rerun("generator_wait.DISABLED_makes_the_threads_hub");
    EXPECT_TRUE(run.passed()) << run.output << run.error;
}

TEST(generator_wait, a_body_that_waits_for_nothing_is_a_deadlock) {
    coir::event never;
    generator<int> g{[&](auto& out) {
        never.wait();
        out.yield(1);
    }};
    EXPECT_THROW(g.next(), coir::would_block_forever);
    EXPECT_TRUE(g.finished());
}

// A generator that is held must not keep the stack of a fiber that consumed it once.
TEST(generator_wait, lets_go_of_its_last_consumer) {
    auto result = std::make_shared<int>();
    generator<int> g{count_to(3)};
    coir::spawn([&] {
        EXPECT_EQ(g.next(), 0);
        return result;
    }).join();
    EXPECT_EQ(result.use_count(), 1) << "the fiber and its result are gone";
    EXPECT_EQ(g.next(), 1);
}

TEST(generator_wait, outlives_the_fiber_that_made_it) {
    generator<int> g;
    coir::spawn([&] { g = generator<int>{count_to(3)}; }).join();
    EXPECT_EQ(g.next(), 0);
    coir::spawn([&] { EXPECT_EQ(g.next(), 1); }).join();
    coir::spawn([&] { EXPECT_EQ(g.next(), 2); }).join();
    EXPECT_EQ(g.next(), std::nullopt);
}

// Someone else makes the consumer go on while the body waits: the value has nobody to go to.
TEST(generator_wait, a_consumer_that_is_taken_away_leaves_the_body_to_end) {
    never_ended const thrower; // nobody switches back to it
    int ran = 0;
    generator<int> g{[&](auto& out) {
        on_end end{ran};
        coir::sleep(1ms);
        out.yield(1);
        ADD_FAILURE() << "nobody can come back to it";
    }};
    greenlet consumer;
    auto taken = coir::spawn([&] {
        consumer = greenlet::current();
        EXPECT_THROW(g.next(), std::runtime_error);
        EXPECT_TRUE(g.finished());
        EXPECT_EQ(g.next(), std::nullopt);
    });
    coir::yield();
    coir::spawn([&] { consumer.throw_into(std::runtime_error("taken away")); });
    EXPECT_TRUE(taken.join());
    while (!ran) coir::yield();
}

TEST(generator_wait, an_error_that_nobody_waits_for_is_reported) {
    never_ended const thrower;
    testing::internal::CaptureStderr();
    bool over = false;
    generator<int> g{[&](auto&) {
        coir::sleep(1ms);
        over = true;
        throw std::runtime_error("nobody's");
    }};
    greenlet consumer;
    auto taken = coir::spawn([&] {
        consumer = greenlet::current();
        EXPECT_THROW(g.next(), int);
    });
    coir::yield();
    coir::spawn([&] { consumer.throw_into(1); });
    EXPECT_TRUE(taken.join());
    while (!over) coir::yield();
    EXPECT_EQ(g.next(), std::nullopt);
    auto const report = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(contains(report, "nobody's")) << report;
}
