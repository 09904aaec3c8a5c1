#include "hub/channel.h"

#include "coir.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

TEST(channel, put_and_get_wait_for_each_other) {
    coir::channel<int> it;
    std::string log;
    auto const putting = coir::spawn([&] {
        for (int i = 1; i <= 3; ++i) {
            it.put(i);
            log += "p";
        }
    });
    coir::yield();
    EXPECT_EQ(it.balance(), 1);
    for (int i = 1; i <= 3; ++i) {
        EXPECT_EQ(it.get(), i);
        log += "g";
    }
    putting.join();
    EXPECT_EQ(log, "gpgpgp") << "of the two that meet, the one that gets goes on first";
}

// Its deadline has passed in the same moment, but it has not run yet: it stands in the queue, and is passed over.
TEST(channel, one_whose_wait_is_over_is_not_served) {
    for (auto ahead = 2ms;; ahead *= 2) {
        ASSERT_LT(ahead, 50ms) << "two fibers never wait so soon";
        coir::channel<int> it;
        auto const moment = std::chrono::steady_clock::now() + ahead;
        bool both_wait = false, taken = true, over = false;
        auto const putting = coir::spawn([&] {
            coir::sleep(moment);
            taken = it.try_put(1);
            both_wait &= !over;
        });
        auto const late = coir::spawn([&] {
            EXPECT_EQ(it.get(moment).has_value(), taken);
            over = true;
        });
        coir::yield();
        both_wait = std::chrono::steady_clock::now() < moment; // then their timers go in one turn, in their order
        coir::joinall({putting, late});
        if (!both_wait) continue;
        EXPECT_FALSE(taken);
        break;
    }
}

TEST(channel, keeps_nothing) {
    coir::channel<std::unique_ptr<int>> it;
    auto item = std::make_unique<int>(1);
    EXPECT_FALSE(it.try_put(std::move(item)) || it.put(std::move(item), 1us));
    EXPECT_TRUE(item);
    EXPECT_FALSE(it.try_get() || it.get(1us));
    EXPECT_EQ(it.balance(), 0);
    auto const getting = coir::spawn([&] { return *it.get(); });
    coir::yield();
    EXPECT_EQ(it.balance(), -1);
    EXPECT_TRUE(it.try_put(std::move(item)));
    EXPECT_EQ(getting.get(), 1);
    auto const putting = coir::spawn([&] { it.put(std::make_unique<int>(2)); });
    coir::yield();
    EXPECT_EQ(**it.try_get(), 2);
    putting.join();
}

TEST(channel, serves_in_the_order_of_coming_on_both_sides) {
    coir::channel<char> it;
    std::string log;
    std::vector<coir::fiber<void>> all;
    for (char const name : {'a', 'b', 'c'}) all.push_back(coir::spawn([&, name] { it.put(name); }));
    coir::yield();
    all[1].kill();
    EXPECT_EQ(it.get(), 'a');
    EXPECT_EQ(it.get(), 'c');
    for (char const name : {'x', 'y', 'z'})
        all.push_back(coir::spawn([&, name] {
            log += name;
            log += it.get();
        }));
    coir::yield();
    log.clear();
    for (char const item : {'1', '2', '3'}) it.put(item);
    coir::joinall(all);
    EXPECT_EQ(log, "123");
}

// Only a select() that has made up its mind is in the other queue: who gets does not lose its place for it.
TEST(channel, one_that_gets_keeps_its_place_when_a_select_puts_elsewhere) {
    coir::channel<int> it;
    coir::event set;
    std::string log;
    auto const choosing = coir::spawn([&] { return coir::select(it.on_put(7), set.on_set()); });
    coir::yield();
    set.set(); // decided, but it has not run
    auto const first = coir::spawn([&] { log += "a" + std::to_string(it.get()); });
    auto const second = coir::spawn([&] { log += " b" + std::to_string(it.get()); });
    EXPECT_FALSE(it.try_get());
    std::optional<int> none = it.get(0s);
    EXPECT_FALSE(none);
    EXPECT_EQ(choosing.get(), 1u);
    it.put(1);
    it.put(2);
    coir::joinall({first, second});
    EXPECT_EQ(log, "a1 b2");
}

TEST(channel, shut_down) {
    coir::channel<int> it;
    auto const putting = coir::spawn([&] { EXPECT_THROW(it.put(1), coir::queue_shut_down); });
    coir::yield();
    it.shutdown();
    putting.get();
    EXPECT_TRUE(it.is_shut_down());
    EXPECT_THROW(it.put(1), coir::queue_shut_down);
    EXPECT_THROW(it.try_put(1), coir::queue_shut_down);
    EXPECT_THROW(it.get(), coir::queue_shut_down);
    EXPECT_THROW(it.try_get(), coir::queue_shut_down);
    coir::channel<int> other;
    int sum = 0;
    auto const getting = coir::spawn([&] {
        for (int const each : other) sum += each;
    });
    other.put(1);
    other.put(2);
    other.shutdown();
    getting.get();
    EXPECT_EQ(sum, 3);
}

TEST(channel, between_threads_hands_over_each_item_once) {
    coir::channel<int> it;
    constexpr int count = 500;
    long sum = 0;
    std::thread a([&] {
        for (int i = 1; i <= count; ++i) it.put(i);
    });
    std::thread b([&] {
        for (int i = 1; i <= count; ++i) it.put(i);
    });
    for (int i = 0; i < 2 * count; ++i) sum += it.get();
    a.join();
    b.join();
    EXPECT_EQ(sum, long(count) * (count + 1));
    EXPECT_EQ(it.balance(), 0);
}
