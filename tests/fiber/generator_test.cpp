// The semantics are those of Python's generators (PEP 255 and 342), where they have any for the case. What has to do
// with fibers is in generator_wait_test.cpp.

#include "fiber/generator.h"

#include "tests/fiber/generator_bodies.h"
#include "tests/never_ended.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using coir::fiber_exit;
using coir::generator;
using coir::greenlet;

static_assert(std::ranges::input_range<generator<int>>);
static_assert(std::ranges::input_range<generator<int const&>>);
static_assert(std::ranges::input_range<generator<std::unique_ptr<int>, std::string>>);
static_assert(std::ranges::view<generator<int>>);
static_assert(!std::ranges::range<generator<void, int>>);
static_assert(std::is_same_v<std::ranges::range_reference_t<generator<int&>>, int&>);
static_assert(std::is_same_v<generator<int>::taken, std::optional<int>>);
static_assert(std::is_same_v<generator<int const&>::taken, int const*>);
static_assert(!std::is_copy_constructible_v<generator<int>>);

TEST(generator, in_a_range_for) {
    std::vector<int> got;
    for (int n : generator<int>{count_to(5)}) got.push_back(n);
    EXPECT_EQ(got, (std::vector{0, 1, 2, 3, 4}));
    for (int n : generator<int>{[](auto&) {}}) FAIL() << n;
}

TEST(generator, next_until_it_has_finished) {
    generator<int> g{count_to(2)};
    EXPECT_FALSE(g.finished());
    EXPECT_EQ(g.next(), 0);
    EXPECT_EQ(g.next(), 1);
    EXPECT_FALSE(g.finished());
    EXPECT_EQ(g.next(), std::nullopt);
    EXPECT_TRUE(g.finished());
    EXPECT_EQ(g.next(), std::nullopt);
}

TEST(generator, nothing_runs_before_it_is_asked) {
    bool began = false;
    generator<int> g{[&](auto& out) {
        began = true;
        out.yield(1);
    }};
    EXPECT_FALSE(began);
    g.next();
    EXPECT_TRUE(began);
}

TEST(generator, yields_from_any_depth) {
    struct node {
        int value;
        std::vector<node> children;
    };
    node const tree{1, {{2, {{3, {}}, {4, {}}}}, {5, {}}}};
    generator<int> g{[&](generator<int>::yielder& out) {
        auto visit = [&](auto& self, node const& each) -> void {
            out.yield(each.value);
            for (auto const& child : each.children) self(self, child);
        };
        visit(visit, tree);
    }};
    std::vector<int> got;
    std::ranges::copy(g, std::back_inserter(got));
    EXPECT_EQ(got, (std::vector{1, 2, 3, 4, 5}));
}

TEST(generator, algorithms_and_views_take_it) {
    int sum = 0;
    for (int n : generator<int>{[](auto& out) {
             for (int i = 0;; ++i) out.yield(i);
         }}) {
        if (n > 100) break;
        sum += n;
    }
    EXPECT_EQ(sum, 5050);
    generator<int> g{count_to(10)};
    EXPECT_EQ(std::ranges::count_if(g, [](int n) { return n % 2 == 0; }), 5);
}

TEST(generator, a_loop_that_begins_again_goes_on) {
    generator<int> g{count_to(6)};
    std::vector<int> got;
    for (int n : g) {
        got.push_back(n);
        if (n == 1) break;
    }
    EXPECT_EQ(g.next(), 2);
    for (int n : g) got.push_back(n);
    EXPECT_EQ(got, (std::vector{0, 1, 3, 4, 5}));
    for (int n : g) FAIL() << n << ": it has finished";
}

TEST(generator, carries_what_only_moves) {
    generator<std::unique_ptr<int>, std::unique_ptr<int>> g{[](auto& out) {
        auto held = std::make_unique<int>(1);
        for (;;) {
            auto sent = out.yield(std::move(held));
            held = sent ? std::move(*sent) : std::make_unique<int>(-1);
        }
    }};
    EXPECT_EQ(**g.next(), 1);
    EXPECT_EQ(**g.send(std::make_unique<int>(7)), 7);
    EXPECT_EQ(**g.next(), -1);
    for (auto& each : g) {
        EXPECT_EQ(*each, -1);
        break;
    }
}

TEST(generator, an_iterator_shows_the_object_itself) {
    struct counted {
        int* copies;
        explicit counted(int& of) : copies(&of) {}
        counted(counted const& other) : copies(other.copies) { ++*copies; }
        counted(counted&& other) noexcept : copies(other.copies) {}
    };
    int copies = 0;
    int seen = 0;
    generator<counted> g{[&](auto& out) {
        for (int i = 0; i < 3; ++i) out.yield(counted(copies));
    }};
    for (counted& each : g) seen += each.copies == &copies;
    EXPECT_EQ(seen, 3);
    EXPECT_EQ(copies, 0);
}

TEST(generator, references) {
    std::vector<int> numbers{1, 2, 3};
    generator<int&> g{[&](auto& out) {
        for (int& each : numbers) out.yield(each);
    }};
    int* const first = g.next();
    EXPECT_EQ(first, &numbers[0]);
    for (int& each : g) each *= 10;
    EXPECT_EQ(numbers, (std::vector{1, 20, 30}));
    EXPECT_EQ(g.next(), nullptr);

    generator<std::string const&> words{[](auto& out) { out.yield("a temporary lives until the generator goes on"); }};
    EXPECT_EQ(words.next()->size(), 45u);
}

TEST(generator, yields_nothing_takes_values) {
    std::vector<int> got;
    {
        generator<void, int> sink{[&](auto& out) {
            while (auto n = out.yield()) got.push_back(*n);
        }};
        EXPECT_TRUE(sink.next());
        EXPECT_TRUE(sink.send(1));
        EXPECT_TRUE(sink.send(2));
        EXPECT_FALSE(sink.next()) << "an empty value ends this one";
        EXPECT_FALSE(sink.send(3));
    }
    EXPECT_EQ(got, (std::vector{1, 2}));
}

TEST(generator, send_is_what_yield_returns) {
    generator<double, double> average{[](auto& out) {
        double sum = 0;
        int count = 0;
        for (;;) {
            auto const n = out.yield(count ? sum / count : 0);
            if (!n) continue;
            sum += *n;
            ++count;
        }
    }};
    EXPECT_EQ(average.next(), 0);
    EXPECT_EQ(average.send(10), 10);
    EXPECT_EQ(average.send(20), 15);
    EXPECT_EQ(average.next(), 15) << "next() sends nothing";
    EXPECT_EQ(average.send(30), 20);
}

TEST(generator, send_before_the_first_yield_is_refused) {
    int ran = 0;
    generator<int, int> g{[&](auto& out) {
        ++ran;
        out.yield(*out.yield(0));
    }};
    EXPECT_TRUE(contains(what_of([&] { g.send(1); }), "begin with next()"));
    EXPECT_EQ(ran, 0);
    EXPECT_EQ(g.next(), 0);
    EXPECT_EQ(g.send(1), 1);
    EXPECT_EQ(g.send(2), std::nullopt);
    EXPECT_EQ(g.send(3), std::nullopt);
}

TEST(generator, what_escapes_comes_out_of_next_once) {
    generator<int> g{[](auto& out) {
        out.yield(1);
        throw std::runtime_error("mine");
    }};
    EXPECT_EQ(g.next(), 1);
    try {
        g.next();
        FAIL();
    } catch (std::runtime_error const& error) {
        EXPECT_STREQ(error.what(), "mine");
    }
    EXPECT_TRUE(g.finished());
    EXPECT_EQ(g.next(), std::nullopt);
}

TEST(generator, what_escapes_ends_a_loop) {
    int seen = 0;
    auto const loop = [&] {
        for (int n : generator<int>{[](auto& out) {
                 out.yield(1);
                 throw 7;
             }})
            seen += n;
    };
    EXPECT_THROW(loop(), int);
    EXPECT_EQ(seen, 1);
}

// A fiber that is killed while the body waits must be ended, not only its generator.
TEST(generator, fiber_exit_comes_out_of_next) {
    generator<int> g{[](auto&) { throw fiber_exit{}; }};
    EXPECT_THROW(g.next(), fiber_exit);
    EXPECT_EQ(g.next(), std::nullopt);
    generator<int> nested{[](auto& out) {
        generator<int> inner{[](auto& deeper) { deeper.yield(1); }};
        for (int n : inner) out.yield(n);
    }};
    EXPECT_EQ(nested.next(), 1);
    EXPECT_THROW(nested.throw_into(fiber_exit{}), fiber_exit);
}

TEST(generator, throw_into_raises_at_the_yield) {
    generator<int> g{[](auto& out) {
        for (int i = 0;; ++i) try {
                out.yield(i);
            } catch (int thrown) {
                i = thrown;
            }
    }};
    EXPECT_EQ(g.next(), 0);
    EXPECT_EQ(g.throw_into(41), 42);
    EXPECT_EQ(g.next(), 43);
    EXPECT_THROW(g.throw_into(std::runtime_error("x")), std::runtime_error);
    EXPECT_TRUE(g.finished());
    EXPECT_THROW(g.throw_into(5), int) << "from a finished one it comes out at once";
}

TEST(generator, throw_into_one_that_has_not_begun) {
    bool ran = false;
    auto witness = std::make_shared<int>();
    {
        generator<int> g{[&ran, witness](auto&) { ran = true; }};
        EXPECT_THROW(g.throw_into(1), int);
        EXPECT_TRUE(g.finished());
        EXPECT_EQ(g.next(), std::nullopt);
    }
    EXPECT_FALSE(ran);
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(generator, close) {
    int ran = 0;
    generator<int> g{[&](auto& out) {
        on_end end{ran};
        try {
            out.yield(1);
        } catch (std::exception const&) {
            ADD_FAILURE() << "fiber_exit is no std::exception";
        }
    }};
    g.next();
    g.close();
    EXPECT_EQ(ran, 1);
    EXPECT_TRUE(g.finished());
    EXPECT_EQ(g.next(), std::nullopt);
    EXPECT_NO_THROW(g.close());

    generator<int> fresh{[&](auto&) { ++ran; }};
    fresh.close();
    EXPECT_EQ(fresh.next(), std::nullopt);
    EXPECT_EQ(ran, 1) << "the body of one that has not begun never runs";
}

TEST(generator, close_of_one_that_swallows_it_and_returns) {
    generator<int> g{[](auto& out) {
        try {
            out.yield(1);
        } catch (fiber_exit const&) {}
    }};
    g.next();
    EXPECT_NO_THROW(g.close());
    EXPECT_TRUE(g.finished());
}

TEST(generator, close_of_one_that_yields_on_is_an_error) {
    generator<int> g{[](auto& out) {
        try {
            out.yield(1);
        } catch (fiber_exit const&) {
            out.yield(2);
        }
        out.yield(3);
    }};
    g.next();
    EXPECT_TRUE(contains(what_of([&] { g.close(); }), "it yielded instead of ending"));
    EXPECT_EQ(g.next(), 3);
}

TEST(generator, close_throws_what_the_body_makes_of_it) {
    generator<int> g{[](auto& out) {
        try {
            out.yield(1);
        } catch (fiber_exit const&) {
            throw std::runtime_error("while closing");
        }
    }};
    g.next();
    EXPECT_THROW(g.close(), std::runtime_error);
    EXPECT_TRUE(g.finished());
    // A fiber_exit that is not close()'s own means the consumer.
    generator<int> killed{[](auto& out) {
        try {
            out.yield(1);
        } catch (fiber_exit const&) {}
        throw fiber_exit{};
    }};
    killed.next();
    EXPECT_THROW(killed.close(), fiber_exit);
}

TEST(generator, destroying_it_in_the_middle_runs_destructors) {
    int ran = 0;
    {
        generator<int> g{[&](auto& out) {
            on_end outer{ran};
            generator<int> inner{[&](auto& deeper) {
                on_end end{ran};
                deeper.yield(1);
            }};
            inner.next();
            out.yield(2);
        }};
        g.next();
        EXPECT_EQ(ran, 0);
    }
    EXPECT_EQ(ran, 2);
}

TEST(generator, destroying_one_destroys_its_function) {
    auto witness = std::make_shared<int>();
    {
        generator<int> fresh{[witness](auto&) {}}, ended{[witness](auto&) {}},
            held{[witness](auto&out) { out.yield(1); }};
        ended.next();
        held.next();
        EXPECT_EQ(witness.use_count(), 3) << "an ended one has destroyed its own already";
    }
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(generator, destroying_it_while_an_exception_is_under_way) {
    int ran = 0;
    try {
        generator<int> g{[&](auto& out) {
            on_end end{ran};
            try {
                out.yield(1);
            } catch (fiber_exit const&) {
                EXPECT_EQ(std::uncaught_exceptions(), 0) << "the consumer's are its own";
                throw;
            }
        }};
        g.next();
        throw 1;
    } catch (int) {
        EXPECT_EQ(ran, 1);
    }
    EXPECT_EQ(ran, 1);
}

TEST(generator, an_error_of_one_that_is_destroyed_is_reported) {
    testing::internal::CaptureStderr();
    {
        generator<int> g{[](auto& out) {
            try {
                out.yield(1);
            } catch (fiber_exit const&) {
                throw std::runtime_error("while it ended");
            }
        }};
        g.next();
    }
    auto const report = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(contains(report, "generator-") && contains(report, "while it ended")) << report;
    EXPECT_EQ(std::ranges::count(report, '\n'), 1) << report;
}

TEST(generator, destroying_one_that_never_ends_is_reported) {
    never_ended const body;
    testing::internal::CaptureStderr();
    {
        generator<int> g{[](auto& out) {
            for (;;) try {
                    out.yield(1);
                } catch (...) {}
        }};
        g.next();
    }
    auto const report = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(contains(report, "it yielded instead of ending")) << report;
    EXPECT_EQ(std::ranges::count(report, '\n'), 1) << report;
}

TEST(generator, moves_in_the_middle) {
    generator<int> g{count_to(4)};
    EXPECT_EQ(g.next(), 0);
    auto at = g.begin();
    generator<int> moved{std::move(g)};
    EXPECT_FALSE(g);
    EXPECT_TRUE(moved);
    EXPECT_EQ(*at, 1);
    ++at;
    EXPECT_EQ(*at, 2);
    int ran = 0;
    generator<int> other{[&](auto& out) {
        on_end end{ran};
        out.yield(9);
    }};
    other.next();
    other = std::move(moved);
    EXPECT_EQ(ran, 1);
    EXPECT_EQ(other.next(), 3);
}

TEST(generator, may_be_empty) {
    generator<int> g;
    EXPECT_FALSE(g);
    g = generator<int>{count_to(1)};
    EXPECT_EQ(g.next(), 0);
}

TEST(generator, that_resumes_itself_is_told) {
    generator<int> g;
    std::string said;
    g = generator<int>{[&](auto& out) {
        said = what_of([&] { g.next(); });
        EXPECT_TRUE(contains(what_of([&] { g.close(); }), "runs already"));
        out.yield(1);
    }};
    EXPECT_EQ(g.next(), 1);
    EXPECT_TRUE(contains(said, "it runs already, resumed by thread-")) << said;
    EXPECT_EQ(g.next(), std::nullopt);
}

TEST(generator, that_resumes_itself_through_another_is_told) {
    generator<int, int> first, second;
    std::string said, said_to_send;
    first = generator<int, int>{[&](auto& out) { out.yield(*second.next()); }};
    second = generator<int, int>{[&](auto& out) {
        said = what_of([&] { first.next(); });
        said_to_send = what_of([&] { first.send(1); });
        out.yield(5);
    }};
    EXPECT_EQ(first.next(), 5);
    EXPECT_TRUE(contains(said, "it runs already")) << said;
    EXPECT_TRUE(contains(said_to_send, "it runs already")) << said_to_send;
}

TEST(generator, destroyed_by_its_own_body) {
    int ran = 0;
    auto g = std::make_unique<generator<int>>();
    *g = generator<int>{[&](auto& out) {
        on_end end{ran};
        g.reset();
        EXPECT_EQ(ran, 0);
        out.yield(1);
        ADD_FAILURE() << "nobody can come back to it";
    }};
    EXPECT_THROW(g->next(), fiber_exit);
    EXPECT_EQ(ran, 1);
}

TEST(generator, belongs_to_its_thread) {
    int ran = 0;
    generator<int> g{[&](auto& out) {
        on_end end{ran};
        out.yield(1);
    }};
    auto const refused = [&] {
        EXPECT_TRUE(contains(what_of([&] { g.next(); }), "another thread"));
        EXPECT_TRUE(contains(what_of([&] { g.throw_into(1); }), "another thread"));
        EXPECT_TRUE(contains(what_of([&] { g.close(); }), "another thread"));
    };
    std::thread(refused).join();
    g.next();
    std::thread(refused).join();
    {
        never_ended const held;
        generator<int> left{[&](auto& out) {
            on_end end{ran};
            out.yield(1);
        }};
        left.next();
        std::thread([moved = std::move(left)] {}).join();
    }
    EXPECT_EQ(ran, 0) << "dropped on another thread it stays as it is";
    g.close();
    EXPECT_EQ(ran, 1);
}

TEST(generator, a_body_that_is_switched_to_by_hand_is_told) {
    greenlet body;
    generator<int, int> g{[&](auto& out) {
        body = greenlet::current();
        EXPECT_EQ(out.yield(1), 7);
        EXPECT_EQ(out.yield(2), std::nullopt) << "what was sent before has gone";
        out.yield(3);
    }};
    EXPECT_EQ(g.next(), 1);
    EXPECT_EQ(g.send(7), 2);
    body.switch_to();
    EXPECT_TRUE(contains(what_of([&] { g.next(); }), "switched to by hand"));
    EXPECT_EQ(g.next(), std::nullopt);
}

TEST(generator, nested_deeply) {
    std::function<generator<int>(int)> const down = [&](int depth) {
        return generator<int>{[&down, depth](auto& out) {
            out.yield(depth);
            if (depth > 0)
                for (int n : down(depth - 1)) out.yield(n);
        }};
    };
    std::vector<int> got;
    for (int n : down(30)) got.push_back(n);
    ASSERT_EQ(got.size(), 31u);
    EXPECT_EQ(got.front(), 30);
    EXPECT_EQ(got.back(), 0);
}

TEST(generator, a_large_stack_where_asked_for) {
    generator<std::size_t> g{[](auto& out) {
                                 char volatile room[400'000];
                                 for (std::size_t i = 0; i < sizeof room; i += 1000) room[i] = 1;
                                 std::size_t sum = 0;
                                 for (std::size_t i = 0; i < sizeof room; i += 1000) sum += std::size_t(room[i]);
                                 out.yield(sum);
                             },
                             512 * 1024};
    EXPECT_EQ(g.next(), 400u);
}
