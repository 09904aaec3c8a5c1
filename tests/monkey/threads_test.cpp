// What waits for threads and for what another does once: pthread_once, pthread_join, futex(2), and the C++ library's
// locks and waits, which stand on these.

#include "tests/monkey/fixture.h"
#include "tests/monkey/natively.h"
#include "tests/rerun.h"

#include <atomic>
#include <barrier>
#include <climits>
#include <condition_variable>
#include <future>
#include <latch>
#include <linux/futex.h>
#include <mutex>
#include <pthread.h>
#include <semaphore>
#include <shared_mutex>
#include <stdexcept>
#include <sys/syscall.h>
#include <thread>
#include <threads.h>
#include <vector>

using namespace std::chrono_literals;

namespace {

int runs = 0;
void slow_routine() {
    usleep(100);
    ++runs;
}

long futex(int* word, int operation, int number, timespec const* limit = nullptr, int* other = nullptr,
           unsigned third = 0) {
    return syscall(SYS_futex, word, operation, number, limit, other, third);
}

} // namespace

TEST(once, runs_once_while_others_wait) {
    pthread_once_t control = PTHREAD_ONCE_INIT;
    runs = 0;
    std::vector<coir::fiber<void>> all;
    for (int i = 0; i < 10; ++i)
        all.push_back(coir::spawn([&] {
            EXPECT_EQ(pthread_once(&control, slow_routine), 0);
            EXPECT_EQ(runs, 1);
        }));
    until_parked(all.back());
    EXPECT_EQ(runs, 0);
    coir::joinall(all);
    once_flag of_c11 = ONCE_FLAG_INIT;
    auto first = coir::spawn([&] { ::call_once(&of_c11, slow_routine); });
    auto second = coir::spawn([&] { ::call_once(&of_c11, slow_routine); });
    coir::joinall({first, second});
    EXPECT_EQ(runs, 2);
}

TEST(once, of_threads_and_fibers) {
    for (int round = 0; round < 50; ++round) {
        pthread_once_t control = PTHREAD_ONCE_INIT;
        runs = 0;
        auto const call = [&] {
            pthread_once(&control, slow_routine);
            EXPECT_EQ(runs, 1);
        };
        std::thread plain{call}, with_fiber{[&] { coir::spawn(call).join(); }};
        auto first = coir::spawn(call), second = coir::spawn(call);
        coir::joinall({first, second});
        plain.join();
        with_fiber.join();
    }
}

// Those that wait go on with what they were to call themselves, though the variables that std::call_once keeps it in
// are the thread's.
TEST(call_once, that_throws_is_called_by_the_next) {
    std::once_flag flag;
    std::string log;
    std::vector<coir::fiber<void>> all;
    for (char name : {'a', 'b', 'c', 'd'})
        all.push_back(coir::spawn([&, name] {
            try {
                std::call_once(flag, [&] {
                    usleep(10);
                    log += name;
                    if (name < 'c') throw std::runtime_error("not yet");
                });
            } catch (std::runtime_error const&) {
                log += '!';
            }
        }));
    coir::joinall(all);
    EXPECT_EQ(log, "a!b!c");
}

namespace {

struct slow_to_make {
    int value;
    slow_to_make() {
        usleep(100);
        value = ++runs;
    }
};
int value_of_static() {
    static slow_to_make const made;
    return made.value;
}

} // namespace

TEST_ALONE(function_static, is_made_once_while_others_wait) {
    runs = 0;
    std::vector<coir::fiber<int>> all;
    for (int i = 0; i < 10; ++i) all.push_back(coir::spawn(value_of_static));
    until_parked(all.back());
    for (auto& each : all) EXPECT_EQ(each.get(), 1);
}

TEST_ALONE(function_static, that_throws_is_made_by_the_next) {
    std::string log;
    std::vector<coir::fiber<void>> all;
    for (char name : {'a', 'b', 'c', 'd'})
        all.push_back(coir::spawn([&, name] {
            try {
                static int const made = [&] {
                    usleep(10);
                    log += name;
                    if (name < 'c') throw std::runtime_error("not yet");
                    return 1;
                }();
                EXPECT_EQ(made, 1);
            } catch (std::runtime_error const&) {
                log += '!';
            }
        }));
    coir::joinall(all);
    EXPECT_EQ(log, "a!b!c");
}

TEST_ALONE(function_static, is_made_once_by_threads_and_fibers) {
    runs = 0;
    std::thread other{[] { EXPECT_EQ(value_of_static(), 1); }};
    std::vector<coir::fiber<int>> all;
    for (int i = 0; i < 10; ++i) all.push_back(coir::spawn(value_of_static));
    for (auto& each : all) EXPECT_EQ(each.get(), 1);
    other.join();
}

TEST(join, lets_others_run_until_the_thread_has_ended) {
    fd_pair pipe = fd_pair::pipe();
    pthread_t thread;
    auto const body = [](void* end) -> void* {
        char byte;
        return reinterpret_cast<void*>(read(*static_cast<int*>(end), &byte, 1));
    };
    ASSERT_EQ(pthread_create(&thread, nullptr, body, &pipe.first), 0);
    EXPECT_EQ(pthread_tryjoin_np(thread, nullptr), EBUSY);
    timespec const past{1, 0};
    EXPECT_EQ(pthread_timedjoin_np(thread, nullptr, &past), ETIMEDOUT);
    EXPECT_EQ(pthread_clockjoin_np(thread, nullptr, CLOCK_MONOTONIC, &past), ETIMEDOUT);
    void* result = nullptr;
    auto joining = coir::spawn([&] { return pthread_join(thread, &result); });
    until_parked(joining);
    joining.kill({.block = false}); // waits on
    until_parked(joining);
    EXPECT_EQ(write(pipe.second, "x", 1), 1);
    joining.join();
    EXPECT_EQ(reinterpret_cast<long>(result), 1);
}

TEST(join, by_a_clock_that_it_does_not_know) {
    static std::atomic<pid_t> number{0};
    auto const body = [](void*) -> void* {
        number = gettid();
        return nullptr;
    };
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, nullptr, body, nullptr), 0);
    while (number == 0 || syscall(SYS_tgkill, getpid(), number.load(), 0) == 0) usleep(100); // until it has ended
    coir::spawn([&] {
        EXPECT_EQ(pthread_clockjoin_np(thread, nullptr, CLOCK_BOOTTIME, nullptr), EINVAL);
        EXPECT_EQ(pthread_join(thread, nullptr), 0);
    }).join();
}

TEST(join, of_oneself_and_of_what_cannot_be_joined) {
    EXPECT_EQ(pthread_join(pthread_self(), nullptr), EDEADLK);
    fd_pair pipe = fd_pair::pipe();
    std::counting_semaphore<> ended{0};
    std::thread detached{[&, end = pipe.first] {
        char byte;
        EXPECT_EQ(read(end, &byte, 1), 1);
        ended.release();
    }};
    pthread_t const handle = detached.native_handle();
    detached.detach();
    EXPECT_EQ(pthread_join(handle, nullptr), EINVAL);
    EXPECT_EQ(write(pipe.second, "x", 1), 1);
    ended.acquire();
}

TEST(join, as_c11_has_it) {
    thrd_t thread;
    ASSERT_EQ(thrd_create(
                  &thread,
                  [](void*) {
                      usleep(1000);
                      return 42;
                  },
                  nullptr),
              thrd_success);
    int result = 0;
    EXPECT_EQ(coir::spawn([&] { return thrd_join(thread, &result); }).get(), thrd_success);
    EXPECT_EQ(result, 42);
}

TEST(futex, wakes_fibers_by_address_and_bits_first_come_first) {
    int word = 0, other = 0;
    std::string order;
    auto const wait = [&](int* at, char name, unsigned bits) {
        return coir::spawn([&, at, name, bits] {
            EXPECT_EQ(futex(at, FUTEX_WAIT_BITSET_PRIVATE, 0, nullptr, nullptr, bits), 0);
            order += name;
        });
    };
    auto a = wait(&word, 'a', 1), b = wait(&word, 'b', 2), c = wait(&word, 'c', 3), x = wait(&other, 'x', 1);
    until_parked(x);
    EXPECT_EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, nullptr, nullptr, 2), 1);
    b.join();
    EXPECT_EQ(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX), 2);
    EXPECT_EQ(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX), 0);
    coir::joinall({a, c});
    EXPECT_EQ(order, "bac");
    EXPECT_EQ(futex(&other, FUTEX_WAKE_PRIVATE, 1), 1);
    x.join();
    auto moved = wait(&word, 'm', 1);
    until_parked(moved);
    EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 0, 1L, &other, 7), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 0, 1L, &other, 0), 1);
    moved.join();
}

TEST(futex, answers_as_without_fibers) {
    expect_same_as_natively([] {
        std::vector<int> answers;
        auto const note = [&](long result) { answers.push_back(result < 0 ? -errno : int(result)); };
        alignas(8) int word = 0;
        timespec const past{0, 0}, soon{0, 1000}, bad{0, 1'000'000'000};
        note(futex(&word, FUTEX_WAIT_PRIVATE, 1));
        note(futex(&word, FUTEX_WAIT_PRIVATE, 0, &past));
        note(futex(&word, FUTEX_WAIT_PRIVATE, 0, &soon));
        note(futex(&word, FUTEX_WAIT, 0, &soon));
        note(futex(&word, FUTEX_WAIT_PRIVATE, 0, &bad));
        note(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &soon, nullptr, 0));
        note(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &soon, nullptr, 1));
        note(futex(reinterpret_cast<int*>(reinterpret_cast<char*>(&word) + 1), FUTEX_WAIT_PRIVATE, 0));
        note(futex(nullptr, FUTEX_WAIT_PRIVATE, 0));
        note(futex(&word, FUTEX_WAKE_PRIVATE, 1));
        note(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 1));
        note(futex(&word, 77, 1));
        note(syscall(SYS_getpid) == getpid() ? 0 : 1);
        note(syscall(SYS_close, -1));
        return answers;
    });
}

TEST(standard_library, locks) {
    std::mutex mutex;
    std::recursive_mutex recursive;
    std::shared_mutex shared;
    std::timed_mutex timed;
    int inside = 0, most = 0;
    auto const in = [&] {
        most = std::max(most, ++inside);
        usleep(10);
        --inside;
    };
    std::vector<coir::fiber<void>> all;
    for (int i = 0; i < 5; ++i)
        all.push_back(coir::spawn([&] {
            std::scoped_lock const held{mutex};
            std::lock_guard const again{recursive}, deeper{recursive};
            std::unique_lock const writer{shared};
            std::unique_lock const last{timed, 1h};
            EXPECT_TRUE(last.owns_lock());
            in();
        }));
    coir::joinall(all);
    EXPECT_EQ(most, 1);
    std::unique_lock held{timed};
    EXPECT_FALSE(coir::spawn([&] { return timed.try_lock_for(1ms); }).get());
}

TEST(standard_library, waits) {
    std::mutex mutex;
    std::condition_variable condition;
    std::counting_semaphore<> semaphore{0};
    std::latch latch{2};
    std::atomic<int> number{0};
    std::promise<int> promise;
    bool set = false;
    coir::event timed_out, timed_out_again;
    auto all = coir::spawn([&] {
        std::unique_lock held{mutex};
        EXPECT_FALSE(condition.wait_for(held, 1ms, [&] { return set; }));
        timed_out.set();
        condition.wait(held, [&] { return set; });
        EXPECT_FALSE(semaphore.try_acquire_for(1ms));
        timed_out_again.set();
        semaphore.acquire();
        latch.arrive_and_wait();
        number.wait(0);
        return promise.get_future().get();
    });
    timed_out.wait();
    {
        std::lock_guard const held{mutex};
        set = true;
    }
    condition.notify_one();
    timed_out_again.wait();
    until_parked(all);
    semaphore.release();
    until_parked(all);
    latch.count_down();
    until_parked(all);
    number = 1;
    number.notify_one();
    until_parked(all);
    promise.set_value(42);
    EXPECT_EQ(all.get(), 42);
    int rounds = 0;
    std::thread thread{[&] { rounds = 1; }};
    thread.join();
    EXPECT_EQ(rounds, 1);
}

TEST(standard_library, atomics_of_threads_and_fibers) {
    std::atomic<int> turn{0};
    constexpr int rounds = 1000;
    auto const play = [&](int mine) {
        for (int i = 0; i < rounds; ++i) {
            for (int now; (now = turn.load()) != mine;) turn.wait(now);
            turn = 1 - mine;
            turn.notify_all();
        }
    };
    std::thread other{play, 1};
    coir::spawn([&] { play(0); }).join();
    other.join();
}
