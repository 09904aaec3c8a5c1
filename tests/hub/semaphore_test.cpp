#include "hub/semaphore.h"

#include "coir.h"

#include <atomic>
#include <gtest/gtest.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

TEST(semaphore, counts) {
    coir::semaphore it{2};
    EXPECT_EQ(it.value(), 2u);
    EXPECT_TRUE(it.acquire() && it.try_acquire());
    EXPECT_FALSE(it.try_acquire() || it.acquire(0s));
    EXPECT_TRUE(it.locked());
    it.release();
    EXPECT_EQ(it.value(), 1u);
    EXPECT_TRUE(it.wait());
    EXPECT_EQ(it.value(), 1u) << "wait() takes nothing";
}

TEST(semaphore, who_releases_cannot_take_it_from_who_waits) {
    coir::semaphore it{1};
    std::string log;
    it.acquire();
    auto const other = coir::spawn([&] {
        it.acquire();
        log += "other ";
        it.release();
    });
    coir::yield();
    it.release();
    EXPECT_FALSE(it.try_acquire());
    it.acquire();
    log += "self";
    EXPECT_EQ(log, "other self");
    other.join();
}

TEST(semaphore, those_who_only_look_take_nothing_and_do_not_stop_those_behind) {
    coir::semaphore it{0};
    std::string log;
    auto const looking = coir::spawn([&] {
        EXPECT_TRUE(it.wait());
        log += "l";
    });
    auto const taking = coir::spawn([&] {
        EXPECT_TRUE(it.acquire());
        log += "t";
    });
    coir::yield();
    it.release();
    coir::joinall({looking, taking});
    EXPECT_EQ(log, "lt");
    EXPECT_EQ(it.value(), 0u);
}

TEST(semaphore, several_releases_before_the_first_runs_are_for_the_first_in_line) {
    coir::semaphore it{0};
    std::string log;
    std::vector<coir::fiber<void>> all;
    for (char const name : {'a', 'b', 'c'})
        all.push_back(coir::spawn([&, name] {
            it.acquire();
            log += name;
        }));
    coir::yield();
    all[0].kill({.block = false});
    it.release();
    it.release();
    it.release();
    coir::joinall(all);
    EXPECT_EQ(log, "bc");
    EXPECT_EQ(it.value(), 1u) << "that of the one that was killed";
}

TEST(bounded_semaphore, refuses_what_was_not_acquired) {
    coir::bounded_semaphore it{1};
    try {
        it.release();
        ADD_FAILURE();
    } catch (std::logic_error const& error) {
        EXPECT_NE(std::string(error.what()).find("bound of 1"), std::string::npos) << error.what();
    }
    EXPECT_EQ(it.value(), 1u);
    it.acquire();
    it.release();
    EXPECT_THROW(it.release(), std::logic_error);
}

TEST(semaphore, of_several_hubs_lets_in_as_many_as_it_is_for) {
    coir::semaphore it{2};
    std::atomic<int> inside{0}, entered{0};
    std::vector<std::thread> all;
    for (int t = 0; t < 3; ++t)
        all.emplace_back([&] {
            std::vector<coir::fiber<void>> fibers;
            for (int i = 0; i < 10; ++i)
                fibers.push_back(coir::spawn([&] {
                    for (int round = 0; round < 20; ++round) {
                        it.acquire();
                        EXPECT_LE(++inside, 2);
                        ++entered;
                        coir::yield();
                        --inside;
                        it.release();
                    }
                }));
            coir::joinall(fibers);
        });
    for (auto& each : all) each.join();
    EXPECT_EQ(entered, 600);
    EXPECT_EQ(it.value(), 2u);
}
