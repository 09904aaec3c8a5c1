#include "coir.h"
#include "tests/hub/deadlock.h"

#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;

namespace {

struct at_end {
    std::string& log;
    char const* word;
    ~at_end() { log += word; }
};

} // namespace

TEST(kill, before_the_first_run_it_never_runs_and_what_it_captured_goes) {
    std::string log;
    auto captured = std::make_shared<int>(1);
    auto const spawned = coir::spawn([&log, captured] { log += "ran"; });
    auto const later = coir::spawn_later(1h, [&log, captured] { log += "ran"; });
    coir::fiber const made{[&log, captured] { log += "ran"; }};
    for (coir::any_fiber const& each : {coir::any_fiber(spawned), coir::any_fiber(later), coir::any_fiber(made)}) {
        EXPECT_TRUE(each.kill({.block = false}));
        EXPECT_TRUE(each.ready() && each.successful() && !each.returned());
    }
    made.start();
    coir::sleep(1us);
    EXPECT_EQ(log, "");
    EXPECT_EQ(captured.use_count(), 1);
    EXPECT_THROW(spawned.get(), coir::fiber_exit);
}

TEST(kill, runs_destructors_and_waits_for_the_end) {
    std::string log;
    auto const it = coir::spawn([&] {
        at_end const last{log, "c"};
        at_end const first{log, "b"};
        coir::sleep(1h);
    });
    coir::yield();
    log += "a";
    EXPECT_TRUE(it.kill());
    EXPECT_EQ(log, "abc");
    EXPECT_TRUE(it.kill()) << "one that has ended";
}

TEST(kill, as_a_function_besides_the_process_s) {
    using namespace coir;
    auto const it = spawn([] { sleep(1h); });
    yield();
    EXPECT_FALSE(kill(it, {.error = std::make_exception_ptr(1), .block = false})) << "it has not run since";
    EXPECT_EQ(kill(getpid(), 0), 0) << "kill(2) is meant";
    EXPECT_TRUE(it.join());
    EXPECT_THROW(it.get(), int);
}

TEST(kill, with_an_error_of_ones_own) {
    auto const it = coir::spawn([] { coir::sleep(1h); });
    coir::yield();
    it.kill({.error = std::make_exception_ptr(std::string("enough"))});
    EXPECT_FALSE(it.successful());
    EXPECT_THROW(it.get(), std::string);
    auto const unbegun = coir::spawn([] {});
    unbegun.kill({.error = std::make_exception_ptr(7)});
    EXPECT_THROW(unbegun.get(), int);
}

TEST(kill, that_is_swallowed_is_waited_for_until_the_deadline) {
    coir::event stop;
    auto const it = coir::spawn([&] {
        try {
            coir::sleep(1h);
        } catch (coir::fiber_exit const&) {}
        stop.wait();
        return 5;
    });
    coir::yield();
    EXPECT_FALSE(it.kill({.until = 1ms}));
    EXPECT_FALSE(it.ready());
    stop.set();
    EXPECT_EQ(it.get(), 5);
}

TEST(kill, several_at_once_are_thrown_one_by_one) {
    std::string log;
    auto const it = coir::spawn([&] {
        for (int left = 3; left > 0; --left) {
            try {
                coir::sleep(1h);
            } catch (int which) {
                log += std::to_string(which);
            }
        }
    });
    coir::yield();
    for (int i = 1; i <= 3; ++i) it.kill({.error = std::make_exception_ptr(i), .block = false});
    it.join();
    EXPECT_EQ(log, "123");
}

TEST(kill, of_oneself_throws_there) {
    auto const it = coir::spawn([] {
        coir::spawn([] {});
        throw 1;
    });
    EXPECT_THROW(it.get(), int);
    coir::any_fiber self;
    std::string log;
    auto const dying = coir::spawn([&] {
        at_end const end{log, "b"};
        log += "a";
        self.kill();
        log += "never";
    });
    self = dying;
    dying.join();
    EXPECT_EQ(log, "ab");
    EXPECT_TRUE(dying.successful());
}

TEST(kill, the_killer_may_be_killed_while_it_waits) {
    coir::event stop;
    auto const stubborn = coir::spawn([&] {
        while (!stop.is_set()) try {
                stop.wait();
            } catch (coir::fiber_exit const&) {}
    });
    auto const killer = coir::spawn([&] { stubborn.kill(); });
    coir::yield();
    coir::yield();
    EXPECT_TRUE(killer.kill());
    EXPECT_FALSE(stubborn.ready());
    stop.set();
    stubborn.join();
}

// The order to kill is freed when it was carried out; the killer, whom a timeout has woken meanwhile, runs after that.
TEST(kill, the_killer_may_time_out_in_the_moment_of_the_kill) {
    for (int i = 0; i < 20; ++i) {
        auto const target = coir::spawn([] { coir::sleep(1h); });
        auto const killer = coir::spawn([&] {
            coir::timeout const limit{0s};
            try {
                target.kill();
            } catch (coir::timed_out const& late) {
                EXPECT_TRUE(limit.raised(late));
            }
        });
        killer.get();
        target.join();
    }
    auto const target = coir::spawn([] { coir::sleep(1h); });
    coir::any_fiber killer;
    auto const second = coir::spawn([&] {
        coir::yield();
        killer.kill({.block = false}); // while that waits for the end of its order
    });
    killer = coir::spawn([&] { target.kill(); });
    coir::joinall({target, killer, second});
}

TEST(kill, all_in_the_order_of_the_list) {
    std::string log;
    std::vector<coir::fiber<void>> all;
    for (char const* word : {"a", "b", "c"})
        all.push_back(coir::spawn([&log, word] {
            at_end const end{log, word};
            coir::sleep(1h);
        }));
    coir::yield();
    EXPECT_TRUE(coir::killall(all));
    EXPECT_EQ(log, "abc");
}

TEST(kill, where_it_waits_for_a_descriptor) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (auto const how : {coir::closing::seen, coir::closing::unseen}) {
        auto why = coir::wake_reason::ready;
        auto const it = coir::spawn([&] {
            why = coir::hub::wait_fd(ends[0], coir::hub::readable, {}, how);
            coir::interruption_point();
        });
        coir::yield();
        EXPECT_TRUE(it.kill());
        EXPECT_EQ(why, coir::wake_reason::cancelled);
    }
    for (int const end : ends) {
        coir::hub::forget_fd(end);
        close(end);
    }
}

TEST(kill, of_an_offloaded_call_waits_until_it_is_done) {
    bool done = false;
    auto const it = coir::spawn([&] {
        coir::offload([&] { done = true; });
        coir::yield();
        ADD_FAILURE() << "the kill was forgotten";
    });
    coir::yield();
    it.kill();
    EXPECT_TRUE(done && it.successful());
}

TEST(kill, where_a_generator_that_it_consumes_waits) {
    std::string log;
    auto const it = coir::spawn([&] {
        coir::generator<int> numbers{[&](auto& out) {
            at_end const end{log, "body"};
            out.yield(1);
            coir::sleep(1h);
        }};
        at_end const end{log, " consumer"};
        numbers.next();
        numbers.next();
    });
    coir::yield();
    it.kill();
    EXPECT_EQ(log, "body consumer");
}

TEST(kill, from_another_thread) {
    for (int i = 0; i < 100; ++i) {
        auto const it = coir::spawn([] { coir::sleep(1h); });
        std::thread other([&] {
            if (i % 2)
                it.kill({.block = false});
            else
                EXPECT_TRUE(it.kill());
        });
        it.join();
        EXPECT_TRUE(it.successful() && !it.returned());
        other.join();
    }
}

TEST(kill, of_one_that_a_thread_made_and_left_behind) {
    auto const captured = std::make_shared<int>(1);
    coir::fiber<void> it;
    std::thread([&] { it = coir::fiber<void>([captured] { ADD_FAILURE() << "it ran"; }); }).join();
    EXPECT_TRUE(it.kill({.until = 10s}));
    EXPECT_TRUE(it.successful() && !it.returned());
    EXPECT_EQ(captured.use_count(), 1);
}

TEST(kill, of_one_whose_thread_is_about_to_start_it) {
    for (int round = 0; round < 200; ++round) {
        coir::event made;
        coir::fiber<void> it;
        int runs = 0;
        std::thread owner([&] {
            it = coir::fiber<void>([&] {
                ++runs;
                coir::sleep(1h);
            });
            made.set();
            it.start();
            it.join(); // does not wait if the kill came first
        });
        made.wait();
        EXPECT_TRUE(it.kill({.until = 10s}));
        owner.join();
        EXPECT_LE(runs, 1);
    }
}
