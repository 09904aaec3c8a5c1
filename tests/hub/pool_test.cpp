#include "hub/pool.h"

#include "fiber/generator.h"
#include "hub/event.h"
#include "hub/wait.h"
#include "tests/rerun.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using coir::event;
using coir::group;
using coir::pool;
using namespace std::chrono_literals;

namespace {

struct tried {}; // an error

// What was reported as unhandled while this lives.
struct unhandled {
    std::vector<std::string> names;
    std::function<void(coir::unhandled_exception const&)> before;
    unhandled() : before(coir::on_unhandled_exception([this](auto const& what) { names.push_back(what.name); })) {}
    unhandled(unhandled const&) = delete;
    ~unhandled() { coir::on_unhandled_exception(before); }
};

void let_all_run() { coir::idle(); }

} // namespace

TEST(group, results_of_every_kind) {
    group all;
    int there = 1;
    EXPECT_EQ(all.spawn([](int n) { return n + 1; }, 1).get(), 2);
    EXPECT_EQ(*all.spawn([](std::unique_ptr<int> n) { return n; }, std::make_unique<int>(3)).get(), 3);
    all.spawn({.name = "named"}, [] {}).get();
    EXPECT_EQ(all.apply([](std::string const& text) { return text + "!"; }, "so"), "so!");
    EXPECT_EQ(*all.apply([] { return std::make_unique<int>(4); }), 4);
    EXPECT_EQ(&all.apply([&]() -> int& { return there; }), &there);
    all.apply([&] { there = 5; });
    EXPECT_EQ(there, 5);
    EXPECT_THROW(all.apply([]() -> int { throw tried{}; }), tried);
    EXPECT_EQ(*all.apply_async([] { return std::make_unique<int>(6); }).get(), 6);
    EXPECT_TRUE(all.join());
    EXPECT_TRUE(all.empty());
}

TEST(group, holds_those_that_are_at_work) {
    event go_on;
    auto const first = coir::spawn([&] { go_on.wait(); });
    auto const second = coir::spawn([&] { go_on.wait(); });
    group all{std::vector{first, second}};
    auto const third = all.spawn([&] { go_on.wait(); });
    EXPECT_EQ(all.size(), 3u);
    EXPECT_TRUE(all.contains(first) && all.contains(third));
    EXPECT_EQ(all.members(), (std::vector<coir::any_fiber>{first, second, third}));
    EXPECT_FALSE(all.full());
    EXPECT_TRUE(all.wait_available());
    go_on.set();
    EXPECT_EQ(coir::wait(all.members()).size(), 3u);
    EXPECT_TRUE(all.join());
    EXPECT_TRUE(all.members().empty());
    EXPECT_FALSE(all.contains(first));
}

TEST(group, takes_what_has_ended_and_lets_it_go) {
    auto const ended = coir::spawn([] {});
    ended.join();
    group all;
    all.add(ended);
    EXPECT_TRUE(all.join());
    EXPECT_EQ(all.size(), 0u);
}

TEST(group, starts_what_was_not_started) {
    group all;
    bool ran = false;
    coir::fiber fresh{[&] { ran = true; }};
    all.add(fresh);
    EXPECT_FALSE(all.join(0s)) << "it is a member";
    all.start(fresh);
    EXPECT_TRUE(all.join());
    EXPECT_TRUE(ran);
}

TEST(group, keeps_a_member_that_nobody_else_holds) {
    group all;
    all.add(coir::fiber{[] {}});
    let_all_run();
    ASSERT_EQ(all.size(), 1u);
    all.members().front().start();
    EXPECT_TRUE(all.join());
}

TEST(group, members_go_on_when_it_goes) {
    event go_on;
    int ended = 0;
    coir::fiber<void> one;
    {
        group all;
        one = all.spawn([&] { go_on.wait(), ++ended; });
        all.spawn([&] { go_on.wait(), ++ended; });
        let_all_run();
    }
    {
        group only_named;
        only_named.add(one);
    }
    EXPECT_FALSE(one.ready());
    go_on.set();
    one.join();
    let_all_run();
    EXPECT_EQ(ended, 2);
}

TEST(group, may_be_destroyed_by_a_member_and_by_who_joined_it) {
    auto all = std::make_unique<group>();
    all->spawn([&] { all.reset(); });
    let_all_run();
    EXPECT_EQ(all, nullptr);
    all = std::make_unique<group>();
    all->spawn([] {});
    auto const joiner = coir::spawn([&] {
        all->join();
        all.reset();
    });
    joiner.get();
    EXPECT_EQ(all, nullptr);
}

TEST(group, what_failed_is_thrown_by_join_if_asked) {
    unhandled reports;
    group all;
    all.spawn([] { throw tried{}; });
    all.spawn([] {});
    EXPECT_THROW(all.join({}, true), tried);
    EXPECT_TRUE(all.empty());
    EXPECT_TRUE(reports.names.empty()) << reports.names.front();
    all.spawn({.name = "careless"}, [] { throw tried{}; });
    EXPECT_TRUE(all.join());
    let_all_run();
    EXPECT_EQ(reports.names, std::vector<std::string>{"careless"});
}

TEST(group, joiners_are_woken_in_order_and_may_be_late) {
    group all;
    event go_on;
    std::string log;
    all.spawn([&] { go_on.wait(); });
    auto const joining = [&](char name) { return coir::spawn([&, name] { log += all.join() ? name : '-'; }); };
    auto const a = joining('a');
    auto const late = coir::spawn([&] { log += all.join(0s) ? 'x' : 'l'; });
    auto const b = joining('b');
    auto const killed = joining('k');
    let_all_run();
    EXPECT_EQ(log, "l");
    EXPECT_TRUE(late.ready());
    killed.kill();
    go_on.set();
    coir::joinall({a, b});
    EXPECT_EQ(log, "lab");
}

TEST(group, kill_waits_for_those_that_take_their_time) {
    group all;
    event go_on;
    auto const stubborn = all.spawn([&] {
        try {
            coir::event{}.wait();
        } catch (coir::fiber_exit const&) {}
        go_on.wait();
        return 1;
    });
    auto const obedient = all.spawn([] { coir::event{}.wait(); });
    let_all_run();
    EXPECT_FALSE(all.kill({.until = 0s}));
    EXPECT_TRUE(obedient.ready());
    EXPECT_FALSE(all.kill({.block = false})) << "each is killed once";
    EXPECT_FALSE(all.killone(stubborn)) << "likewise";
    let_all_run();
    EXPECT_FALSE(stubborn.ready());
    auto const killer = coir::spawn([&] { return all.kill(); });
    let_all_run();
    EXPECT_FALSE(killer.ready());
    go_on.set();
    EXPECT_TRUE(killer.get());
    EXPECT_EQ(stubborn.get(), 1);
}

TEST(group, kill_one) {
    group all;
    auto const one = all.spawn([] { coir::event{}.wait(); });
    auto const other = all.spawn([] { coir::event{}.wait(); });
    auto const stranger = coir::spawn([] { coir::yield(); });
    EXPECT_FALSE(all.killone(stranger));
    EXPECT_FALSE(stranger.ready());
    EXPECT_TRUE(all.killone(one));
    EXPECT_FALSE(other.ready());
    EXPECT_TRUE(all.kill());
    EXPECT_TRUE(other.ready() && all.empty());
    stranger.join();
}

TEST(group, kill_by_a_member_ends_it_last) {
    group all;
    std::string log;
    auto const sleeping = [&](char name) {
        return [&log, name] {
            struct leaving {
                std::string& log;
                char name;
                ~leaving() { log += name; }
            } at_end{log, name};
            coir::event{}.wait();
        };
    };
    all.spawn(sleeping('a'));
    auto const killer = all.spawn([&] {
        coir::yield();
        try {
            all.kill();
        } catch (coir::fiber_exit const&) {
            log += 'k';
            throw;
        }
        log += "not reached";
    });
    all.spawn(sleeping('b'));
    EXPECT_TRUE(all.join());
    EXPECT_TRUE(killer.successful() && !killer.returned());
    EXPECT_EQ(std::count(log.begin(), log.end(), 'k'), 1);
    std::sort(log.begin(), log.end());
    EXPECT_EQ(log, "abk");
}

TEST(group, kill_of_unstarted_and_just_ended_members) {
    group all;
    bool ran = false;
    auto const ended = coir::spawn([] {});
    ended.join();
    all.add(coir::fiber{[&] { ran = true; }});
    all.spawn([&] { ran = true; });
    all.add(ended);
    EXPECT_TRUE(all.kill());
    EXPECT_TRUE(all.empty());
    let_all_run();
    EXPECT_FALSE(ran);
}

TEST(pool, at_most_so_many_first_come_first_served) {
    pool three{3};
    EXPECT_EQ(three.limit(), 3u);
    int running = 0, most = 0;
    std::vector<int> begun;
    std::vector<coir::fiber<void>> spawners;
    for (int i = 0; i < 20; ++i)
        spawners.push_back(coir::spawn([&, i] {
            three.spawn([&, i] {
                begun.push_back(i);
                most = std::max(most, ++running);
                for (int turns = i % 4; turns >= 0; --turns) coir::yield();
                --running;
            });
        }));
    coir::joinall(spawners);
    three.join();
    EXPECT_EQ(most, 3);
    EXPECT_TRUE(std::is_sorted(begun.begin(), begun.end()));
    EXPECT_EQ(begun.size(), 20u);
    EXPECT_EQ(three.free_count(), 3u);
}

TEST(pool, without_a_limit) {
    pool any;
    event go_on;
    for (int i = 0; i < 100; ++i) any.spawn([&] { go_on.wait(); });
    EXPECT_FALSE(any.full());
    EXPECT_GT(any.free_count(), 1'000'000u);
    go_on.set();
    any.join();
}

TEST(pool, says_that_it_is_full) {
    pool two{2};
    event go_on;
    two.try_spawn([&] { go_on.wait(); });
    two.spawn([&] { go_on.wait(); });
    EXPECT_TRUE(two.full());
    EXPECT_THROW(two.try_spawn([] {}), coir::pool_full);
    coir::fiber fresh{[] {}};
    EXPECT_THROW(two.try_add(fresh), coir::pool_full);
    EXPECT_THROW(two.try_start(fresh), coir::pool_full);
    EXPECT_THROW(two.add(fresh, 0s), coir::pool_full);
    EXPECT_THROW(two.start(fresh, 1ms), coir::pool_full);
    EXPECT_FALSE(two.wait_available(0s));
    EXPECT_FALSE(fresh.started());
    go_on.set();
    EXPECT_TRUE(two.wait_available());
    two.start(fresh, 10s);
    EXPECT_TRUE(fresh.join());
    two.join();
    EXPECT_EQ(two.free_count(), 2u);
}

TEST(pool, a_member_has_one_place_however_often_it_is_added) {
    pool two{2};
    event go_on;
    auto const one = two.spawn([&] { go_on.wait(); });
    two.add(one);
    two.try_add(one);
    EXPECT_EQ(two.free_count(), 1u);
    two.discard(one);
    two.discard(one);
    EXPECT_EQ(two.free_count(), 2u);
    EXPECT_TRUE(two.join()) << "it is no member any more";
    two.add(one);
    go_on.set();
    two.join();
    let_all_run();
    EXPECT_EQ(two.free_count(), 2u);
}

TEST(pool, a_place_is_not_lost_with_who_waits_for_it) {
    for (bool const in_the_same_moment : {false, true}) {
        pool one{1};
        event go_on;
        bool ran = false;
        auto const first = one.spawn([&] { go_on.wait(); });
        auto const killed = coir::spawn([&] { one.spawn([&] { ran = true; }); });
        auto const late = coir::spawn([&] {
            coir::fiber fresh{[] {}};
            EXPECT_THROW(one.add(fresh, 1ms), coir::pool_full);
        });
        late.join();
        if (in_the_same_moment) {
            one.discard(first); // its place is handed to `killed`, which has not run since
            EXPECT_FALSE(killed.ready());
        }
        killed.kill();
        go_on.set();
        coir::joinall({first, killed});
        one.join();
        EXPECT_EQ(ran, in_the_same_moment) << "what was granted is taken";
        EXPECT_EQ(one.free_count(), 1u);
    }
}

TEST(pool, apply_in_a_member_and_apply_async_do_not_wait_for_a_place) {
    pool one{1};
    EXPECT_EQ(one.apply([&] { return one.apply([] { return coir::yield(), 1; }); }), 1);
    event go_on;
    auto const first = one.spawn([&] { go_on.wait(); });
    auto const text = one.apply_async([](std::unique_ptr<int> n) { return *n; }, std::make_unique<int>(7));
    EXPECT_FALSE(one.contains(text));
    let_all_run();
    EXPECT_FALSE(text.ready());
    go_on.set();
    EXPECT_EQ(text.get(), 7);
}

TEST(pool, may_go_before_what_waits_for_its_places_by_itself) {
    event never;
    coir::fiber<int> later;
    coir::fiber<void> first;
    {
        pool one{1};
        first = one.spawn([&] { never.wait(); });
        later = one.apply_async([] { return 1; });
        let_all_run();
        EXPECT_FALSE(later.ready());
    }
    EXPECT_EQ(later.get(), 1) << "the place of the first is free since the pool is gone";
    EXPECT_FALSE(first.ready());
    first.kill();
}

TEST(pool, a_callback_of_the_hub_cannot_wait_for_a_place) {
    unhandled reports;
    pool one{1};
    event go_on;
    one.spawn([&] { go_on.wait(); });
    coir::spawn([] {}).rawlink([&](auto const&) { one.spawn([] {}); });
    let_all_run();
    EXPECT_EQ(reports.names.size(), 1u);
    go_on.set();
    one.join();
    EXPECT_EQ(one.free_count(), 1u);
}

TEST_ALONE(pool, would_block_forever_names_what_is_waited_for) {
    pool none{0};
    auto const spawner = coir::spawn({.name = "spawner"}, [&] { none.spawn([] {}); });
    group all;
    all.add(spawner);
    try {
        all.join();
        FAIL();
    } catch (coir::would_block_forever const& error) {
        std::string const lines = error.what();
        EXPECT_NE(lines.find("spawner: parked, waits for a place in a pool"), std::string::npos) << lines;
        EXPECT_NE(lines.find("waits for the members of a group"), std::string::npos) << lines;
    }
    spawner.kill();
    let_all_run(); // the link that takes it out
}

TEST(pool, from_several_threads) {
    constexpr int threads = 4, each = 200;
    pool three{3};
    std::atomic<int> running{0}, most{0}, done{0};
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&] {
            for (int i = 0; i < each; ++i)
                three.spawn([&, i] {
                    int const now = ++running;
                    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {}
                    if (i % 3 == 0) coir::yield();
                    --running;
                    ++done;
                });
            three.join();
        });
    for (auto& thread : all) thread.join();
    EXPECT_EQ(done, threads * each);
    EXPECT_LE(most, 3);
    EXPECT_EQ(three.free_count(), 3u);
    EXPECT_TRUE(three.empty());
}

TEST(group, is_killed_and_joined_from_another_thread) {
    group all;
    event done;
    auto const one = all.spawn([] { coir::event{}.wait(); });
    auto const joiner = all.spawn([&] { return one.join(); });
    std::thread([&] {
        EXPECT_FALSE(all.join(1ms));
        EXPECT_TRUE(all.killone(one));
        EXPECT_TRUE(all.kill());
        done.set();
    }).detach(); // this thread waits by its hub, not in a call of libc
    all.join();
    EXPECT_TRUE(one.ready() && joiner.ready());
    done.wait();
}
