// Random worlds: fibers that wait for everything there is to wait for, and are woken, killed, timed out, shut down and
// closed at every wait point, in an order that a seed decides. random/world.h says what is in them, random/turns.cpp
// what they do and must find.
//
//     COIR_SEED=17 random_test     one world again
//     COIR_SEEDS=100000 random_test     more of them
//
// A world of one thread lives in virtual time and is the same on every run. Worlds of several threads are not; in them
// only what must come out even in the end is checked.

#include "tests/hub/random/virtual_time.h"
#include "tests/hub/random/world.h"

#include <algorithm>
#include <barrier>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t seeds_of_one_thread = 1000;
constexpr std::uint64_t seeds_of_several = 200;

std::uint64_t number_in(char const* variable, std::uint64_t otherwise) {
    char const* const text = std::getenv(variable);
    if (!text) return otherwise;
    std::uint64_t number = 0;
    auto const [end, error] = std::from_chars(text, text + std::strlen(text), number);
    EXPECT_TRUE(error == std::errc{} && *end == 0) << variable << " is no number: " << text;
    return number;
}

// On the main fiber of a thread: drives the players into their ends.
void referee(world& in, dice roll) {
    auto const all_over = [&] {
        return std::ranges::all_of(in.players, [](player const& each) { return each.self.ready(); });
    };
    for (auto rounds = 5 + roll.below(40); rounds > 0 && !all_over(); --rounds) {
        coir::sleep(soon(roll));
        if (roll.chance(50)) poke(in, roll);
        if (roll.chance(5)) kill_one(in, roll, roll.one_of(in.players), -1);
    }
    constexpr int patience = 20'000;
    for (int rounds = 0; !all_over(); ++rounds) {
        if (rounds == patience) in.fail("some fibers do not end");
        close_all(in, roll);
        coir::sleep(soon(roll));
        for (player& each : in.players)
            if (roll.chance(30)) kill_one(in, roll, each, -1);
    }
}

void wait_for_callbacks() {
    coir::idle();                                               // links of the last to end are about to be called …
    while (coir::hub::current().alive() > 0) coir::sleep(20us); // … and may wait
}

void enter(world& in, dice& roll) {
    player& fresh = in.players.emplace_back();
    fresh.number = int(in.players.size()) - 1;
    fresh.roll = dice(roll.another());
    fresh.begun = false;
}

void begin(world& in, player& one, int turns) {
    one.self = coir::spawn([&in, &one, turns, alive = counted()] { return play(in, one, turns); });
}

/// On a thread of its own. What happened, in a number.
std::uint64_t one_thread(std::uint64_t seed) {
    std::uint64_t sum;
    {
        world in{seed, false, "random.one_thread"};
        virtual_time const time{seed, [&] { in.fail("nothing will ever happen any more"); }};
        dice roll{seed + 2};
        in.hubs = {&coir::hub::current()};
        auto const count = 2 + roll.below(11);
        int const turns = int(4 + roll.below(30));
        for (std::size_t i = 0; i < count; ++i) {
            enter(in, roll);
            begin(in, in.players.back(), turns);
        }
        referee(in, dice(roll.another()));
        wait_for_callbacks();
        audit(in);
        sum = in.story.sum() ^ std::uint64_t(time.now());
    }
    return sum;
}

void several_threads(std::uint64_t seed) {
    world in{seed, true, "random.several_threads"};
    dice roll{seed + 3};
    std::size_t const threads = 2 + roll.below(2);
    auto const each_has = 1 + roll.below(5);
    int const turns = int(4 + roll.below(30));
    for (std::size_t i = 0; i < threads * each_has; ++i) enter(in, roll);
    in.hubs.resize(threads);
    std::barrier together{std::ptrdiff_t(threads)};
    std::vector<std::thread> all;
    for (std::size_t t = 0; t < threads; ++t)
        all.emplace_back([&, t, own = dice(roll.another())] {
            in.hubs[t] = &coir::hub::current();
            for (std::size_t i = 0; i < each_has; ++i) begin(in, in.players[t * each_has + i], turns);
            together.arrive_and_wait();
            if (t == 0) referee(in, own);
            for (std::size_t i = 0; i < each_has; ++i) in.players[t * each_has + i].self.join();
            together.arrive_and_wait(); // nobody posts, kills or links any more …
            wait_for_callbacks();
            together.arrive_and_wait(); // … and nothing of it is under way
            if (t == 0) audit(in);
        });
    for (auto& each : all) each.join();
}

// Runs a world on a thread of its own, which has a fresh hub. A world that hangs ends the program.
void run(std::uint64_t seed, char const* test, std::function<void()> const& what) {
    std::mutex lock;
    std::condition_variable ended;
    bool over = false;
    std::thread world([&] {
        what();
        std::lock_guard const held{lock};
        over = true;
        ended.notify_one();
    });
    std::unique_lock held{lock};
    if (!ended.wait_for(held, 60s, [&] { return over; })) trace(seed, test).fail("it hangs", "");
    held.unlock();
    world.join();
    ASSERT_EQ(counted::alive, 0) << "something was not destroyed; again: COIR_SEED=" << seed
                                 << " random_test --gtest_filter=" << test;
}

void run_all(std::uint64_t count, char const* test, std::function<void(std::uint64_t)> const& what) {
    coir::on_unhandled_exception([](coir::unhandled_exception const& of) {
        try {
            std::rethrow_exception(of.error);
        } catch (poison const&) {}
    });
    if (std::uint64_t const seed = number_in("COIR_SEED", 0)) {
        run(seed, test, [&] { what(seed); });
    } else {
        for (std::uint64_t each = 1; each <= number_in("COIR_SEEDS", count) && !testing::Test::HasFatalFailure();
             ++each)
            run(each, test, [&] { what(each); });
    }
    coir::on_unhandled_exception({});
}

} // namespace

TEST(random, one_thread) {
    run_all(seeds_of_one_thread, "random.one_thread", [](std::uint64_t seed) { one_thread(seed); });
}

TEST(random, several_threads) {
    run_all(seeds_of_several, "random.several_threads", [](std::uint64_t seed) { several_threads(seed); });
}

// What makes a failing seed worth printing.
TEST(random, a_world_of_one_thread_is_the_same_each_time) {
    run_all(50, "random.a_world_of_one_thread_is_the_same_each_time", [](std::uint64_t seed) {
        std::uint64_t const first = one_thread(seed);
        std::uint64_t again = 0;
        std::thread([&] { again = one_thread(seed); }).join();
        EXPECT_EQ(first, again) << "seed " << seed;
    });
}
