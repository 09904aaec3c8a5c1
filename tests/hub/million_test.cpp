// A million parked fibers with guards. Takes about 5 GB.

#include "fiber/stack.h"
#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/wait.h"

#include <chrono>
#include <gtest/gtest.h>
#include <vector>

TEST(million, parked_with_guards) {
    coir::release_stack(coir::acquire_stack(0));
    if (coir::guard_in_use() != coir::stack_guard::lightweight) GTEST_SKIP() << "no lightweight guards in this kernel";
    constexpr std::size_t count = 1'000'000;
    std::size_t parked = 0;
    bool go = false;
    auto first = coir::spawn([&] {
        while (!go) coir::sleep(std::chrono::milliseconds(10));
    });
    std::vector<coir::fiber<void>> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        all.push_back(coir::spawn([&] {
            ++parked;
            first.join();
            --parked;
        }));
        if (i % 1000 == 0) coir::yield();
    }
    while (parked < count) coir::yield();
    EXPECT_EQ(coir::hub::current().alive(), count + 1);
    go = true;
    coir::joinall(all);
    EXPECT_EQ(parked, 0u);
}
