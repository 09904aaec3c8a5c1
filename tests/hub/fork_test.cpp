#include "hub/fiber.h"
#include "hub/hub.h"
#include "tests/rerun.h"

#include <chrono>
#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using coir::hub;
using namespace std::chrono_literals;

namespace {

int exit_status_of(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
}

struct pipe_ends {
    int ends[2];
    pipe_ends() { EXPECT_EQ(pipe(ends), 0); }
    ~pipe_ends() {
        for (int end : ends) {
            hub::forget_fd(end);
            close(end);
        }
    }
};

} // namespace

TEST(fork, the_child_keeps_only_the_fiber_that_forked) {
    bool beside_ran = false;
    auto forking = coir::spawn([&] {
        coir::spawn([&] { beside_ran = true; }); // ready
        auto sleeping = coir::spawn([] { coir::sleep(1ms); });
        coir::yield();
        beside_ran = false;
        coir::spawn([&] { beside_ran = true; });
        pid_t const child = fork();
        if (child == 0) {
            bool const alone = hub::current().alive() == 1;
            coir::sleep(2ms);
            int const result = coir::spawn([] { return coir::sleep(1ms), 5; }).get();
            _exit(alone && !beside_ran && result == 5 ? 0 : 1);
        }
        EXPECT_EQ(exit_status_of(child), 0);
        sleeping.get();
    });
    forking.get();
    coir::yield();
    EXPECT_TRUE(beside_ran) << "the parent goes on as if nothing had happened";
}

TEST(fork, both_wait_for_descriptors_afterwards) {
    pipe_ends to_child, to_parent;
    EXPECT_EQ(hub::wait_fd(to_parent.ends[0], hub::readable, 0s, coir::closing::seen), coir::wake_reason::timed_out);
    pid_t const child = fork();
    char byte = 0;
    if (child == 0) {
        if (hub::wait_fd(to_child.ends[0], hub::readable) != coir::wake_reason::ready) _exit(1);
        if (read(to_child.ends[0], &byte, 1) != 1) _exit(2);
        coir::sleep(1us);
        if (write(to_parent.ends[1], "y", 1) != 1) _exit(3);
        _exit(0);
    }
    EXPECT_EQ(write(to_child.ends[1], "x", 1), 1);
    EXPECT_EQ(hub::wait_fd(to_parent.ends[0], hub::readable, {}, coir::closing::seen), coir::wake_reason::ready);
    EXPECT_EQ(read(to_parent.ends[0], &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    EXPECT_EQ(exit_status_of(child), 0);
}

// When the fiber that forked has ended in the child, the thread's own is told that nothing is left. What it
// waited in belonged to the parent's loop.
TEST(fork, the_childs_main_fiber_is_cancelled_when_nothing_is_left) {
    pipe_ends never;
    pid_t const parent = getpid();
    pid_t child = -1;
    auto forking = coir::spawn([&] { child = fork(); });
    auto const why = hub::wait_fd(never.ends[0], hub::readable, 20ms, coir::closing::seen);
    if (getpid() != parent) {
        bool told = false;
        try {
            coir::interruption_point();
        } catch (coir::would_block_forever const&) {
            told = true;
        }
        bool const works = coir::spawn([] { return coir::sleep(1us), 5; }).get() == 5 &&
                           hub::wait_fd(never.ends[0], hub::readable, 1ms) == coir::wake_reason::timed_out;
        _exit(why == coir::wake_reason::cancelled && told && works ? 9 : 1);
    }
    EXPECT_EQ(why, coir::wake_reason::timed_out);
    forking.get();
    EXPECT_EQ(exit_status_of(child), 9);
}

TEST(fork, a_child_of_a_thread_without_fibers_has_its_own_hub) {
    coir::sleep(1us);
    std::thread([] {
        pid_t const child = fork();
        if (child == 0) _exit(coir::spawn([] { return coir::sleep(1us), 6; }).get());
        EXPECT_EQ(exit_status_of(child), 6);
    }).join();
}

TEST(fork, generations) {
    std::function<int(int)> descend = [&](int depth) -> int {
        if (depth == 0) return coir::spawn([] { return coir::sleep(1us), 1; }).get();
        pid_t const child = fork();
        if (child == 0) _exit(descend(depth - 1));
        return exit_status_of(child) + 1;
    };
    EXPECT_EQ(coir::spawn(descend, 4).get(), 5);
}
