#include "hub/watchers.h"

#include "hub/event.h"
#include "tests/hub/watcher_fixture.h"
#include "tests/rerun.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

using coir::event;
using coir::hub;
using namespace std::chrono_literals;

// io

TEST(io, readable) {
    pipe_ends pipe;
    hub::io one{pipe.in(), hub::readable};
    int calls = 0;
    event twice;
    one.start([&](hub::io& self) {
        EXPECT_TRUE(self.happened(hub::readable));
        EXPECT_FALSE(self.happened(hub::writable));
        EXPECT_FALSE(self.closed());
        if (++calls < 2) return; // it happens again as long as nobody reads
        pipe.take();
        twice.set();
    });
    coir::sleep(1us);
    EXPECT_EQ(calls, 0);
    pipe.put();
    twice.wait();
    coir::sleep(1us);
    EXPECT_EQ(calls, 2);
    pipe.put();
    coir::sleep(1ms);
    EXPECT_GT(calls, 2) << "still active";
}

TEST(io, both_directions) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    hub::io one{ends[0], {hub::readable, hub::writable}};
    EXPECT_TRUE(one.wait());
    EXPECT_TRUE(one.happened(hub::writable));
    EXPECT_FALSE(one.happened(hub::readable));
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_TRUE(one.wait());
    EXPECT_TRUE(one.happened(hub::writable));
    EXPECT_TRUE(one.happened(hub::readable));
    hub::forget_fd(ends[0]);
    close(ends[0]);
    close(ends[1]);
}

TEST(io, beside_fibers_that_wait_for_the_same) {
    pipe_ends pipe;
    hub::io one{pipe.in(), hub::readable};
    int calls = 0;
    one.start([&] { ++calls; });
    auto waiting = coir::spawn([&] { return hub::wait_fd(pipe.in(), hub::readable); });
    coir::yield();
    pipe.put();
    EXPECT_EQ(waiting.get(), coir::wake_reason::ready);
    EXPECT_GT(calls, 0);
    int const before = calls;
    EXPECT_TRUE(one.wait());
    coir::yield();
    EXPECT_GT(calls, before) << "the other's leaving did not stop it";
}

TEST(io, a_descriptor_that_is_not_open) {
    hub::io one{1000000, hub::readable};
    try {
        one.start([] {});
        ADD_FAILURE();
    } catch (std::system_error const& error) {
        EXPECT_EQ(error.code().value(), EBADF);
        EXPECT_STREQ(error.what(), "watch fd 1000000: Bad file descriptor");
    }
    EXPECT_FALSE(one.active());
    EXPECT_THROW(one.wait(), std::system_error);
    hub::io none{-1, {hub::readable, hub::writable}};
    EXPECT_THROW(none.start([] {}), std::system_error);
}

TEST(io, a_close_is_told_and_ends_it) {
    auto pipe = std::make_optional<pipe_ends>();
    hub::io one{pipe->in(), {hub::readable, hub::writable}}, other{pipe->in(), hub::readable};
    int calls = 0;
    one.start([&](hub::io& self) {
        EXPECT_TRUE(self.closed());
        EXPECT_FALSE(self.active());
        ++calls;
    });
    auto waiting = coir::spawn([&] { return other.wait() && other.closed(); });
    coir::yield();
    pipe.reset();
    EXPECT_TRUE(waiting.get());
    coir::yield();
    EXPECT_EQ(calls, 1);
    EXPECT_FALSE(one.active() || other.active());
}

TEST_ALONE(io, a_close_takes_the_reason_to_wait) {
    auto pipe = std::make_optional<pipe_ends>();
    hub::io one{pipe->in(), hub::readable};
    one.start([] {});
    pipe.reset();
    event never;
    EXPECT_THROW(never.wait(), coir::would_block_forever);
}

TEST(io, killed_while_waiting) {
    pipe_ends pipe;
    hub::io one{pipe.in(), hub::readable};
    auto waiting = coir::spawn([&] { one.wait(); });
    coir::yield();
    waiting.kill();
    EXPECT_FALSE(one.active());
    EXPECT_FALSE(one.wait(1ms));
    pipe.put();
    EXPECT_TRUE(one.wait());
}

// timer, periodic

TEST(timer, once) {
    hub::timer one{1ms};
    auto const begun = std::chrono::steady_clock::now();
    EXPECT_TRUE(one.wait());
    EXPECT_GE(std::chrono::steady_clock::now() - begun, 1ms);
    EXPECT_FALSE(one.active());
    EXPECT_TRUE(one.wait()) << "from anew";
}

TEST(timer, repeats) {
    hub::timer often{0s, 100us};
    int calls = 0;
    event thrice;
    often.start([&] {
        if (++calls == 3) thrice.set();
    });
    thrice.wait();
    EXPECT_TRUE(often.active());
    EXPECT_TRUE(often.wait());
    EXPECT_GT(calls, 2);
    often.stop();
    int const before = calls;
    coir::sleep(1ms);
    EXPECT_EQ(calls, before);
}

TEST(timer, in_the_order_of_their_moments) {
    std::string order;
    hub::timer late{2ms}, soon{1ms};
    late.start([&] { order += 'l'; });
    soon.start([&] { order += 's'; });
    EXPECT_TRUE(late.wait());
    coir::yield();
    EXPECT_EQ(order, "sl");
}

TEST(timer, again_pushes_it_back) {
    hub::timer idle_limit{0s, 1h};
    bool called = false;
    idle_limit.again([&] { called = true; });
    EXPECT_TRUE(idle_limit.active());
    EXPECT_FALSE(idle_limit.wait(1ms)) << "the full interval, not the 0 s of start()";
    idle_limit.stop();
    EXPECT_FALSE(called);
    hub::timer quick{1h, 1ms};
    quick.start([&] { called = true; });
    quick.again();
    EXPECT_TRUE(quick.wait(10s));
    coir::yield();
    EXPECT_TRUE(called);
    hub::timer once{1h};
    once.start([] {});
    once.again();
    EXPECT_FALSE(once.active()) << "one that does not repeat is stopped";
}

TEST(timer, is_refused_what_is_negative) {
    EXPECT_THROW(hub::timer(-1ns), std::invalid_argument);
    EXPECT_THROW(hub::timer(1s, -1ns), std::invalid_argument);
    EXPECT_THROW(hub::periodic(0s), std::invalid_argument);
}

TEST(timer, a_very_late_one_is_never) {
    hub::timer one{std::chrono::nanoseconds::max(), std::chrono::nanoseconds::max()};
    one.start([] {});
    EXPECT_FALSE(one.wait(1ms));
    one.again();
    EXPECT_FALSE(one.wait(1ms));
    hub::timer first{0s, std::chrono::nanoseconds::max()};
    first.start([] {});
    EXPECT_TRUE(first.wait());
    EXPECT_FALSE(first.wait(1ms));
}

TEST(periodic, at_a_moment) {
    auto const moment = std::chrono::system_clock::now() + 5ms;
    hub::periodic one{moment};
    bool called = false;
    one.start([&] {
        called = true;
        EXPECT_FALSE(one.active());
    });
    EXPECT_TRUE(one.wait());
    EXPECT_GE(std::chrono::system_clock::now(), moment);
    coir::yield();
    EXPECT_TRUE(called);
    EXPECT_FALSE(one.active());
    hub::periodic past{std::chrono::system_clock::now() - 1s};
    EXPECT_TRUE(past.wait());
}

TEST(periodic, at_whole_intervals) {
    using namespace std::chrono;
    hub::periodic one{20ms, system_clock::time_point{5ms}};
    for (int i = 0; i < 3; ++i) {
        auto const before = system_clock::now();
        ASSERT_TRUE(one.wait());
        auto const after = system_clock::now();
        // A moment of phase 5 ms lies in between.
        auto const next = before + 20ms - (before.time_since_epoch() + 15ms) % 20ms;
        EXPECT_LE(next - 1ms, after) << "one wait " << i;
    }
    EXPECT_FALSE(one.active());
}

// child

TEST(child, its_status) {
    NEEDS_PIDFD();
    waiting_child running{7};
    hub::child one{running.pid};
    EXPECT_EQ(one.pid(), running.pid);
    EXPECT_FALSE(one.wait(1ms));
    EXPECT_FALSE(one.ended() || one.status());
    bool called = false;
    one.start([&](hub::child& self) {
        called = true;
        EXPECT_EQ(WEXITSTATUS(self.status().value()), 7);
        EXPECT_FALSE(self.active());
    });
    running.go.put();
    EXPECT_TRUE(one.wait());
    EXPECT_TRUE(WIFEXITED(one.status().value()));
    coir::yield();
    EXPECT_TRUE(called);
    EXPECT_EQ(waitpid(running.pid, nullptr, WNOHANG), -1) << "collected";
    EXPECT_TRUE(one.wait()) << "it stays so";
    called = false;
    one.start([&] { called = true; });
    EXPECT_TRUE(one.wait());
    coir::yield();
    EXPECT_TRUE(called);
}

TEST(child, ended_by_a_signal_or_before_it_was_watched) {
    NEEDS_PIDFD();
    waiting_child running{7};
    hub::child one{running.pid};
    kill(running.pid, SIGKILL);
    siginfo_t state;
    EXPECT_EQ(waitid(P_PID, id_t(running.pid), &state, WEXITED | WNOWAIT), 0);
    hub::child late{running.pid};
    EXPECT_TRUE(late.wait());
    EXPECT_EQ(WTERMSIG(late.status().value()), SIGKILL);
    EXPECT_TRUE(one.wait());
    EXPECT_TRUE(one.ended());
    EXPECT_FALSE(one.status()) << "the other one collected it";
}

TEST(child, only_its_own) {
    NEEDS_PIDFD();
    waiting_child watched{1}, other{2};
    hub::child one{watched.pid};
    one.start();
    other.go.put();
    siginfo_t state;
    EXPECT_EQ(waitid(P_PID, id_t(other.pid), &state, WEXITED | WNOWAIT), 0);
    EXPECT_FALSE(one.wait(1ms));
    EXPECT_EQ(exit_status_of(other.pid), 2) << "it is left to whom it belongs to";
    watched.go.put();
    EXPECT_TRUE(one.wait());
    EXPECT_EQ(WEXITSTATUS(one.status().value()), 1);
}

TEST(child, any_by_its_signal) {
    waiting_child first{1}, second{2};
    hub::signal ended{SIGCHLD};
    ended.start();
    std::vector<pid_t> left{first.pid, second.pid};
    second.go.put();
    int status = 0;
    while (waitpid(second.pid, &status, WNOHANG) == 0) EXPECT_TRUE(ended.wait());
    EXPECT_EQ(WEXITSTATUS(status), 2);
    first.go.put();
    while (waitpid(first.pid, &status, WNOHANG) == 0) EXPECT_TRUE(ended.wait());
    EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST(child, not_a_child) {
    for (pid_t pid : {pid_t(1), getpid()}) try {
            hub::child one{pid};
            ADD_FAILURE() << pid;
        } catch (std::system_error const& error) {
            EXPECT_EQ(error.code().value(), ECHILD);
            EXPECT_EQ(error.what(), "watch child " + std::to_string(pid) + ": No child processes");
        }
}

TEST(child, killed_while_waiting) {
    NEEDS_PIDFD();
    waiting_child running{3};
    hub::child one{running.pid};
    auto waiting = coir::spawn([&] { one.wait(); });
    coir::yield();
    waiting.kill();
    EXPECT_FALSE(one.active());
    running.go.put();
    EXPECT_EQ(exit_status_of(running.pid), 3) << "not collected while nobody watched";
}

// async

TEST(async, from_other_threads) {
    constexpr int threads = 3, sends = 2000;
    hub::async one;
    std::atomic<int> sent{0};
    int calls = 0;
    event all;
    one.start([&] {
        ++calls;
        if (sent == threads * sends) all.set(); // whoever sends last sends after counting
    });
    std::vector<std::thread> senders;
    for (int i = 0; i < threads; ++i)
        senders.emplace_back([&] {
            for (int each = 0; each < sends; ++each) {
                ++sent;
                one.send();
            }
        });
    all.wait();
    for (auto& each : senders) each.join();
    EXPECT_GT(calls, 0);
    EXPECT_LE(calls, threads * sends);
}

TEST(async, from_a_signal_handler) {
    static hub::async* target;
    hub::async one;
    target = &one;
    struct sigaction mine {
    }, before;
    mine.sa_handler = [](int) { target->send(); };
    sigaction(SIGUSR2, &mine, &before);
    one.start();
    for (int i = 0; i < 100; ++i) {
        kill(getpid(), SIGUSR2);
        EXPECT_TRUE(one.wait());
    }
    sigaction(SIGUSR2, &before, nullptr);
}

TEST(async, destroyed_while_one_is_on_its_way) {
    auto one = std::make_unique<hub::async>();
    one->start([] { ADD_FAILURE() << "it is gone"; });
    one->send();
    one.reset();
    coir::sleep(1us);
}

TEST(async, destroyed_as_soon_as_it_happened) {
    for (int i = 0; i < 1000; ++i) {
        auto one = std::make_unique<hub::async>();
        one->start();
        std::thread sender([&one = *one] { one.send(); });
        one->wait();
        one.reset(); // the sender may be inside still
        sender.join();
    }
}

TEST(async, sends_go_nowhere_while_the_thread_ends) {
    for (int i = 0; i < 50; ++i) {
        std::optional<hub::async> one;
        std::atomic<bool> made{false}, over{false};
        std::thread sender([&] {
            while (!made) std::this_thread::yield();
            while (!over) one->send();
        });
        std::thread([&] {
            one.emplace().start([] {});
            made = true;
            coir::sleep(10us);
        }).join();
        over = true;
        sender.join();
    }
}

// stat

TEST(stat, a_change) {
    temporary_file file;
    hub::stat one{file.path, 100ms};
    int calls = 0;
    event changed;
    one.start([&](hub::stat& self) {
        ++calls;
        EXPECT_EQ(self.prev()->st_size, 0);
        EXPECT_EQ(self.attr()->st_size, 1);
        changed.set();
    });
    EXPECT_EQ(one.path(), file.path);
    ASSERT_TRUE(one.attr());
    EXPECT_EQ(one.attr()->st_size, 0);
    coir::sleep(1us);
    EXPECT_EQ(calls, 0);
    file.append();
    changed.wait();
    EXPECT_EQ(calls, 1);
}

TEST(stat, comes_and_goes) {
    std::string path;
    {
        temporary_file file;
        path = file.path;
    }
    hub::stat one{path, 100ms};
    auto waiting = coir::spawn([&] { return one.wait(); });
    coir::yield();
    EXPECT_TRUE(one.active());
    EXPECT_FALSE(one.attr());
    close(open(path.c_str(), O_CREAT | O_WRONLY, 0600));
    EXPECT_TRUE(waiting.get());
    EXPECT_TRUE(one.attr());
    EXPECT_FALSE(one.prev());
    one.start();
    unlink(path.c_str());
    EXPECT_TRUE(one.wait());
    EXPECT_FALSE(one.attr());
}

// idle, prepare, check

TEST(idle, when_nobody_is_ready) {
    hub::idle one;
    int calls = 0, yields = 0;
    event done;
    one.start([&] {
        EXPECT_EQ(yields, 100) << "before the others were through";
        if (++calls == 3) {
            one.stop();
            done.set();
        }
    });
    auto busy = coir::spawn([&] {
        for (; yields < 100; ++yields) coir::yield();
    });
    done.wait();
    EXPECT_EQ(calls, 3);
    EXPECT_TRUE(one.wait());
    EXPECT_FALSE(one.active());
}

TEST(idle, lets_the_rest_happen) {
    hub::idle one;
    coir::event called;
    one.start([&] { called.set(); });
    pipe_ends pipe;
    auto late = coir::spawn([&] {
        called.wait();
        coir::sleep(1ms); // timers happen, and then descriptors
        pipe.put();
    });
    EXPECT_EQ(hub::wait_fd(pipe.in(), hub::readable), coir::wake_reason::ready);
}

TEST(prepare_and_check, around_each_look) {
    std::string order;
    hub::prepare before;
    hub::check after;
    before.start([&] { order += 'p'; });
    after.start([&] { order += 'c'; });
    for (int i = 0; i < 3; ++i) coir::sleep(1us);
    before.stop();
    after.stop();
    std::string const seen = order;
    coir::sleep(1us);
    EXPECT_EQ(order, seen);
    EXPECT_GE(seen.size(), 2u);
    for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], i % 2 ? 'c' : 'p') << seen;
}

TEST(prepare_and_check, what_prepare_wakes_is_not_slept_over) {
    hub::prepare before;
    int rounds = 0;
    event woken;
    before.start([&] {
        if (++rounds == 1) woken.set(); // the hub was about to sleep for ever: nothing else would end that
    });
    hub::async reason; // to wait
    reason.start([] {});
    woken.wait();
    hub::timer soon{0s};
    std::optional<coir::fiber<void>> spawned;
    before.start([&] {
        before.stop();
        soon.start(); // neither is a timer that it sets
        spawned = coir::spawn([] {});
    });
    EXPECT_TRUE(soon.wait(10s));
    spawned->join();
}

TEST(prepare_and_check, waits) {
    hub::prepare before;
    hub::check after;
    hub::timer often{1ms, 1ms}; // they bring nothing about
    often.start();
    EXPECT_TRUE(before.wait());
    EXPECT_TRUE(after.wait());
    EXPECT_FALSE(before.active() || after.active());
}

// select(2) and programs that count on the lowest number go on as if they were not there.
TEST(signal_and_child, take_no_low_descriptors) {
    auto const lowest_free = [] {
        int const fd = dup(0);
        close(fd);
        return fd;
    };
    waiting_child other{0};
    coir::sleep(1us);
    int const before = lowest_free();
    hub::signal one{SIGUSR2};
    one.start();
    EXPECT_EQ(lowest_free(), before);
    raise(SIGUSR2);
    EXPECT_TRUE(one.wait(10s));
    one.stop();
    try {
        hub::child ends{other.pid};
        EXPECT_EQ(lowest_free(), before);
        other.go.put();
        EXPECT_TRUE(ends.wait(10s));
    } catch (std::system_error const& error) {
        EXPECT_EQ(error.code().value(), ENOSYS); // Valgrind 3.19 does not know pidfd_open
        other.go.put();
        waitpid(other.pid, nullptr, 0);
    }
}
