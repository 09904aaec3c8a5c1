#include "fiber/reference_count.h"

#include "fiber/sanitizer.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

using coir::reference_count;

namespace {

reference_count counted;
int volatile signals = 0;

} // namespace

TEST(reference_count, says_how_many_there_were) {
    reference_count one;
    EXPECT_EQ(one.now(), 1u);
    one.add();
    EXPECT_EQ(one.now(), 2u);
    EXPECT_EQ(one.drop(), 2u);
    EXPECT_EQ(one.drop(), 1u);
    EXPECT_EQ(one.now(), 0u);
}

// Of a process with one thread: this is before the test that has several.
TEST(reference_count, counts_in_handlers_of_signals) {
#if COIR_TSAN
    GTEST_SKIP() << "it runs handlers in the thread's next call to libc, and has a thread of its own";
#endif
    struct sigaction action {};
    action.sa_handler = [](int) {
        counted.add();
        signals = signals + 1;
    };
    ASSERT_EQ(sigaction(SIGALRM, &action, nullptr), 0);
    timer_t timer;
    ASSERT_EQ(timer_create(CLOCK_MONOTONIC, nullptr, &timer), 0) << std::strerror(errno); // which sends SIGALRM
    itimerspec const often{{0, 20'000}, {0, 20'000}};                                     // ns
    ASSERT_EQ(timer_settime(timer, 0, &often, nullptr), 0);
    while (signals < 2000)
        for (int i = 0; i < 1000; ++i) {
            counted.add();
            counted.drop();
        }
    timer_delete(timer);
    EXPECT_EQ(counted.now(), 1u + unsigned(signals));
}

TEST(reference_count, counts_on_threads) {
    reference_count one;
    constexpr unsigned threads = 4, times = 10'000;
    {
        std::vector<std::jthread> all;
        for (unsigned i = 0; i < threads; ++i)
            all.emplace_back([&one] {
                for (unsigned i = 0; i < times; ++i) {
                    one.add();
                    one.add();
                    one.drop();
                }
            });
    }
    EXPECT_EQ(one.now(), 1u + threads * times);
}
