#include "hub/async_result.h"

#include "coir.h"

#include <gtest/gtest.h>
#include <memory>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

TEST(async_result, holds_what_it_was_given) {
    coir::async_result<std::string> it;
    EXPECT_FALSE(it.ready() || it.successful());
    EXPECT_EQ(it.value(), nullptr);
    EXPECT_FALSE(it.wait(0s));
    it.set(3u, 'x');
    EXPECT_TRUE(it.ready() && it.successful());
    EXPECT_EQ(it.get(), "xxx");
    EXPECT_EQ(*it.value(), "xxx");
    EXPECT_EQ(it.exception(), nullptr);
}

TEST(async_result, throws_the_exception_it_was_given_each_time) {
    coir::async_result<int> it;
    it.set_exception(std::make_exception_ptr(7));
    EXPECT_TRUE(it.ready() && !it.successful());
    EXPECT_TRUE(it.wait());
    EXPECT_THROW(it.get(), int);
    EXPECT_THROW(it.get(), int);
    EXPECT_EQ(it.value(), nullptr);
}

TEST(async_result, is_set_once) {
    coir::async_result<int> it;
    it.set(1);
    EXPECT_THROW(it.set(2), std::logic_error);
    EXPECT_THROW(it.set_exception(std::make_exception_ptr(3)), std::logic_error);
    EXPECT_EQ(it.get(), 1);
}

TEST(async_result, get_throws_timed_out_which_no_scope_raised) {
    coir::async_result<int> it;
    coir::timeout const limit{1h};
    try {
        it.get(1us);
        ADD_FAILURE();
    } catch (coir::timed_out const& late) {
        EXPECT_FALSE(limit.raised(late));
    }
}

TEST(async_result, of_nothing_and_of_what_can_only_be_moved) {
    coir::async_result<void> nothing;
    nothing.set();
    nothing.get();
    coir::async_result<std::unique_ptr<int>> pointer;
    auto const waiting = coir::spawn([&] { return *pointer.get(); });
    coir::yield();
    pointer.set(std::make_unique<int>(5));
    EXPECT_EQ(waiting.get(), 5);
    EXPECT_EQ(**pointer.value(), 5) << "it stays";
}

TEST(async_result, as_a_link_of_a_fiber_that_exits) {
    coir::async_result<int> it;
    auto const ended = coir::spawn([]() -> int { throw coir::fiber_exit{}; });
    ended.link(std::ref(it));
    EXPECT_THROW(it.get(), coir::fiber_exit);
}
