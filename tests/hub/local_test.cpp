#include "hub/local.h"

#include "coir.h"

#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace {

std::shared_ptr<int> const witness = std::make_shared<int>();
coir::local<int> number{[] { return 1; }};
coir::local<std::string> text;
coir::tree_local<int> shared{[] { return 1; }};

} // namespace

TEST(local, each_fiber_has_its_own) {
    *number = 5;
    auto const other = coir::spawn([] {
        EXPECT_FALSE(number.has_value());
        EXPECT_EQ(*number, 1);
        *number = 7;
        text->append("x");
        coir::yield();
        return std::to_string(*number) + *text;
    });
    coir::yield();
    EXPECT_EQ(*number, 5);
    EXPECT_EQ(other.get(), "7x");
    EXPECT_TRUE(text->empty());
    number.reset();
    EXPECT_EQ(*number, 1);
    std::thread([] { EXPECT_FALSE(number.has_value()); }).join();
}

TEST(local, goes_with_its_fiber_however_that_ends) {
    coir::local<std::shared_ptr<int>> held{[] { return witness; }};
    auto const returning = coir::spawn([&] { *held; });
    auto const killed = coir::spawn([&] {
        *held;
        coir::sleep(std::chrono::hours(1));
    });
    coir::yield();
    EXPECT_EQ(witness.use_count(), 2) << "with a handle left, too";
    killed.kill();
    EXPECT_EQ(witness.use_count(), 1);
    std::thread([&] { *held; }).join();
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(local, may_outlive_its_variable_and_be_used_by_its_own_initialiser) {
    auto const it = coir::spawn([] {
        {
            coir::local<std::shared_ptr<int>> brief{[] { return coir::yield(), witness; }};
            *brief;
        }
        EXPECT_EQ(witness.use_count(), 2);
        coir::local<int> twice{[] { return *number + 1; }};
        return *twice;
    });
    EXPECT_EQ(it.get(), 2);
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(tree_local, is_shared_by_all_that_one_has_made) {
    auto const root = coir::spawn([] {
        *shared = 5;
        auto const child = coir::spawn([] { return coir::spawn([] { return ++*shared; }).get(); });
        EXPECT_EQ(child.get(), 6);
        return *shared;
    });
    auto const stranger = coir::spawn([] { return *shared; });
    EXPECT_EQ(root.get(), 6);
    EXPECT_EQ(stranger.get(), 1);
}

TEST(tree_local, goes_to_no_other_thread) {
    std::promise<coir::hub*> made;
    coir::event stop;
    std::thread other([&] {
        made.set_value(&coir::hub::current());
        stop.wait();
    });
    coir::hub& there = *made.get_future().get();
    coir::spawn([&] {
        *shared = 5;
        EXPECT_EQ(coir::spawn_on(there, [] { return std::exchange(*shared, 6); }).get(), 1);
        EXPECT_EQ(*shared, 5);
        EXPECT_EQ(coir::spawn_on(coir::hub::current(), [] { return *shared; }).get(), 5) << "this is the same thread";
    }).get();
    stop.set();
    other.join();
}
