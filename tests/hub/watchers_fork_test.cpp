#include "hub/watchers.h"

#include "tests/hub/watcher_fixture.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <gtest/gtest.h>
#include <optional>
#include <thread>
#include <unistd.h>

using coir::hub;
using namespace std::chrono_literals;

// fork

TEST(fork_watcher, is_called_in_the_child_only) {
    hub::fork one;
    int calls = 0;
    one.start([&] { ++calls; });
    pid_t const child = fork();
    if (child == 0) {
        bool const later = calls == 0;
        coir::sleep(1us);
        pid_t const grandchild = fork();
        if (grandchild == 0) {
            coir::sleep(1us);
            _exit(calls == 2 ? 6 : 1);
        }
        _exit(later && calls == 1 && one.active() && exit_status_of(grandchild) == 6 ? 5 : 1);
    }
    EXPECT_EQ(exit_status_of(child), 5);
    coir::sleep(1us);
    EXPECT_EQ(calls, 0);
}

TEST(fork_watcher, the_other_watchers_are_inactive_in_the_child_and_start_again) {
    NEEDS_PIDFD();
    pipe_ends pipe;
    temporary_file file;
    waiting_child running{4};
    int calls = 0;
    auto const count = [&] { ++calls; };
    hub::async async;
    hub::timer timer{1ms, 1ms};
    hub::io io{pipe.in(), {hub::readable, hub::writable}};
    hub::signal signal{SIGUSR1};
    hub::child child{running.pid};
    hub::stat stat{file.path, 100ms};
    hub::periodic periodic{1ms};
    hub::idle idle;
    hub::prepare prepare;
    hub::check check;
    auto const start_all = [&](auto const& what) {
        async.start(what);
        timer.start(what);
        io.start(what);
        signal.start(what);
        child.start(what);
        stat.start(what);
        periodic.start(what);
        idle.start(what);
        prepare.start(what);
        check.start(what);
    };
    start_all(count);
    auto waiting = coir::spawn([&] { async.wait(); });
    coir::yield();
    async.send();
    pipe.put();
    calls = 0;
    pid_t const forked = fork();
    if (forked == 0) {
        int const before = calls;
        bool const none = !async.active() && !timer.active() && !io.active() && !signal.active() && !child.active() &&
                          !stat.active() && !periodic.active() && !idle.active() && !prepare.active() &&
                          !check.active();
        struct sigaction now;
        sigaction(SIGUSR1, nullptr, &now);
        coir::sleep(3ms);
        if (!none || calls != before) _exit(1);
        if (now.sa_handler != SIG_DFL) _exit(2);
        if (!io.wait()) _exit(3);
        signal.start();
        kill(getpid(), SIGUSR1);
        if (!signal.wait()) _exit(4);
        async.start();
        async.send();
        if (!async.wait()) _exit(5);
        if (!timer.wait() || !periodic.wait() || !idle.wait()) _exit(6);
        timer.start();
        if (!prepare.wait() || !check.wait()) _exit(7);
        stat.start();
        file.append();
        if (!stat.wait()) _exit(8);
        async.stop();
        stat.stop();
        signal.stop();
        _exit(coir::spawn([&] { return timer.wait(), 9; }).get());
    }
    idle.stop();
    EXPECT_EQ(exit_status_of(forked), 9);
    signal.start([] { ADD_FAILURE() << "the child's signal was its own"; });
    coir::sleep(1ms);
    signal.start(count);
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(signal.wait());
    waiting.join();
    running.go.put();
    EXPECT_TRUE(child.wait());
    EXPECT_EQ(WEXITSTATUS(child.status().value()), 4) << "the parent's went on";
}

// The thread's own fiber was in a wait when another one forked: in the child that wait ends as all others do.
TEST(fork_watcher, a_wait_that_the_child_inherits) {
    hub::async one;
    pid_t const parent = getpid();
    pid_t child = -1;
    auto forking = coir::spawn([&] { child = fork(); });
    bool told = false;
    try {
        EXPECT_FALSE(one.wait(20ms));
    } catch (coir::would_block_forever const&) {
        told = true;
    }
    if (getpid() != parent) {
        bool const inactive = !one.active();
        one.start();
        one.send();
        _exit(told && inactive && one.wait() ? 8 : 1);
    }
    EXPECT_FALSE(told);
    forking.join();
    EXPECT_EQ(exit_status_of(child), 8);
}

// In the child the hub goes on where it is, with nobody but the thread's own fiber to be told.
TEST(fork_watcher, a_callback_that_forks) {
    hub::fork forked;
    hub::timer once{0s}, other{20ms};
    bool in_child = false, told = false;
    pid_t child = -1;
    forked.start([&] { in_child = true; });
    once.start([&] { child = fork(); });
    try {
        EXPECT_TRUE(other.wait());
    } catch (coir::would_block_forever const&) {
        told = true;
    }
    if (child == 0) _exit(in_child && told && !other.active() && other.wait() ? 6 : 1);
    EXPECT_FALSE(in_child || told);
    EXPECT_EQ(exit_status_of(child), 6);
}

TEST(fork_watcher, a_signals_handler_that_forks) {
    pid_t child = -1;
    bool in_child = false;
    hub::fork forked;
    forked.start([&] { in_child = true; });
    hub::async done;
    done.start();
    coir::signal_handler handler{SIGUSR1, [&] {
                                     child = fork();
                                     if (child == 0) {
                                         coir::sleep(1ms);
                                         _exit(in_child ? 4 : 1);
                                     }
                                     done.send();
                                 }};
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(done.wait());
    EXPECT_EQ(exit_status_of(child), 4);
}

// Another thread's watchers are in the child, too, but neither that thread nor its hub are.
TEST(fork_watcher, watchers_of_other_threads) {
    std::optional<hub::signal> theirs;
    std::optional<hub::stat> stat;
    std::atomic<bool> ready{false};
    hub::async* leave = nullptr;
    std::thread other([&] {
        hub::async end;
        leave = &end;
        theirs.emplace(SIGUSR1).start();
        stat.emplace("/tmp").start();
        end.start();
        ready = true;
        end.wait();
        theirs.reset();
        stat.reset();
    });
    while (!ready) std::this_thread::yield();
    pid_t const child = fork();
    if (child == 0) {
        hub::signal mine{SIGUSR1};
        mine.start();
        kill(getpid(), SIGUSR1);
        bool const came = mine.wait();
        theirs.reset();
        stat.reset();
        kill(getpid(), SIGUSR1);
        _exit(came && mine.wait() ? 7 : 1);
    }
    EXPECT_EQ(exit_status_of(child), 7);
    leave->send();
    other.join();
}
