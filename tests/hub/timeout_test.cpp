#include "coir.h"

#include <chrono>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <thread>

using namespace std::chrono_literals;

TEST(timeout, ends_what_its_scope_waits_for) {
    coir::timeout limit{1us};
    EXPECT_TRUE(limit.pending() && !limit.expired());
    try {
        coir::sleep(1h);
        ADD_FAILURE();
    } catch (coir::timed_out const& late) {
        EXPECT_TRUE(limit.raised(late));
        EXPECT_NE(std::string(late.what()).find("timed out after"), std::string::npos) << late.what();
    }
    EXPECT_TRUE(!limit.pending() && limit.expired());
    coir::sleep(1us); // once
}

TEST(timeout, is_no_std_exception) {
    coir::timeout const limit{1us};
    try {
        try {
            coir::sleep(1h);
        } catch (std::exception const&) {
            ADD_FAILURE() << "a library swallows it";
        }
    } catch (coir::timed_out const&) {}
}

TEST(timeout, nested_ones_end_their_own_scopes) {
    std::string log;
    auto const start = std::chrono::steady_clock::now();
    coir::timeout outer{start + 3ms};
    try {
        coir::timeout inner{start + 1ms};
        try {
            coir::sleep(1h);
        } catch (coir::timed_out const& late) {
            EXPECT_TRUE(inner.raised(late) && !outer.raised(late));
            log += "inner ";
        }
        coir::sleep(1h);
    } catch (coir::timed_out const& late) {
        EXPECT_TRUE(outer.raised(late));
        log += "outer";
    }
    EXPECT_EQ(log, "inner outer");
}

TEST(timeout, that_is_late_in_the_same_moment_as_an_outer_one_leaves_that_to_the_next_wait) {
    auto const moment = std::chrono::steady_clock::now() + 1ms;
    coir::timeout outer{moment};
    coir::timeout inner{moment};
    EXPECT_THROW(coir::sleep(1h), coir::timed_out);
    EXPECT_THROW(coir::sleep(1h), coir::timed_out);
    EXPECT_TRUE(outer.expired() && inner.expired());
    coir::sleep(1us);
}

TEST(timeout, that_passes_during_a_computation_is_thrown_by_the_next_wait_or_asked_for) {
    for (bool const asks : {false, true}) {
        coir::timeout const limit{1us};
        EXPECT_EQ(coir::hub::wait_until({}), coir::wake_reason::cancelled); // which throws nothing, as a computation
        EXPECT_TRUE(limit.expired());
        if (asks)
            EXPECT_THROW(coir::interruption_point(), coir::timed_out);
        else
            EXPECT_THROW(coir::yield(), coir::timed_out);
        EXPECT_NO_THROW(coir::interruption_point()) << "once";
    }
}

TEST(timeout, whose_scope_ends_before_it_was_thrown_is_forgotten) {
    std::optional<coir::timeout> limit{std::in_place, 1us};
    EXPECT_EQ(coir::hub::wait_until({}), coir::wake_reason::cancelled);
    limit.reset();
    EXPECT_NO_THROW(coir::interruption_point());
    EXPECT_NO_THROW(coir::sleep(1us));
}

TEST(timeout, with_an_error_of_its_own) {
    coir::timeout const limit{1us, std::make_exception_ptr(7)};
    EXPECT_THROW(coir::sleep(1h), int);
}

TEST(timeout, cancelled_and_begun_anew) {
    coir::timeout limit{1us};
    limit.cancel();
    EXPECT_FALSE(limit.pending());
    coir::sleep(100us);
    limit.restart(1us);
    EXPECT_THROW(coir::sleep(1h), coir::timed_out);
    limit.restart(1us);
    EXPECT_THROW(coir::sleep(1h), coir::timed_out) << "again";
    coir::timeout const never{coir::deadline{}};
    EXPECT_FALSE(never.pending());
}

TEST(timeout, of_another_fiber_is_not_ours) {
    auto const other = coir::spawn([] {
        coir::timeout const limit{1us};
        EXPECT_THROW(coir::sleep(1h), coir::timed_out);
    });
    coir::sleep(100us);
    other.get();
}

TEST(timeout, reaches_into_a_generator) {
    coir::generator<int> slow{[](auto& out) {
        coir::sleep(1h);
        out.yield(1);
    }};
    coir::timeout const limit{1us};
    EXPECT_THROW(slow.next(), coir::timed_out);
    EXPECT_TRUE(slow.finished());
}

TEST(with_timeout, gives_the_result_or_nothing) {
    EXPECT_EQ(coir::with_timeout(
                  1h, [](int n) { return n + 1; }, 4),
              5);
    EXPECT_EQ(coir::with_timeout(1us, [] { return coir::sleep(1h), 4; }), std::nullopt);
    EXPECT_TRUE(coir::with_timeout(1h, [] {}));
    EXPECT_FALSE(coir::with_timeout(1us, [] { coir::sleep(1h); }));
}

TEST(with_timeout, lets_those_of_others_pass) {
    coir::timeout const outer{1us};
    EXPECT_THROW(coir::with_timeout(1h, [] { coir::sleep(1h); }), coir::timed_out);
    EXPECT_TRUE(outer.expired());
    EXPECT_THROW(coir::with_timeout(1h, [] { throw 1; }), int);
}

TEST(timeout, on_a_thread_of_its_own) {
    std::thread([] {
        coir::timeout const limit{1us};
        EXPECT_THROW(coir::sleep(1h), coir::timed_out);
    }).join();
}
