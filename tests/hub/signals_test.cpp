#include "hub/watchers.h"

#include "hub/event.h"
#include "tests/hub/watcher_fixture.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <gtest/gtest.h>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>

using coir::event;
using coir::hub;
using namespace std::chrono_literals;

// signal

TEST(signal, callback_and_wait) {
    hub::signal one{SIGUSR1};
    EXPECT_EQ(one.number(), SIGUSR1);
    event came;
    one.start([&] { came.set(); });
    kill(getpid(), SIGUSR1);
    came.wait();
    one.stop();
    auto waiting = coir::spawn([&] { return one.wait(); });
    coir::yield();
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(waiting.get());
}

TEST(signal, several_watchers) {
    hub::signal one{SIGUSR1}, other{SIGUSR1}, third{SIGUSR2};
    int calls = 0;
    one.start([&] { ++calls; });
    other.start();
    third.start([] { ADD_FAILURE() << "another signal"; });
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(other.wait());
    coir::yield();
    EXPECT_EQ(calls, 1);
    one.stop();
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(other.wait()) << "the disposition is kept for the rest";
}

TEST(signal, the_disposition_before_comes_back) {
    static std::atomic<int> caught;
    caught = 0;
    struct sigaction mine {
    }, before;
    mine.sa_handler = [](int) { ++caught; };
    sigaction(SIGUSR1, &mine, &before);
    {
        hub::signal one{SIGUSR1};
        EXPECT_FALSE(one.wait(0s));
        one.start();
        kill(getpid(), SIGUSR1);
        EXPECT_TRUE(one.wait());
        EXPECT_EQ(caught, 0);
    }
    raise(SIGUSR1);
    EXPECT_EQ(caught, 1);
    struct sigaction replaced {};
    {
        hub::signal one{SIGUSR1};
        one.start();
        replaced.sa_handler = SIG_IGN;
        sigaction(SIGUSR1, &replaced, nullptr);
    }
    sigaction(SIGUSR1, &before, &replaced);
    EXPECT_EQ(replaced.sa_handler, SIG_IGN) << "someone else's is left alone";
}

TEST(signal, those_that_cannot_be_watched) {
    for (int number : {0, -1, 1000, SIGKILL, SIGSTOP, SIGSEGV}) {
        try {
            hub::signal one{number};
            ADD_FAILURE() << number;
        } catch (std::system_error const& error) {
            EXPECT_EQ(error.code().value(), EINVAL);
        }
    }
    try {
        hub::signal one{SIGKILL};
    } catch (std::system_error const& error) {
        EXPECT_STREQ(error.what(), "watch signal 9 (KILL): Invalid argument");
    }
}

TEST(signal, of_two_threads_the_second_is_told) {
    hub::signal mine{SIGUSR1};
    mine.start();
    std::thread([] {
        hub::signal theirs{SIGUSR1};
        try {
            theirs.start([] {});
            ADD_FAILURE();
        } catch (std::system_error const& error) {
            EXPECT_EQ(error.code().value(), EBUSY);
            EXPECT_NE(std::string(error.what()).find("watch signal 10 (USR1): another thread's hub does"),
                      std::string::npos)
                << error.what();
        }
        EXPECT_FALSE(theirs.active());
        EXPECT_THROW(theirs.wait(), std::system_error);
    }).join();
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(mine.wait()) << "the first was not harmed";
    mine.stop();
    std::thread([] {
        hub::signal theirs{SIGUSR1};
        theirs.start();
        kill(getpid(), SIGUSR1);
        EXPECT_TRUE(theirs.wait());
    }).join();
}

TEST(signal, wakes_a_thread_that_another_one_interrupted_for) {
    hub::signal mine{SIGUSR1};
    mine.start();
    std::thread([] { raise(SIGUSR1); }).join(); // delivered there
    EXPECT_TRUE(mine.wait());
}

TEST(signal, a_handler_is_a_fiber) {
    event done;
    int calls = 0;
    std::string name;
    coir::signal_handler handler{SIGUSR1, [&] {
                                     name = hub::current().report();
                                     coir::sleep(1us); // it may wait
                                     ++calls;
                                     done.set();
                                 }};
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(done.wait(10s)); // it has no reference
    EXPECT_NE(name.find("handler of SIGUSR1: running"), std::string::npos) << name;
    done.clear();
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(done.wait(10s));
    EXPECT_EQ(calls, 2);
    handler.cancel();
    struct sigaction now;
    sigaction(SIGUSR1, nullptr, &now);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
}

TEST(signal, what_a_handler_throws_is_reported) {
    reports all;
    event done;
    coir::signal_handler handler{SIGUSR1, [&] {
                                     done.set();
                                     throw std::runtime_error("oh");
                                 }};
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(done.wait(10s));
    ASSERT_EQ(all.seen.size(), 1u);
    EXPECT_EQ(all.seen[0], "handler of SIGUSR1");
}
