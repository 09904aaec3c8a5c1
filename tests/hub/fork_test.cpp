#include "fiber/sanitizer.h"
#include "hub/event.h"
#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/offload.h"
#include "tests/rerun.h"

#include <atomic>
#include <chrono>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

using coir::hub;
using namespace std::chrono_literals;

namespace {

int exit_status_of(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
}

// No epoll set can be made from here on.
bool refuse_epoll() {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_create1, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EMFILE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog const all{std::size(program), program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0;
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

// ThreadSanitizer follows no child of a process that has threads: that ends where it makes one itself.
#if COIR_TSAN
#define SKIP_WITH_THREAD_SANITIZER() GTEST_SKIP() << "ThreadSanitizer does not follow this child"
#else
#define SKIP_WITH_THREAD_SANITIZER() static_cast<void>(0)
#endif

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

// It waits for the others with a deadline, which is the parent's timer.
TEST(fork, the_childs_main_fiber_that_joins_the_hub_is_told_too) {
    pid_t const parent = getpid();
    pid_t child = -1;
    auto forking = coir::spawn([&] {
        child = fork();
        if (child == 0) alarm(20); // instead of hanging
    });
    bool told = false, all_ended = false;
    try {
        all_ended = hub::current().join(1h);
    } catch (coir::would_block_forever const&) {
        told = true;
    }
    if (getpid() != parent) {
        auto const last = coir::spawn([] { coir::sleep(1us); });
        _exit(told && hub::current().join(1h) && last.ready() ? 8 : 1);
    }
    EXPECT_TRUE(all_ended && !told);
    EXPECT_EQ(exit_status_of(child), 8);
}

TEST(fork, a_child_of_a_thread_without_fibers_has_its_own_hub) {
    coir::sleep(1us);
    std::thread([] {
        pid_t const child = fork();
        if (child == 0) _exit(coir::spawn([] { return coir::sleep(1us), 6; }).get());
        EXPECT_EQ(exit_status_of(child), 6);
    }).join();
}

TEST(fork, a_wake_from_another_thread_that_was_on_its_way_keeps_none_from_the_child) {
    SKIP_WITH_THREAD_SANITIZER();
    coir::event elsewhere;
    int status = -1;
    auto forking = coir::spawn([&] {
        try {
            elsewhere.wait();
            coir::sleep(1h); // the kill, if the wait had its event all the same
        } catch (coir::fiber_exit const&) {}
        pid_t const child = fork();
        if (child == 0) {
            alarm(20); // instead of hanging
            coir::event later;
            coir::spawn([&] { std::thread([&] { later.set(); }).join(); }); // runs when this one waits
            later.wait();
            _exit(7);
        }
        status = exit_status_of(child);
    });
    coir::yield();
    forking.kill(coir::kill_options{.block = false});
    std::thread([&] { elsewhere.set(); }).join(); // the loop, which would take this wake, has no turn until …
    forking.join();                               // … the fiber has run
    EXPECT_EQ(status, 7);
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

TEST(fork, a_child_that_can_have_no_epoll_set_sleeps_and_is_told_when_it_waits_for_a_descriptor) {
    SKIP_WITH_THREAD_SANITIZER();
    constexpr int not_allowed = 77;
    coir::sleep(1ms);
    pid_t const child = fork();
    if (child == 0) {
        if (!refuse_epoll()) _exit(not_allowed);
        pid_t const grandchild = fork();
        if (grandchild > 0) _exit(exit_status_of(grandchild));
        coir::sleep(2ms);
        if (coir::offload([] { return 3; }) != 3) _exit(2);
        int ends[2];
        if (pipe(ends) != 0) _exit(3);
        try {
            hub::wait_fd(ends[0], hub::readable, 10s);
            _exit(4);
        } catch (std::system_error const& error) {
            _exit(error.code().value() == EMFILE ? 0 : 5);
        }
    }
    int const status = exit_status_of(child);
    if (status == not_allowed) GTEST_SKIP() << "no filter of system calls is allowed here";
    EXPECT_EQ(status, 0);
}

// Another thread carves stacks, and asks for the hook, whenever this one forks.
TEST(fork, the_child_can_make_fibers_whatever_other_threads_did_meanwhile) {
    SKIP_WITH_THREAD_SANITIZER();
    coir::sleep(1us);
    std::atomic<bool> end{false};
    std::thread carving([&] {
        std::vector<coir::fiber<void>> all;
        while (!end && all.size() < 60'000) all.push_back(coir::spawn([] {}));
    });
    std::thread hooking([&] {
        while (!end) coir::on_unhandled_exception({});
    });
    for (int i = 0; i < 100; ++i) {
        pid_t const child = fork();
        if (child == 0) {
            alarm(20); // instead of hanging
            coir::on_unhandled_exception({});
            _exit(coir::spawn({.stack_size = 128 * 1024}, [] { return 7; }).get());
        }
        int status = 0;
        EXPECT_EQ(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) {
            ADD_FAILURE() << "child " << i << ": " << status;
            break;
        }
    }
    end = true;
    carving.join();
    hooking.join();
}
