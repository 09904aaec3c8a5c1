#include "hub/queue.h"

#include "coir.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

TEST(queue, orders) {
    coir::queue<int> fifo;
    coir::lifo_queue<int> lifo;
    coir::priority_queue<std::pair<int, char>, decltype([](auto const& a, auto const& b) { return a.first < b.first; })>
        ranking;
    for (int const i : {2, 1, 3}) {
        fifo.put(i);
        lifo.put(i);
    }
    for (auto const& each : {std::pair{2, 'a'}, {1, 'b'}, {2, 'c'}, {1, 'd'}}) ranking.put(each);
    EXPECT_EQ(fifo.get() * 100 + fifo.get() * 10 + fifo.get(), 213);
    EXPECT_EQ(lifo.peek(), 3);
    EXPECT_EQ(lifo.get() * 100 + lifo.get() * 10 + lifo.get(), 312);
    std::string order;
    while (auto const next = ranking.try_get()) order += next->second;
    EXPECT_EQ(order, "bdac") << "equal ones in the order of putting";
}

TEST(queue, sizes) {
    coir::queue<int> it{2};
    EXPECT_TRUE(it.empty() && !it.full() && it.maxsize() == 2);
    it.put(1);
    EXPECT_TRUE(it.try_put(2));
    EXPECT_TRUE(it.full() && it.size() == 2);
    EXPECT_FALSE(it.try_put(3) || it.put(3, 0s));
    EXPECT_EQ(it.try_peek(), 1);
    EXPECT_EQ(it.get(0s), 1);
    EXPECT_EQ(it.get(), 2);
    EXPECT_EQ(it.get(0s), std::nullopt);
    EXPECT_EQ(it.try_get(), std::nullopt);
    EXPECT_EQ(it.try_peek(), std::nullopt);
    EXPECT_EQ(coir::queue<int>().maxsize(), 0u);
}

TEST(queue, an_item_whose_put_failed_is_as_it_was) {
    coir::queue<std::unique_ptr<int>> it{1};
    it.put(std::make_unique<int>(1));
    auto item = std::make_unique<int>(2);
    EXPECT_FALSE(it.try_put(std::move(item)) || it.put(std::move(item), 1us));
    ASSERT_TRUE(item);
    auto const killed = coir::spawn([&] { it.put(std::move(item)); });
    coir::yield();
    killed.kill();
    ASSERT_TRUE(item);
    it.shutdown();
    EXPECT_THROW(it.put(std::move(item)), coir::queue_shut_down);
    EXPECT_EQ(*item, 2);
    EXPECT_EQ(*it.get(), 1);
}

TEST(queue, what_was_promised_to_a_fiber_is_not_given_to_another) {
    coir::queue<int> it{1};
    int got = 0;
    auto const waiting = coir::spawn([&] { got = it.get(); });
    coir::yield();
    it.put(1);
    EXPECT_EQ(it.try_get(), std::nullopt);
    EXPECT_FALSE(it.get(0s));
    waiting.join();
    EXPECT_EQ(got, 1);
    it.put(2);
    auto const putting = coir::spawn([&] { it.put(3); });
    coir::yield();
    EXPECT_EQ(it.get(), 2);
    EXPECT_FALSE(it.try_put(4)) << "the room is promised";
    putting.join();
    EXPECT_EQ(it.get(), 3);
}

TEST(queue, a_waiting_getter_of_a_priority_queue_gets_the_lowest_there_is_when_it_runs) {
    coir::priority_queue<int> it;
    auto const waiting = coir::spawn([&] { return it.get(); });
    coir::yield();
    for (int const i : {3, 1, 2}) it.put(i);
    EXPECT_EQ(waiting.get(), 1);
}

TEST(queue, peeks_wait_and_take_nothing) {
    coir::queue<int> it;
    auto const a = coir::spawn([&] { return it.peek(); });
    auto const b = coir::spawn([&] { return it.peek(1h); });
    auto const c = coir::spawn([&] { return it.get(); });
    coir::yield();
    it.put(5);
    EXPECT_EQ(a.get(), 5);
    EXPECT_EQ(*b.get(), 5);
    EXPECT_EQ(c.get(), 5);
    EXPECT_EQ(it.peek(1us), std::nullopt);
}

TEST(queue, shut_down) {
    coir::queue<int> it{2};
    it.put(1);
    it.put(2);
    auto const putting = coir::spawn([&] { EXPECT_THROW(it.put(3), coir::queue_shut_down); });
    coir::yield();
    it.shutdown();
    it.shutdown();
    EXPECT_TRUE(it.is_shut_down());
    putting.get();
    EXPECT_THROW(it.try_put(3), coir::queue_shut_down);
    int sum = 0;
    for (int const each : it) sum += each;
    EXPECT_EQ(sum, 3) << "what is inside can be got";
    EXPECT_THROW(it.get(), coir::queue_shut_down);
    EXPECT_THROW(it.get(0s), coir::queue_shut_down);
    EXPECT_THROW(it.try_get(), coir::queue_shut_down);
    EXPECT_THROW(it.peek(), coir::queue_shut_down);
    EXPECT_THROW(it.try_peek(), coir::queue_shut_down);
}

TEST(queue, shut_down_wakes_all_who_wait_to_get) {
    coir::queue<int> it;
    int ended = 0;
    std::vector<coir::fiber<void>> all;
    for (int i = 0; i < 3; ++i)
        all.push_back(coir::spawn([&] {
            for ([[maybe_unused]] int const each : it) ADD_FAILURE();
            ++ended;
        }));
    coir::yield();
    it.shutdown();
    coir::joinall(all);
    EXPECT_EQ(ended, 3);
}

TEST(queue, shut_down_now_drops_what_is_inside_also_what_was_promised) {
    auto const held = std::make_shared<int>();
    coir::joinable_queue<std::shared_ptr<int>> it;
    auto const waiting = coir::spawn([&] { EXPECT_THROW(it.get(), coir::queue_shut_down); });
    auto const joining = coir::spawn([&] { EXPECT_TRUE(it.join()); });
    coir::yield();
    for (int i = 0; i < 3; ++i) it.put(held);
    auto const joining_too = coir::spawn([&] { EXPECT_TRUE(it.join()); });
    it.shutdown_now();
    coir::joinall({waiting, joining, joining_too});
    EXPECT_EQ(held.use_count(), 1);
    EXPECT_EQ(it.unfinished(), 0u);
}

TEST(joinable_queue, knows_what_is_not_done) {
    coir::joinable_queue<int> it;
    EXPECT_TRUE(it.join());
    EXPECT_THROW(it.task_done(), std::logic_error);
    for (int i = 0; i < 3; ++i) it.put(i);
    EXPECT_FALSE(it.join(0s));
    EXPECT_EQ(it.unfinished(), 3u);
    auto const worker = coir::spawn([&] {
        for ([[maybe_unused]] int const each : it) {
            coir::yield();
            it.task_done();
        }
    });
    EXPECT_TRUE(it.join());
    EXPECT_EQ(it.unfinished(), 0u);
    it.shutdown();
    worker.get();
}

TEST(queue, between_threads_loses_nothing) {
    coir::queue<int> it{3};
    constexpr int each_puts = 500;
    std::vector<int> got[2];
    std::vector<std::thread> all;
    for (int t = 0; t < 2; ++t) {
        all.emplace_back([&, t] {
            for (int i = 0; i < each_puts; ++i) it.put(t * each_puts + i);
        });
        all.emplace_back([&, t] {
            for (int const each : it) got[t].push_back(each);
        });
    }
    all[0].join();
    all[2].join();
    it.shutdown();
    all[1].join();
    all[3].join();
    for (auto const& some : got) {
        int last[2] = {-1, -1};
        for (int const each : some) EXPECT_LT(std::exchange(last[each / each_puts], each), each) << "in order";
    }
    std::vector<int> together = got[0];
    together.insert(together.end(), got[1].begin(), got[1].end());
    std::ranges::sort(together);
    ASSERT_EQ(together.size(), 2u * each_puts);
    for (int i = 0; i < 2 * each_puts; ++i) EXPECT_EQ(together[std::size_t(i)], i);
}

// What was promised to one that cannot take or put it is the next one's.
TEST(queue, an_item_whose_move_throws_keeps_nobody_else_waiting) {
    struct item {
        bool throws = false;
        explicit item(bool does) : throws(does) {}
        item(item&& from) : throws(from.throws) {
            if (throws) throw std::runtime_error("move");
        }
        item& operator=(item&&) = default;
    };
    coir::queue<item> it{1};
    it.put(item{false});
    auto const first = coir::spawn([&] {
        item bad{true};
        EXPECT_THROW(it.put(std::move(bad)), std::runtime_error);
    });
    auto const second = coir::spawn([&] { EXPECT_TRUE(it.put(item{false}, 10s)); });
    coir::yield();
    it.get();
    first.join();
    second.join();
    EXPECT_EQ(it.size(), 1u);
}
