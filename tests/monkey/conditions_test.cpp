// Condition variables and barriers of libc, between fibers of one thread, and between fibers and threads.

#include "tests/monkey/fixture.h"
#include "tests/monkey/natively.h"
#include "tests/rerun.h"

#include <pthread.h>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <threads.h>
#include <vector>

using namespace std::chrono_literals;

namespace {

struct guarded {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    int value = 0;

    void set(int to) {
        pthread_mutex_lock(&mutex);
        value = to;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    void await(int wanted) {
        pthread_mutex_lock(&mutex);
        while (value != wanted) EXPECT_EQ(pthread_cond_wait(&condition, &mutex), 0);
        pthread_mutex_unlock(&mutex);
    }
};

timespec in_a_moment(clockid_t clock) {
    timespec soon;
    clock_gettime(clock, &soon);
    soon.tv_nsec += 1'000'000;
    if (soon.tv_nsec >= 1'000'000'000) ++soon.tv_sec, soon.tv_nsec -= 1'000'000'000;
    return soon;
}

} // namespace

TEST(condition, signal_wakes_the_first_and_broadcast_all) {
    guarded one;
    std::string order;
    std::vector<coir::fiber<void>> all;
    for (char name : {'a', 'b', 'c', 'd', 'e'})
        all.push_back(coir::spawn([&, name] {
            pthread_mutex_lock(&one.mutex);
            EXPECT_EQ(pthread_cond_wait(&one.condition, &one.mutex), 0);
            order += name;
            pthread_mutex_unlock(&one.mutex);
        }));
    until_parked(all.back());
    pthread_cond_signal(&one.condition);
    all[0].join();
    EXPECT_EQ(order, "a");
    pthread_cond_signal(&one.condition);
    pthread_cond_signal(&one.condition);
    coir::joinall({all[1], all[2]});
    until_parked(all.back());
    EXPECT_EQ(order, "abc");
    pthread_cond_broadcast(&one.condition);
    coir::joinall(all);
    EXPECT_EQ(order, "abcde");
    EXPECT_EQ(pthread_cond_destroy(&one.condition), 0);
}

TEST(condition, threads_and_fibers_wake_each_other) {
    guarded one;
    constexpr int rounds = 1000;
    std::thread other{[&] {
        for (int i = 0; i < rounds; ++i) {
            one.await(2 * i + 1);
            one.set(2 * i + 2);
        }
    }};
    auto here = coir::spawn([&] {
        for (int i = 0; i < rounds; ++i) {
            one.set(2 * i + 1);
            one.await(2 * i + 2);
        }
    });
    here.join();
    other.join();
}

TEST(condition, timed_waits_answer_as_without_fibers) {
    expect_same_as_natively([] {
        std::vector<int> answers;
        auto const note = [&](int error) { answers.push_back(error); };
        pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        pthread_mutexattr_t checks;
        pthread_mutexattr_init(&checks);
        pthread_mutexattr_settype(&checks, PTHREAD_MUTEX_ERRORCHECK);
        pthread_mutex_init(&mutex, &checks);
        pthread_condattr_t monotonic;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_t by_monotonic, by_real_time = PTHREAD_COND_INITIALIZER;
        pthread_cond_init(&by_monotonic, &monotonic);
        timespec const past{1, 0}, ancient{-1, 0}, bad{1, 1'000'000'000};
        note(pthread_cond_wait(&by_real_time, &mutex)); // not locked
        pthread_mutex_lock(&mutex);
        for (timespec const* each : {&past, &ancient, &bad}) {
            note(pthread_cond_timedwait(&by_real_time, &mutex, each));
            note(pthread_cond_timedwait(&by_monotonic, &mutex, each));
            note(pthread_cond_clockwait(&by_real_time, &mutex, CLOCK_MONOTONIC, each));
            note(pthread_cond_clockwait(&by_real_time, &mutex, CLOCK_BOOTTIME, each));
        }
        timespec soon = in_a_moment(CLOCK_MONOTONIC);
        note(pthread_cond_timedwait(&by_monotonic, &mutex, &soon));
        soon = in_a_moment(CLOCK_REALTIME);
        note(pthread_cond_timedwait(&by_real_time, &mutex, &soon));
        soon = in_a_moment(CLOCK_MONOTONIC);
        note(pthread_cond_clockwait(&by_real_time, &mutex, CLOCK_MONOTONIC, &soon));
        note(pthread_mutex_unlock(&mutex)); // locked again each time
        note(pthread_mutex_unlock(&mutex));
        return answers;
    });
}

TEST(condition, a_killed_fiber_wakes_once_and_then_waits_on) {
    guarded one;
    int wakes = 0;
    auto waiting = coir::spawn([&] {
        pthread_mutex_lock(&one.mutex);
        while (one.value == 0) {
            EXPECT_EQ(pthread_cond_wait(&one.condition, &one.mutex), 0);
            ++wakes;
        }
        pthread_mutex_unlock(&one.mutex);
        EXPECT_THROW(coir::interruption_point(), coir::fiber_exit);
    });
    until_parked(waiting);
    waiting.kill({.block = false});
    until_parked(waiting);
    EXPECT_EQ(wakes, 1);
    one.set(1);
    waiting.join();
    EXPECT_EQ(wakes, 2);
}

TEST(condition, with_a_recursive_mutex) {
    pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    auto waiting = coir::spawn([&] {
        pthread_mutex_lock(&mutex);
        EXPECT_EQ(pthread_cond_wait(&condition, &mutex), 0);
        EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
        EXPECT_EQ(pthread_mutex_unlock(&mutex), EPERM);
    });
    until_parked(waiting);
    EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
    pthread_cond_signal(&condition);
    until_parked(waiting);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    waiting.join();
}

TEST(condition, of_two_processes) {
    struct shared {
        pthread_mutex_t mutex;
        pthread_cond_t condition;
        bool set;
    };
    void* const memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto& one = *static_cast<shared*>(memory);
    pthread_mutexattr_t of_mutex;
    pthread_mutexattr_init(&of_mutex);
    pthread_mutexattr_setpshared(&of_mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&one.mutex, &of_mutex);
    pthread_condattr_t of_condition;
    pthread_condattr_init(&of_condition);
    pthread_condattr_setpshared(&of_condition, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&one.condition, &of_condition);
    fd_pair pipe = fd_pair::pipe();
    pid_t const child = fork();
    if (child == 0) {
        char byte;
        if (read(pipe.first, &byte, 1) != 1) _exit(1);
        pthread_mutex_lock(&one.mutex);
        one.set = true;
        pthread_cond_signal(&one.condition);
        pthread_mutex_unlock(&one.mutex);
        _exit(0);
    }
    auto waiting = coir::spawn([&] {
        pthread_mutex_lock(&one.mutex);
        while (!one.set) pthread_cond_wait(&one.condition, &one.mutex);
        pthread_mutex_unlock(&one.mutex);
    });
    until_parked(waiting);
    EXPECT_EQ(write(pipe.second, "x", 1), 1);
    waiting.join();
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    munmap(memory, 4096);
}

TEST(c11, mutexes_and_conditions) {
    mtx_t mutex;
    cnd_t condition;
    ASSERT_EQ(mtx_init(&mutex, mtx_timed | mtx_recursive), thrd_success);
    ASSERT_EQ(cnd_init(&condition), thrd_success);
    bool set = false;
    auto waiting = coir::spawn([&] {
        EXPECT_EQ(mtx_lock(&mutex), thrd_success);
        while (!set) EXPECT_EQ(cnd_wait(&condition, &mutex), thrd_success);
        timespec const past{1, 0}, moment{0, 1000};
        EXPECT_EQ(cnd_timedwait(&condition, &mutex, &past), thrd_timedout);
        EXPECT_EQ(thrd_sleep(&moment, nullptr), 0);
        EXPECT_EQ(mtx_unlock(&mutex), thrd_success);
    });
    until_parked(waiting);
    EXPECT_EQ(mtx_lock(&mutex), thrd_success);
    set = true;
    EXPECT_EQ(cnd_signal(&condition), thrd_success);
    until_parked(waiting);
    EXPECT_EQ(mtx_unlock(&mutex), thrd_success);
    while (mtx_trylock(&mutex) == thrd_success) { // until the other sleeps with it
        mtx_unlock(&mutex);
        thrd_yield();
    }
    timespec const past{1, 0};
    EXPECT_EQ(mtx_timedlock(&mutex, &past), thrd_timedout);
    waiting.join();
    cnd_destroy(&condition);
    mtx_destroy(&mutex);
}

namespace {

struct barrier {
    pthread_barrier_t it;
    explicit barrier(unsigned count, pthread_barrierattr_t const* how = nullptr) {
        EXPECT_EQ(pthread_barrier_init(&it, how, count), 0);
    }
    ~barrier() { EXPECT_EQ(pthread_barrier_destroy(&it), 0); }
    operator pthread_barrier_t*() { return &it; }
};

// Each comes `rounds` times; in every round exactly one is told that it was the last.
void meet(pthread_barrier_t* at, int rounds, std::atomic<int>& last) {
    for (int i = 0; i < rounds; ++i) {
        int const result = pthread_barrier_wait(at);
        EXPECT_TRUE(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
        last += result == PTHREAD_BARRIER_SERIAL_THREAD;
    }
}

} // namespace

TEST(barrier, of_fibers) {
    barrier one{10};
    std::atomic<int> last{0};
    std::vector<coir::fiber<void>> all;
    for (int i = 0; i < 9; ++i) all.push_back(coir::spawn([&] { meet(one, 100, last); }));
    until_parked(all.back());
    meet(one, 100, last);
    coir::joinall(all);
    EXPECT_EQ(last, 100);
}

TEST(barrier, of_fibers_and_threads) {
    barrier one{8};
    std::atomic<int> last{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back([&] { meet(one, 100, last); });
    threads.emplace_back([&] {
        auto first = coir::spawn([&] { meet(one, 100, last); }), second = coir::spawn([&] { meet(one, 100, last); });
        coir::joinall({first, second});
    });
    std::vector<coir::fiber<void>> all;
    for (int i = 0; i < 4; ++i) all.push_back(coir::spawn([&] { meet(one, 100, last); }));
    coir::joinall(all);
    for (auto& each : threads) each.join();
    EXPECT_EQ(last, 100);
}

TEST_ALONE(barrier, that_threads_came_to_before_there_was_a_hub) {
    barrier one{3};
    std::atomic<int> last{0}, coming{0};
    std::thread other{[&] {
        ++coming;
        meet(one, 1, last);
    }};
    while (coming == 0) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield(); // it may wait by now; either way all three meet
    auto first = coir::spawn([&] { meet(one, 1, last); }), second = coir::spawn([&] { meet(one, 1, last); });
    coir::joinall({first, second});
    other.join();
    EXPECT_EQ(last, 1);
}

TEST(barrier, is_waited_for_whatever_kills_the_fiber) {
    barrier one{2};
    std::atomic<int> last{0};
    auto waiting = coir::spawn([&] {
        meet(one, 1, last);
        EXPECT_THROW(coir::interruption_point(), coir::fiber_exit);
    });
    until_parked(waiting);
    waiting.kill({.block = false});
    until_parked(waiting);
    waiting.kill({.block = false});
    meet(one, 1, last); // before it waits again
    waiting.join();
    EXPECT_EQ(last, 1);
}

TEST(barrier, that_other_processes_may_share) {
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    barrier one{3, &shared};
    std::atomic<int> last{0};
    auto first = coir::spawn([&] { meet(one, 10, last); }), second = coir::spawn([&] { meet(one, 10, last); });
    until_parked(second);
    meet(one, 10, last);
    coir::joinall({first, second});
    EXPECT_EQ(last, 10);
}
