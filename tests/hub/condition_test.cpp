#include "hub/condition.h"

#include "coir.h"

#include <gtest/gtest.h>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

struct news_desk {
    coir::mutex lock;
    coir::condition news;
    std::string log;
    coir::fiber<void> reader(char name, coir::deadline until = {}) {
        return coir::spawn([this, name, until] {
            std::unique_lock held{lock};
            if (news.wait(held, until)) log += name;
            EXPECT_TRUE(held.owns_lock() && lock.locked());
        });
    }
};

} // namespace

TEST(condition, one_or_all_in_their_order) {
    news_desk it;
    std::vector<coir::fiber<void>> all;
    for (char const name : {'a', 'b', 'c'}) all.push_back(it.reader(name));
    coir::yield();
    it.news.notify_one();
    all[0].join();
    EXPECT_EQ(it.log, "a");
    it.news.notify_all();
    coir::joinall(all);
    EXPECT_EQ(it.log, "abc");
    it.news.notify_all();
    EXPECT_FALSE(coir::spawn([&] {
                     std::unique_lock held{it.lock};
                     return it.news.wait(held, 1us);
                 }).get())
        << "a notification is not kept";
}

TEST(condition, a_notification_is_not_lost_on_one_that_is_late_or_killed) {
    news_desk it;
    auto const late = it.reader('l', 50us);
    auto const killed = it.reader('k');
    auto const next = it.reader('n');
    coir::yield();
    late.join();
    killed.kill({.block = false});
    it.news.notify_one();
    next.join();
    EXPECT_EQ(it.log, "n");
}

TEST(condition, holds_the_lock_again_however_the_wait_ends) {
    news_desk it;
    it.lock.lock();
    bool owned = false;
    auto const killed = coir::spawn([&] {
        std::unique_lock held{it.lock};
        try {
            it.news.wait(held);
        } catch (coir::fiber_exit const&) {
            owned = held.owns_lock();
            throw;
        }
    });
    coir::yield();
    it.lock.unlock();
    coir::yield();
    it.lock.lock();
    killed.kill({.block = false});
    coir::yield();
    coir::yield();
    EXPECT_FALSE(killed.ready()) << "the lock is ours";
    killed.kill({.block = false});
    coir::yield();
    EXPECT_FALSE(killed.ready());
    it.lock.unlock();
    killed.join();
    EXPECT_TRUE(owned);
    EXPECT_FALSE(it.lock.locked());
}

TEST(condition, with_a_predicate_and_an_rlock_that_is_held_twice) {
    coir::rlock lock;
    coir::condition news;
    int count = 0;
    auto const waiting = coir::spawn([&] {
        std::unique_lock held{lock};
        std::lock_guard const twice{lock};
        return news.wait(held, [&] { return count == 2; });
    });
    coir::yield();
    for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(lock.try_lock()) << "it is free while the other waits";
        ++count;
        news.notify_one();
        lock.unlock();
        coir::yield();
    }
    EXPECT_TRUE(waiting.get());
    EXPECT_FALSE(lock.locked());
    std::unique_lock held{lock};
    EXPECT_FALSE(news.wait(
        held, [] { return false; }, 1us));
}

TEST(condition, without_the_lock_is_refused) {
    coir::mutex lock;
    coir::condition news;
    std::unique_lock held{lock};
    auto const other = coir::spawn([&] { EXPECT_THROW(news.wait(held), std::system_error); });
    other.get();
    EXPECT_TRUE(lock.locked());
}

TEST(condition, between_threads) {
    coir::mutex lock;
    coir::condition changed;
    int turn = 0;
    auto const play = [&](int mine) {
        for (int round = 0; round < 200; ++round) {
            std::unique_lock held{lock};
            changed.wait(held, [&] { return turn == mine; });
            turn = 1 - mine;
            changed.notify_one();
        }
    };
    std::thread other([&] { play(1); });
    play(0);
    other.join();
    EXPECT_EQ(turn, 0);
}

// The one that is notified waits for the lock when it is killed; the lock is unlocked before it has run for that.
TEST(condition, a_lock_that_becomes_free_in_the_moment_of_a_kill_is_taken) {
    news_desk it;
    auto const notified = it.reader('n');
    coir::yield();
    it.lock.lock();
    it.news.notify_one();
    coir::yield();
    notified.kill({.block = false});
    it.lock.unlock();
    EXPECT_TRUE(notified.join(10s)) << "it waits for a lock that nobody holds";
    EXPECT_FALSE(it.lock.locked());
}
