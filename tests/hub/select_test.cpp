#include "hub/select.h"

#include "coir.h"

#include <array>
#include <atomic>
#include <functional>
#include <gtest/gtest.h>
#include <set>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;

namespace {

struct pair {
    int ends[2];
    pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); }
    ~pair() {
        for (int const end : ends) {
            coir::hub::forget_fd(end);
            close(end);
        }
    }
};

} // namespace

TEST(select, does_what_is_possible_at_once_and_nothing_else) {
    coir::queue<int> full{1}, empty;
    coir::semaphore permits{0};
    full.put(1);
    int got = 0;
    EXPECT_EQ(coir::select(empty.on_get(got), full.on_get(got), permits.on_acquire()), 1u);
    EXPECT_EQ(got, 1);
    EXPECT_EQ(coir::select(full.on_put(2), empty.on_get(got)), 0u);
    EXPECT_EQ(full.size(), 1u);
    permits.release();
    EXPECT_EQ(coir::select(empty.on_get(got), permits.on_acquire()), 1u);
    EXPECT_EQ(permits.value(), 0u);
    coir::event set;
    set.set();
    auto const ended = coir::spawn([] {});
    ended.join();
    EXPECT_EQ(coir::select(set.on_set(), empty.on_get(got)), 0u);
    EXPECT_EQ(coir::select(empty.on_get(got), ended.on_end()), 1u);
}

TEST(select, waits_for_the_first_of_each_kind) {
    pair p;
    coir::queue<int> items, full{1};
    coir::channel<int> out, in;
    coir::event set;
    coir::semaphore permits{0};
    coir::async_result<int> result;
    coir::event stop;
    full.put(0);
    auto const fiber = coir::spawn([&] { stop.wait(); });
    int got = 0;
    auto const chosen_after = [&](auto&& action) {
        auto const waiting = coir::spawn([&] {
            return coir::select(items.on_get(got), full.on_put(1), out.on_put(2), in.on_get(got), set.on_set(),
                                permits.on_acquire(), result.on_set(), fiber.on_end(),
                                coir::on_readable(p.ends[0], coir::closing::seen), coir::after(1h));
        });
        coir::yield();
        action();
        return waiting.get();
    };
    EXPECT_EQ(chosen_after([&] { items.put(5); }), 0u);
    EXPECT_EQ(got, 5);
    EXPECT_EQ(chosen_after([&] { full.get(); }), 1u);
    EXPECT_EQ(full.size(), 1u);
    EXPECT_EQ(chosen_after([&] { EXPECT_EQ(out.get(), 2); }), 2u);
    EXPECT_EQ(chosen_after([&] { in.put(6); }), 3u);
    EXPECT_EQ(got, 6);
    EXPECT_EQ(chosen_after([&] { set.set(); }), 4u);
    set.clear();
    EXPECT_EQ(chosen_after([&] { permits.release(); }), 5u);
    EXPECT_EQ(permits.value(), 0u);
    EXPECT_EQ(chosen_after([&] { EXPECT_EQ(write(p.ends[1], "x", 1), 1); }), 8u);
    char byte;
    EXPECT_EQ(read(p.ends[0], &byte, 1), 1);
    EXPECT_EQ(chosen_after([&] { coir::hub::forget_fd(p.ends[0]); }), 8u) << "closed: the next call on it tells";
    EXPECT_EQ(items.size() + in.balance() + out.balance(), 0u);
    stop.set();
    fiber.join();
}

TEST(select, gives_one_grant_to_one_case_only) {
    coir::queue<int> a, b;
    int got_a = 0, got_b = 0;
    auto const waiting = coir::spawn([&] { return coir::select(a.on_get(got_a), b.on_get(got_b)); });
    coir::yield();
    a.put(1);
    b.put(2);
    EXPECT_EQ(waiting.get(), 0u);
    EXPECT_EQ(got_a, 1);
    EXPECT_EQ(b.get(), 2) << "the other item is still there";
}

TEST(select, with_a_default_or_a_deadline) {
    coir::queue<int> empty;
    int got = 0;
    EXPECT_EQ(coir::select(empty.on_get(got), coir::otherwise()), 1u);
    EXPECT_EQ(coir::select(empty.on_get(got), coir::after(1us)), 1u);
    EXPECT_EQ(coir::select(coir::after(1h), coir::after(0s)), 1u);
    EXPECT_THROW(coir::detail::select({}), std::invalid_argument);
}

TEST(select, starves_no_case) {
    coir::queue<int> a, b, c;
    std::set<std::size_t> chosen;
    for (int i = 0; i < 200; ++i) {
        int got;
        for (auto* each : {&a, &b, &c})
            if (each->empty()) each->put(1);
        chosen.insert(coir::select(a.on_get(got), b.on_get(got), c.on_get(got)));
    }
    EXPECT_EQ(chosen.size(), 3u);
}

TEST(select, of_more_than_eight_cases) {
    coir::semaphore never{0}, permits{0};
    auto const waiting = coir::spawn([&] {
        return coir::select(never.on_acquire(), never.on_acquire(), never.on_acquire(), never.on_acquire(),
                            never.on_acquire(), never.on_acquire(), never.on_acquire(), never.on_acquire(),
                            never.on_acquire(), permits.on_acquire());
    });
    coir::yield();
    permits.release();
    EXPECT_EQ(waiting.get(), 9u);
    never.release();
    EXPECT_EQ(never.value(), 1u) << "nobody is left in its queue";
}

TEST(select, that_is_killed_does_nothing) {
    coir::queue<int> items;
    coir::channel<int> out;
    int got = 0;
    auto const waiting = coir::spawn([&] { coir::select(items.on_get(got), out.on_put(1)); });
    coir::yield();
    waiting.kill({.block = false});
    items.put(5);
    EXPECT_FALSE(out.try_get());
    waiting.join();
    EXPECT_EQ(items.get(), 5);
    EXPECT_EQ(got, 0);
}

TEST(select, throws_when_the_chosen_queue_is_shut_down) {
    coir::queue<int> items;
    coir::channel<int> out;
    coir::event set;
    int got = 0;
    auto const getting = coir::spawn([&] { coir::select(items.on_get(got), set.on_set()); });
    auto const putting = coir::spawn([&] { coir::select(out.on_put(1), set.on_set()); });
    coir::yield();
    items.shutdown();
    out.shutdown();
    EXPECT_THROW(getting.get(), coir::queue_shut_down);
    EXPECT_THROW(putting.get(), coir::queue_shut_down);
    EXPECT_THROW(coir::select(items.on_get(got)), coir::queue_shut_down);
}

TEST(select, two_that_meet_in_a_channel) {
    coir::channel<int> it;
    coir::event never;
    int got = 0;
    auto const getting = coir::spawn([&] { return coir::select(it.on_get(got), never.on_set()); });
    auto const putting = coir::spawn([&] { return coir::select(never.on_set(), it.on_put(5)); });
    EXPECT_EQ(getting.get(), 0u);
    EXPECT_EQ(putting.get(), 1u);
    EXPECT_EQ(got, 5);
    auto const both = coir::spawn([&] { return coir::select(it.on_get(got), it.on_put(6), coir::after(1us)); });
    EXPECT_EQ(both.get(), 2u) << "not with itself";
}

TEST(select, over_threads_takes_each_item_once) {
    coir::queue<int> a, b;
    coir::channel<int> c;
    coir::event done;
    constexpr int count = 300;
    std::atomic<int> got{0};
    std::vector<std::thread> takers;
    for (int t = 0; t < 2; ++t)
        takers.emplace_back([&] {
            int item;
            while (coir::select(a.on_get(item), b.on_get(item), c.on_get(item), done.on_set()) != 3) ++got;
        });
    for (int i = 0; i < count; ++i) {
        a.put(i);
        b.put(i);
        coir::select(c.on_put(i));
    }
    while (!a.empty() || !b.empty()) coir::sleep(50us);
    done.set();
    for (auto& each : takers) each.join();
    while (a.try_get() || b.try_get() || c.try_get()) ++got; // those that chose to end
    EXPECT_EQ(got, 3 * count);
}

namespace {

struct cannot_be_queued final : coir::select_case {
    std::function<void()> before;
    bool try_now() override { return false; }
    void queue(coir::waiter&) override {
        if (before) before();
        throw std::runtime_error("cannot be queued");
    }
    void leave(coir::waiter&) noexcept override { ADD_FAILURE() << "it was in no queue"; }
    char const* what() const noexcept override { return "nothing"; }
};

} // namespace

TEST(select, that_throws_has_left_all_queues) {
    coir::queue<int> ints;
    int got = 0;
    coir::spawn([&] {
        auto one = ints.on_get(got);
        cannot_be_queued other;
        EXPECT_THROW(coir::detail::select(std::array<coir::select_case*, 2>{&one, &other}), std::runtime_error);
    }).join();
    ints.put(5);
    EXPECT_EQ(ints.try_get(), 5) << "it was promised to one that had left";
    EXPECT_EQ(got, 0);
}

TEST(select, does_what_has_happened_when_another_case_throws) {
    coir::queue<int> ints;
    int got = 0;
    auto one = ints.on_get(got);
    cannot_be_queued other;
    other.before = [&] { std::thread([&] { ints.put(5); }).join(); };
    EXPECT_EQ(coir::detail::select(std::array<coir::select_case*, 2>{&one, &other}), 0u);
    EXPECT_EQ(got, 5);
    coir::sleep(1us); // what the other thread has posted wakes nobody
    EXPECT_TRUE(ints.empty());
}
