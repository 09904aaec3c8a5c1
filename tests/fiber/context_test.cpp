// What a context owns besides its registers: errno, and the exceptions under way on it.

#include "fiber/greenlet.h"

#include <cerrno>
#include <cfenv>
#include <cstdint>
#include <exception>
#include <gtest/gtest.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using coir::greenlet;

namespace {

void back() { greenlet::current().parent().switch_to(); }

std::string what_is_thrown() {
    try {
        throw;
    } catch (std::exception const& thrown) {
        return thrown.what();
    }
}

} // namespace

TEST(context, errno_survives_a_switch) {
    greenlet other([] {
        EXPECT_EQ(errno, 0) << "a new context starts without an error";
        errno = ENOENT;
        back();
        EXPECT_EQ(errno, ENOENT);
        errno = EPERM;
    });
    errno = EBUSY;
    other.switch_to();
    EXPECT_EQ(errno, EBUSY);
    other.switch_to();
    EXPECT_EQ(errno, EBUSY);
}

TEST(context, exceptions_thrown_and_caught_around_interleaved_switches) {
    std::vector<std::string> caught;
    auto const body = [&caught](std::string const name) {
        for (int i = 0; i < 3; ++i) {
            back();
            try {
                throw std::runtime_error(name + std::to_string(i));
            } catch (std::runtime_error const& thrown) {
                back();
                caught.push_back(thrown.what());
            }
        }
    };
    greenlet a([&] { body("a"); }), b([&] { body("b"); });
    while (!a.dead() || !b.dead()) {
        if (!a.dead()) a.switch_to();
        if (!b.dead()) b.switch_to();
    }
    EXPECT_EQ(caught, (std::vector<std::string>{"a0", "b0", "a1", "b1", "a2", "b2"}));
}

// Both are inside a catch block at once, and leave in the order in which they came: with one stack of caught
// exceptions for both, `throw;` in the first would rethrow the exception of the second.
TEST(context, rethrow_after_a_switch_inside_a_catch_block_finds_its_own) {
    std::vector<std::string> rethrown;
    auto const body = [&rethrown](char const* name) {
        try {
            throw std::runtime_error(name);
        } catch (...) {
            back();
            rethrown.push_back(what_is_thrown());
            back();
            EXPECT_TRUE(std::current_exception());
        }
        EXPECT_FALSE(std::current_exception());
    };
    greenlet a([&] { body("a"); }), b([&] { body("b"); });
    for (int i = 0; i < 3; ++i) {
        a.switch_to();
        EXPECT_FALSE(std::current_exception()) << "nothing is caught here";
        b.switch_to();
    }
    EXPECT_TRUE(a.dead() && b.dead());
    EXPECT_EQ(rethrown, (std::vector<std::string>{"a", "b"}));
}

TEST(context, a_switch_out_of_a_catch_block_of_the_threads_own) {
    greenlet other([] {
        EXPECT_FALSE(std::current_exception());
        try {
            throw std::runtime_error("other");
        } catch (...) {
            back();
        }
    });
    try {
        throw std::runtime_error("own");
    } catch (...) {
        other.switch_to();
        EXPECT_EQ(what_is_thrown(), "own");
        other.switch_to();
        EXPECT_EQ(what_is_thrown(), "own");
    }
    EXPECT_FALSE(std::current_exception());
}

// A destructor that switches while an exception unwinds: the exception is under way here and not there.
TEST(context, uncaught_exceptions_are_counted_per_context) {
    greenlet other([] {
        EXPECT_EQ(std::uncaught_exceptions(), 0);
        back();
        EXPECT_EQ(std::uncaught_exceptions(), 0);
    });
    struct switches {
        greenlet& to;
        ~switches() {
            EXPECT_EQ(std::uncaught_exceptions(), 1);
            to.switch_to();
            EXPECT_EQ(std::uncaught_exceptions(), 1);
        }
    };
    try {
        switches at_end{other};
        throw 1;
    } catch (int) {}
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    other.switch_to();
    EXPECT_TRUE(other.dead());
}

namespace {

[[gnu::noinline]] std::uint64_t descend(int depth) {
    if (depth == 0) {
        back();
        return 1;
    }
    std::uint64_t volatile here = std::uint64_t(depth);
    std::uint64_t const below = descend(depth - 1);
    return below + here;
}

[[gnu::noinline]] int throw_from(int depth) {
    if (depth == 0) {
        back();
        throw std::runtime_error("from the deep");
    }
    int volatile keep = throw_from(depth - 1);
    return keep + 1;
}

} // namespace

TEST(context, switches_at_depth_keep_every_frame) {
    constexpr int depth = 1000;
    std::uint64_t sums[3] = {};
    std::vector<greenlet> all;
    for (auto& sum : sums) all.emplace_back([&sum] { sum = descend(depth); }, std::size_t{1} << 20);
    for (int round = 0; round < 2; ++round)
        for (auto& each : all) each.switch_to();
    for (auto sum : sums) EXPECT_EQ(sum, std::uint64_t(depth) * (depth + 1) / 2 + 1);
}

TEST(context, an_exception_unwinds_frames_that_were_switched_away) {
    greenlet deep([] { EXPECT_THROW(throw_from(200), std::runtime_error); }, std::size_t{1} << 20);
    deep.switch_to();
    deep.switch_to();
    EXPECT_TRUE(deep.dead());
}

TEST(context, each_has_its_own_rounding_mode) {
    std::vector<int> seen;
    greenlet other([&seen] {
        std::fesetround(FE_UPWARD);
        back();
        seen.push_back(std::fegetround());
    });
    other.switch_to();
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    std::fesetround(FE_DOWNWARD);
    other.switch_to();
    int const after = std::fegetround();
    std::fesetround(FE_TONEAREST);
    EXPECT_EQ(after, FE_DOWNWARD);
    EXPECT_EQ(seen, std::vector<int>{FE_UPWARD});
}

TEST(context, names_tell_kind_and_number_and_ids_are_never_reused) {
    auto& here = coir::context::current();
    EXPECT_EQ(here.name(), "thread-" + std::to_string(here.id));
    std::uint64_t other_id = 0;
    std::thread([&] { other_id = coir::context::current().id; }).join();
    EXPECT_NE(other_id, here.id);
}
