#include "hub/mutex.h"

#include "coir.h"
#include "tests/hub/deadlock.h"

#include <gtest/gtest.h>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

TEST(mutex, is_handed_to_who_waits_longest) {
    coir::mutex it;
    std::string log;
    it.lock();
    std::vector<coir::fiber<void>> all;
    for (char const name : {'a', 'b'})
        all.push_back(coir::spawn([&, name] {
            std::lock_guard const held{it};
            log += name;
            coir::yield();
        }));
    coir::yield();
    it.unlock();
    EXPECT_FALSE(it.try_lock()) << "it is the first one's";
    it.lock();
    log += "m";
    it.unlock();
    coir::joinall(all);
    EXPECT_EQ(log, "abm");
    EXPECT_FALSE(it.locked());
}

TEST(mutex, errors_name_the_holder) {
    coir::mutex it;
    auto const message_of = [](std::errc expected, auto&& action) -> std::string {
        try {
            action();
        } catch (std::system_error const& error) {
            EXPECT_EQ(error.code(), std::make_error_code(expected));
            return error.what();
        }
        return "";
    };
    EXPECT_TRUE(contains(message_of(std::errc::operation_not_permitted, [&] { it.unlock(); }), "nobody holds"));
    auto const holder = coir::spawn({.name = "the holder"}, [&] {
        std::lock_guard const held{it};
        EXPECT_TRUE(contains(message_of(std::errc::resource_deadlock_would_occur, [&] { it.lock(); }), "the holder"));
        coir::yield();
    });
    coir::yield();
    EXPECT_TRUE(contains(message_of(std::errc::operation_not_permitted, [&] { it.unlock(); }),
                         "number " + std::to_string(holder.id()) + " holds"));
    holder.get();
}

// The next fiber has the memory of the last.
TEST(mutex, of_one_that_ended_with_it_is_not_that_of_the_next) {
    coir::mutex it;
    coir::rlock again;
    coir::spawn([&] {
        it.lock();
        again.lock();
    }).get();
    coir::spawn([&] {
        EXPECT_FALSE(it.lock(1us));
        EXPECT_THROW(it.unlock(), std::system_error);
        EXPECT_FALSE(again.lock(1us));
    }).get();
}

TEST(mutex, goes_with_unique_lock) {
    coir::mutex it;
    it.lock();
    coir::spawn([&] {
        std::unique_lock held{it, std::defer_lock};
        EXPECT_FALSE(held.try_lock());
        EXPECT_FALSE(held.try_lock_for(1us));
        EXPECT_FALSE(held.try_lock_until(std::chrono::steady_clock::now()));
    }).get();
    it.unlock();
    std::unique_lock const held{it, 1us};
    EXPECT_TRUE(held.owns_lock());
}

TEST(mutex, of_one_that_is_killed_while_it_holds_it_is_unlocked_by_its_guard) {
    coir::mutex it;
    auto const holder = coir::spawn([&] {
        std::lock_guard const held{it};
        coir::sleep(1h);
    });
    coir::yield();
    auto const next = coir::spawn([&] { std::lock_guard const held{it}; });
    coir::yield();
    holder.kill();
    next.get();
}

TEST(rlock, is_locked_as_often_as_unlocked) {
    coir::rlock it;
    std::string log;
    auto const other = coir::spawn([&] {
        std::lock_guard const held{it};
        log += "other";
    });
    for (int i = 0; i < 3; ++i) it.lock();
    EXPECT_TRUE(it.try_lock());
    for (int i = 0; i < 3; ++i) {
        it.unlock();
        coir::yield();
        EXPECT_EQ(log, "");
    }
    it.unlock();
    other.join();
    EXPECT_EQ(log, "other");
    EXPECT_THROW(it.unlock(), std::system_error);
}

TEST(mutex, keeps_the_fibers_of_several_threads_apart) {
    coir::mutex it;
    int inside = 0, entered = 0; // not atomic
    std::vector<std::thread> all;
    for (int t = 0; t < 3; ++t)
        all.emplace_back([&] {
            std::vector<coir::fiber<void>> fibers;
            for (int i = 0; i < 5; ++i)
                fibers.push_back(coir::spawn([&] {
                    for (int round = 0; round < 40; ++round) {
                        std::lock_guard const held{it};
                        EXPECT_EQ(++inside, 1);
                        ++entered;
                        if (round % 4 == 0) coir::yield();
                        --inside;
                    }
                }));
            coir::joinall(fibers);
        });
    for (auto& each : all) each.join();
    EXPECT_EQ(entered, 600);
}
