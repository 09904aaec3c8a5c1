#include "hub/event.h"

#include "coir.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

using namespace std::chrono_literals;

TEST(event, stays_set_until_it_is_cleared) {
    coir::event it;
    EXPECT_FALSE(it.is_set() || it.ready());
    it.set();
    it.set();
    EXPECT_TRUE(it.is_set() && it.ready());
    EXPECT_TRUE(it.wait() && it.wait(0s));
    it.clear();
    it.clear();
    EXPECT_FALSE(it.is_set());
    EXPECT_FALSE(it.wait(0s));
}

TEST(event, wakes_all_who_wait_even_if_it_is_cleared_before_they_run) {
    coir::event it;
    std::string log;
    std::vector<coir::fiber<void>> all;
    for (char const name : {'a', 'b', 'c'})
        all.push_back(coir::spawn([&, name] {
            EXPECT_TRUE(it.wait());
            EXPECT_FALSE(it.is_set());
            log += name;
        }));
    coir::yield();
    it.set();
    it.clear();
    coir::joinall(all);
    EXPECT_EQ(log, "abc");
}

TEST(event, one_that_waits_again_lets_those_that_were_woken_go_first) {
    coir::event it;
    std::string log;
    auto const again = coir::spawn([&] {
        it.wait();
        log += "a";
        it.wait();
        log += "c";
    });
    auto const other = coir::spawn([&] {
        it.wait();
        log += "b";
    });
    coir::yield();
    it.set();
    coir::joinall({again, other});
    EXPECT_EQ(log, "abc");
}

TEST(event, many_rounds_between_two) {
    coir::event ping, pong;
    auto const other = coir::spawn([&] {
        for (int i = 0; i < 100; ++i) {
            ping.wait();
            ping.clear();
            pong.set();
        }
    });
    for (int i = 0; i < 100; ++i) {
        ping.set();
        pong.wait();
        pong.clear();
    }
    other.join();
}

TEST(event, set_in_a_callback_of_the_hub) {
    coir::event it;
    coir::hub::current().post([&] { it.set(); });
    EXPECT_TRUE(it.wait());
}
