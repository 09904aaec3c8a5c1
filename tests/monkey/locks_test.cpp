// Mutexes, read-write locks, spin locks and semaphores of libc, shared by fibers of one thread, and by fibers and
// threads.

#include "tests/monkey/fixture.h"
#include "tests/monkey/natively.h"
#include "tests/rerun.h"

#include <csignal>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

struct mutex {
    pthread_mutex_t it;
    explicit mutex(int type = PTHREAD_MUTEX_NORMAL, int robust = PTHREAD_MUTEX_STALLED,
                   int protocol = PTHREAD_PRIO_NONE) {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes, type);
        pthread_mutexattr_setrobust(&attributes, robust);
        pthread_mutexattr_setprotocol(&attributes, protocol);
        EXPECT_EQ(pthread_mutex_init(&it, &attributes), 0);
        pthread_mutexattr_destroy(&attributes);
    }
    mutex(mutex const&) = delete;
    ~mutex() { EXPECT_EQ(pthread_mutex_destroy(&it), 0); }
    operator pthread_mutex_t*() { return &it; }
};

struct semaphore {
    sem_t it;
    explicit semaphore(unsigned value = 0) { EXPECT_EQ(sem_init(&it, 0, value), 0); }
    semaphore(semaphore const&) = delete;
    ~semaphore() { sem_destroy(&it); }
    operator sem_t*() { return &it; }
};

struct rwlock {
    pthread_rwlock_t it = PTHREAD_RWLOCK_INITIALIZER;
    rwlock() = default;
    rwlock(rwlock const&) = delete;
    ~rwlock() { EXPECT_EQ(pthread_rwlock_destroy(&it), 0); }
    operator pthread_rwlock_t*() { return &it; }
};

// Fibers that hold `mutex` in turn, each across a park: the order in which they got it, "!" where two held it at once.
std::string turns(pthread_mutex_t* mutex, int fibers) {
    std::string order;
    bool held = false;
    pthread_mutex_lock(mutex);
    std::vector<coir::fiber<void>> all;
    for (int i = 0; i < fibers; ++i)
        all.push_back(coir::spawn([&, i] {
            EXPECT_EQ(pthread_mutex_lock(mutex), 0);
            if (std::exchange(held, true)) order += '!';
            usleep(10);
            order += char('a' + i);
            held = false;
            EXPECT_EQ(pthread_mutex_unlock(mutex), 0);
        }));
    until_parked(all.back());
    EXPECT_EQ(order, "");
    pthread_mutex_unlock(mutex);
    coir::joinall(all);
    return order;
}

} // namespace

TEST(mutex, lets_fibers_in_one_after_another_first_come_first) {
    mutex normal, recursive{PTHREAD_MUTEX_RECURSIVE}, checking{PTHREAD_MUTEX_ERRORCHECK},
        adaptive{PTHREAD_MUTEX_ADAPTIVE_NP}, robust{PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST},
        robust_recursive{PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST},
        robust_checking{PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST},
        inheriting{PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT},
        inheriting_recursive{PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT},
        inheriting_checking{PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT};
    for (auto* each : {&normal, &recursive, &checking, &adaptive, &robust, &robust_recursive, &robust_checking,
                       &inheriting, &inheriting_recursive, &inheriting_checking})
        EXPECT_EQ(turns(*each, 20), "abcdefghijklmnopqrst") << each->it.__data.__kind;
}

TEST(mutex, keeps_a_fibers_place_when_another_was_quicker) {
    mutex one;
    std::string order;
    pthread_mutex_lock(one);
    auto first = coir::spawn([&] {
        pthread_mutex_lock(one);
        order += 'a';
        pthread_mutex_unlock(one);
    });
    auto second = coir::spawn([&] {
        pthread_mutex_lock(one);
        order += 'b';
        pthread_mutex_unlock(one);
    });
    until_parked(second);
    for (int i = 0; i < 5; ++i) { // the first, and then the second, are woken in vain
        pthread_mutex_unlock(one);
        EXPECT_EQ(pthread_mutex_trylock(one), 0);
        until_parked(first);
    }
    pthread_mutex_unlock(one);
    coir::joinall({first, second});
    EXPECT_EQ(order, "ab");
}

TEST(mutex, that_is_recursive_is_its_fibers) {
    mutex one{PTHREAD_MUTEX_RECURSIVE};
    EXPECT_EQ(pthread_mutex_lock(one), 0);
    EXPECT_EQ(pthread_mutex_lock(one), 0);
    EXPECT_EQ(pthread_mutex_trylock(one), 0);
    auto other = coir::spawn([&] {
        EXPECT_EQ(pthread_mutex_trylock(one), EBUSY);
        EXPECT_EQ(pthread_mutex_unlock(one), EPERM);
        EXPECT_EQ(pthread_mutex_lock(one), 0);
        EXPECT_EQ(one.it.__data.__count, 1u);
        EXPECT_EQ(pthread_mutex_lock(one), 0);
        EXPECT_EQ(pthread_mutex_unlock(one), 0);
        usleep(10);
        EXPECT_EQ(pthread_mutex_unlock(one), 0);
        EXPECT_EQ(pthread_mutex_unlock(one), EPERM);
    });
    for (int i = 0; i < 3; ++i) {
        until_parked(other);
        EXPECT_EQ(pthread_mutex_unlock(one), 0);
    }
    until_parked(other); // it sleeps, and holds it
    EXPECT_EQ(pthread_mutex_trylock(one), EBUSY);
    other.join();
    EXPECT_EQ(pthread_mutex_trylock(one), 0);
    EXPECT_EQ(pthread_mutex_unlock(one), 0);
}

TEST(mutex, that_checks_errors_knows_fibers) {
    for (int robust : {PTHREAD_MUTEX_STALLED, PTHREAD_MUTEX_ROBUST}) {
        mutex one{PTHREAD_MUTEX_ERRORCHECK, robust};
        EXPECT_EQ(pthread_mutex_unlock(one), EPERM);
        EXPECT_EQ(pthread_mutex_lock(one), 0);
        EXPECT_EQ(pthread_mutex_lock(one), EDEADLK);
        timespec const long_ago{0, 0};
        EXPECT_EQ(pthread_mutex_timedlock(one, &long_ago), EDEADLK);
        auto other = coir::spawn([&] {
            EXPECT_EQ(pthread_mutex_unlock(one), EPERM);
            EXPECT_EQ(pthread_mutex_trylock(one), EBUSY);
            EXPECT_EQ(pthread_mutex_timedlock(one, &long_ago), ETIMEDOUT);
            EXPECT_EQ(pthread_mutex_lock(one), 0);
            EXPECT_EQ(pthread_mutex_unlock(one), 0);
        });
        until_parked(other);
        EXPECT_EQ(pthread_mutex_unlock(one), 0);
        other.join();
    }
}

TEST_ALONE(mutex, that_the_thread_locked_before_there_was_a_hub) {
    mutex recursive{PTHREAD_MUTEX_RECURSIVE}, checking{PTHREAD_MUTEX_ERRORCHECK};
    EXPECT_EQ(pthread_mutex_lock(recursive), 0);
    EXPECT_EQ(pthread_mutex_lock(checking), 0);
    auto other = coir::spawn([&] {
        EXPECT_EQ(pthread_mutex_unlock(recursive), EPERM);
        EXPECT_EQ(pthread_mutex_unlock(checking), EPERM);
        EXPECT_EQ(pthread_mutex_trylock(recursive), EBUSY);
        EXPECT_EQ(pthread_mutex_lock(checking), 0);
        EXPECT_EQ(pthread_mutex_lock(recursive), 0);
        EXPECT_EQ(pthread_mutex_unlock(recursive), 0);
        EXPECT_EQ(pthread_mutex_unlock(checking), 0);
    });
    until_parked(other);
    EXPECT_EQ(pthread_mutex_lock(checking), EDEADLK);
    EXPECT_EQ(pthread_mutex_lock(recursive), 0);
    EXPECT_EQ(pthread_mutex_unlock(recursive), 0);
    EXPECT_EQ(pthread_mutex_unlock(checking), 0);
    until_parked(other);
    EXPECT_EQ(pthread_mutex_unlock(recursive), 0);
    other.join();
}

TEST(mutex, timed_calls_answer_as_without_fibers) {
    expect_same_as_natively([] {
        std::vector<int> answers;
        pthread_mutex_t held;
        pthread_mutex_init(&held, nullptr);
        auto const note = [&](int error) { answers.push_back(error); };
        timespec const past{1, 0}, ancient{-1, 0}, bad{1, 1'000'000'000}, negative{1, -1}, far{1l << 40, 0};
        timespec soon;
        note(pthread_mutex_timedlock(&held, &bad)); // free: nobody looks at the time
        for (timespec const* each : {&past, &ancient, &bad, &negative}) {
            note(pthread_mutex_timedlock(&held, each));
            note(pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, each));
            note(pthread_mutex_clocklock(&held, CLOCK_BOOTTIME, each));
        }
        for (clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC}) {
            clock_gettime(clock, &soon);
            soon.tv_nsec += 1'000'000;
            if (soon.tv_nsec >= 1'000'000'000) ++soon.tv_sec, soon.tv_nsec -= 1'000'000'000;
            note(pthread_mutex_clocklock(&held, clock, &soon));
        }
        note(pthread_mutex_unlock(&held));
        note(pthread_mutex_timedlock(&held, &far));
        note(pthread_mutex_unlock(&held));
        return answers;
    });
}

TEST(mutex, is_waited_for_whatever_kills_the_fiber) {
    mutex one;
    pthread_mutex_lock(one);
    bool got = false;
    auto waiting = coir::spawn([&] {
        EXPECT_EQ(pthread_mutex_lock(one), 0);
        got = true;
        pthread_mutex_unlock(one);
        coir::interruption_point();
        ADD_FAILURE() << "nothing was thrown";
    });
    until_parked(waiting);
    waiting.kill({.block = false});
    until_parked(waiting);
    EXPECT_FALSE(got);
    pthread_mutex_unlock(one);
    waiting.join();
    EXPECT_TRUE(got);
}

TEST(mutex, is_had_by_one_that_is_killed_in_the_moment_of_the_unlock) {
    mutex one;
    pthread_mutex_lock(one);
    int got = 0;
    std::vector<coir::fiber<void>> all;
    for (int i = 0; i < 3; ++i)
        all.push_back(coir::spawn([&] {
            EXPECT_EQ(pthread_mutex_lock(one), 0);
            ++got;
            pthread_mutex_unlock(one);
        }));
    until_parked(all.back());
    all[0].kill({.block = false}); // it no longer waits when it could be woken
    pthread_mutex_unlock(one);
    coir::joinall(all);
    EXPECT_EQ(got, 3);
}

TEST(mutex, timed_wait_fails_when_the_fiber_is_killed) {
    mutex one;
    pthread_mutex_lock(one);
    auto waiting = coir::spawn([&] {
        timespec const far{1l << 40, 0};
        EXPECT_EQ(pthread_mutex_timedlock(one, &far), ECANCELED);
        EXPECT_EQ(pthread_mutex_timedlock(one, &far), ECANCELED);
    });
    until_parked(waiting);
    waiting.kill();
    pthread_mutex_unlock(one);
}

TEST(mutex, of_another_thread) {
    mutex one;
    semaphore held, let_go;
    std::thread other{[&] {
        pthread_mutex_lock(one);
        sem_post(held);
        sem_wait(let_go);
        pthread_mutex_unlock(one);
    }};
    EXPECT_EQ(sem_wait(held), 0);
    auto waiting = coir::spawn([&] { return pthread_mutex_lock(one); });
    until_parked(waiting);
    sem_post(let_go);
    EXPECT_EQ(waiting.get(), 0);
    pthread_mutex_unlock(one);
    other.join();
}

// libc unlocks it inside the call, where no hook is.
TEST(mutex, that_a_thread_lets_go_in_pthread_cond_wait) {
    mutex one;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    semaphore held, go_on;
    bool done = false;
    std::thread other{[&] {
        pthread_mutex_lock(one);
        sem_post(held);
        sem_wait(go_on);
        while (!done) pthread_cond_wait(&condition, one);
        pthread_mutex_unlock(one);
    }};
    EXPECT_EQ(sem_wait(held), 0);
    auto waiting = coir::spawn([&] {
        pthread_mutex_lock(one);
        done = true;
        pthread_mutex_unlock(one);
        pthread_cond_signal(&condition);
    });
    until_parked(waiting);
    sem_post(go_on);
    waiting.join();
    other.join();
}

TEST(mutex, robust_one_of_a_thread_that_ends) {
    for (int type : {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK}) {
        mutex one{type, PTHREAD_MUTEX_ROBUST};
        semaphore held, end;
        std::thread other{[&] {
            pthread_mutex_lock(one);
            sem_post(held);
            sem_wait(end);
        }};
        EXPECT_EQ(sem_wait(held), 0);
        auto first = coir::spawn([&] {
            EXPECT_EQ(pthread_mutex_lock(one), EOWNERDEAD);
            EXPECT_EQ(pthread_mutex_unlock(one), 0); // not made consistent
        });
        auto second = coir::spawn([&] { EXPECT_EQ(pthread_mutex_lock(one), ENOTRECOVERABLE); });
        auto third = coir::spawn([&] { EXPECT_EQ(pthread_mutex_lock(one), ENOTRECOVERABLE); });
        until_parked(third);
        sem_post(end);
        coir::joinall({first, second, third});
        other.join();
    }
}

TEST(mutex, between_fibers_of_several_threads_and_threads) {
    mutex normal, recursive{PTHREAD_MUTEX_RECURSIVE};
    long count = 0, deep = 0;
    constexpr int rounds = 200, fibers = 10;
    auto const work = [&] {
        for (int i = 0; i < rounds; ++i) {
            pthread_mutex_lock(normal);
            long const seen = count;
            if (i % 16 == 0) sched_yield();
            count = seen + 1;
            pthread_mutex_unlock(normal);
            pthread_mutex_lock(recursive);
            pthread_mutex_lock(recursive);
            ++deep;
            if (i % 16 == 1) sched_yield();
            pthread_mutex_unlock(recursive);
            pthread_mutex_unlock(recursive);
        }
    };
    auto const with_fibers = [&] {
        std::vector<coir::fiber<void>> all;
        for (int i = 0; i < fibers; ++i) all.push_back(coir::spawn(work));
        coir::joinall(all);
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back(with_fibers);
    for (int i = 0; i < 2; ++i) threads.emplace_back(work);
    with_fibers();
    for (auto& each : threads) each.join();
    EXPECT_EQ(count, rounds * (3 * fibers + 2));
    EXPECT_EQ(deep, rounds * (3 * fibers + 2));
}

TEST(mutex, goes_on_in_a_forked_child) {
    mutex one, other;
    pthread_mutex_lock(one);
    auto waiting = coir::spawn([&] {
        pthread_mutex_lock(one);
        pthread_mutex_unlock(one);
    });
    until_parked(waiting);
    pid_t const child = fork();
    if (child == 0) {
        pthread_mutex_unlock(one); // nobody waits for it here
        pthread_mutex_lock(other);
        auto mine = coir::spawn([&] { return pthread_mutex_lock(other); });
        coir::yield();
        bool const waits = !mine.ready();
        pthread_mutex_unlock(other);
        _exit(waits && mine.get() == 0 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    pthread_mutex_unlock(one);
    waiting.join();
}

TEST(spin_lock, lets_its_holder_go_on) {
    pthread_spinlock_t lock;
    pthread_spin_init(&lock, 0);
    pthread_spin_lock(&lock);
    auto waiting = coir::spawn([&] { return pthread_spin_lock(&lock); });
    usleep(1000);
    EXPECT_FALSE(waiting.ready());
    pthread_spin_unlock(&lock);
    EXPECT_EQ(waiting.get(), 0);
    pthread_spin_unlock(&lock);
    pthread_spin_destroy(&lock);
}

TEST(rwlock, readers_share_and_writers_do_not) {
    rwlock lock;
    std::string log;
    auto const use = [&](int (*take)(pthread_rwlock_t*), char name) {
        return coir::spawn([&, take, name] {
            EXPECT_EQ(take(lock), 0);
            log += name;
            usleep(10);
            log += name;
            EXPECT_EQ(pthread_rwlock_unlock(lock), 0);
        });
    };
    EXPECT_EQ(pthread_rwlock_wrlock(lock), 0);
    auto reader1 = use(pthread_rwlock_rdlock, 'r'), writer1 = use(pthread_rwlock_wrlock, 'w'),
         reader2 = use(pthread_rwlock_rdlock, 'r'), writer2 = use(pthread_rwlock_wrlock, 'x');
    until_parked(writer2);
    EXPECT_EQ(log, "");
    EXPECT_EQ(pthread_rwlock_unlock(lock), 0);
    coir::joinall({reader1, reader2, writer1, writer2});
    // Whoever comes first: what a writer does is not torn apart, and both readers were in at once.
    EXPECT_NE(log.find("ww"), std::string::npos) << log;
    EXPECT_NE(log.find("xx"), std::string::npos) << log;
    EXPECT_NE(log.find("rrrr"), std::string::npos) << log;
    EXPECT_LT(log.find('w'), log.find('x')) << log;
}

TEST(rwlock, answers_as_without_fibers) {
    expect_same_as_natively([] {
        std::vector<int> answers;
        auto const note = [&](int error) { answers.push_back(error); };
        pthread_rwlock_t held;
        pthread_rwlock_init(&held, nullptr);
        timespec const past{1, 0}, bad{1, 1'000'000'000};
        note(pthread_rwlock_wrlock(&held));
        note(pthread_rwlock_wrlock(&held)); // EDEADLK
        note(pthread_rwlock_rdlock(&held));
        note(pthread_rwlock_trywrlock(&held));
        note(pthread_rwlock_tryrdlock(&held));
        note(pthread_rwlock_timedwrlock(&held, &past));
        note(pthread_rwlock_clockrdlock(&held, CLOCK_MONOTONIC, &bad));
        note(pthread_rwlock_clockrdlock(&held, CLOCK_BOOTTIME, &past));
        note(pthread_rwlock_unlock(&held));
        note(pthread_rwlock_rdlock(&held));
        note(pthread_rwlock_rdlock(&held));
        note(pthread_rwlock_timedrdlock(&held, &bad));
        note(pthread_rwlock_timedwrlock(&held, &past));
        note(pthread_rwlock_clockwrlock(&held, CLOCK_MONOTONIC, &past));
        note(pthread_rwlock_unlock(&held));
        note(pthread_rwlock_unlock(&held));
        note(pthread_rwlock_trywrlock(&held));
        note(pthread_rwlock_unlock(&held));
        return answers;
    });
}

TEST(rwlock, a_writer_that_is_killed_waits_for_the_last_reader) {
    rwlock lock;
    pthread_rwlock_rdlock(lock);
    pthread_rwlock_rdlock(lock);
    auto writer = coir::spawn([&] {
        EXPECT_EQ(pthread_rwlock_wrlock(lock), 0);
        EXPECT_EQ(pthread_rwlock_unlock(lock), 0);
    });
    until_parked(writer);
    writer.kill({.block = false});
    pthread_rwlock_unlock(lock);
    until_parked(writer);
    pthread_rwlock_unlock(lock);
    writer.join();
}

TEST(rwlock, between_fibers_of_several_threads_and_threads) {
    rwlock lock;
    long value = 0;
    constexpr int rounds = 100, fibers = 8;
    auto const work = [&] {
        for (int i = 0; i < rounds; ++i) {
            pthread_rwlock_wrlock(lock);
            long const seen = value;
            if (i % 16 == 0) sched_yield();
            value = seen + 1;
            pthread_rwlock_unlock(lock);
            pthread_rwlock_rdlock(lock);
            long const before = value;
            if (i % 8 == 0) sched_yield();
            EXPECT_EQ(value, before);
            pthread_rwlock_unlock(lock);
        }
    };
    auto const with_fibers = [&] {
        std::vector<coir::fiber<void>> all;
        for (int i = 0; i < fibers; ++i) all.push_back(coir::spawn(work));
        coir::joinall(all);
    };
    std::thread other{with_fibers}, plain{work};
    with_fibers();
    other.join();
    plain.join();
    EXPECT_EQ(value, rounds * (2 * fibers + 1));
}

TEST(semaphore, is_had_first_come_first) {
    semaphore one;
    std::string order;
    std::vector<coir::fiber<void>> all;
    for (char name : {'a', 'b', 'c', 'd'})
        all.push_back(coir::spawn([&, name] {
            EXPECT_EQ(sem_wait(one), 0);
            order += name;
        }));
    until_parked(all.back());
    sem_post(one);
    all[0].join();
    EXPECT_EQ(order, "a");
    for (int i = 0; i < 3; ++i) sem_post(one);
    coir::joinall(all);
    EXPECT_EQ(order, "abcd");
    EXPECT_EQ(sem_trywait(one), -1);
}

TEST(semaphore, answers_as_without_fibers) {
    expect_same_as_natively([] {
        std::vector<int> answers;
        auto const note = [&](int result) { answers.push_back(result == 0 ? 0 : errno); };
        sem_t one;
        sem_init(&one, 0, 2);
        timespec const past{1, 0}, ancient{-1, 0}, bad{1, 1'000'000'000};
        note(sem_wait(&one));
        note(sem_timedwait(&one, &bad));
        note(sem_timedwait(&one, &past));
        for (timespec const* each : {&past, &ancient, &bad}) {
            note(sem_timedwait(&one, each));
            note(sem_clockwait(&one, CLOCK_MONOTONIC, each));
            note(sem_clockwait(&one, CLOCK_BOOTTIME, each));
        }
        note(sem_post(&one));
        note(sem_wait(&one));
        sem_destroy(&one);
        sem_init(&one, 0, SEM_VALUE_MAX);
        note(sem_post(&one));
        return answers;
    });
}

TEST(semaphore, a_killed_fiber_takes_nothing_away) {
    semaphore one;
    auto killed = coir::spawn([&] {
        EXPECT_EQ(sem_wait(one), -1);
        EXPECT_EQ(errno, ECANCELED);
    });
    until_parked(killed);
    killed.kill();
    auto other = coir::spawn([&] { return sem_wait(one); });
    until_parked(other);
    sem_post(one);
    EXPECT_EQ(other.get(), 0);
}

TEST(semaphore, a_fiber_that_is_woken_and_then_killed_has_it) {
    semaphore one;
    auto lucky = coir::spawn([&] {
        EXPECT_EQ(sem_wait(one), 0);
        EXPECT_THROW(coir::interruption_point(), coir::fiber_exit);
    });
    until_parked(lucky);
    std::atomic<bool> posted{false};
    std::thread other{[&] {
        sem_post(one);
        posted = true;
    }};
    while (!posted) {} // without letting it run
    lucky.kill();
    other.join();
}

namespace {

sem_t* to_post = nullptr;
void post_in_handler(int) { sem_post(to_post); }
void nothing(int) {}

struct handler {
    int number;
    struct sigaction before;
    handler(int which, int flags, void (*what)(int)) : number(which) {
        struct sigaction action {};
        action.sa_handler = what;
        action.sa_flags = flags;
        checked(sigaction(number, &action, &before), "sigaction");
    }
    ~handler() { sigaction(number, &before, nullptr); }
};

} // namespace

TEST(semaphore, handlers_end_its_waits_as_signal_7_says) {
    semaphore one;
    timespec const far{1l << 40, 0};
    {
        handler const interrupts{SIGUSR1, 0, nothing};
        auto waiting = coir::spawn([&] { return sem_wait(one) == -1 ? errno : 0; });
        auto limited = coir::spawn([&] { return sem_timedwait(one, &far) == -1 ? errno : 0; });
        until_parked(limited);
        raise(SIGUSR1);
        EXPECT_EQ(waiting.get(), EINTR);
        EXPECT_EQ(limited.get(), EINTR);
    }
    handler const restarts{SIGUSR1, SA_RESTART, nothing};
    auto waiting = coir::spawn([&] { return sem_wait(one) == -1 ? errno : 0; });
    auto limited = coir::spawn([&] { return sem_timedwait(one, &far) == -1 ? errno : 0; });
    until_parked(limited);
    raise(SIGUSR1);
    EXPECT_EQ(limited.get(), EINTR);
    until_parked(waiting);
    sem_post(one);
    EXPECT_EQ(waiting.get(), 0);
}

TEST(semaphore, is_posted_in_a_handler) {
    semaphore one;
    to_post = one;
    handler const posts{SIGUSR1, SA_RESTART, post_in_handler};
    for (int i = 0; i < 100; ++i) {
        auto waiting = coir::spawn([&] { return sem_wait(one); });
        until_parked(waiting);
        raise(SIGUSR1);
        EXPECT_EQ(waiting.get(), 0);
    }
}

// Signals come at any moment, also while the thread holds locks of the parking lot.
TEST(semaphore, is_posted_in_handlers_that_interrupt_posts_and_waits) {
    semaphore mine, other;
    to_post = mine;
    handler const posts{SIGUSR1, SA_RESTART, post_in_handler};
    constexpr int signals = 100;
    pthread_t const here = pthread_self();
    std::atomic<int> handled{0};
    std::thread sender{[&] {
        for (int i = 0; i < signals; ++i) {
            pthread_kill(here, SIGUSR1);
            while (handled.load() <= i) std::this_thread::yield(); // one that is pending already would be lost
        }
    }};
    auto counting = coir::spawn([&] {
        for (int i = 0; i < signals; ++i) {
            EXPECT_EQ(sem_wait(mine), 0);
            ++handled;
        }
    });
    auto ping = coir::spawn([&] {
        while (!counting.ready()) {
            sem_post(other);
            coir::yield();
        }
        sem_post(other);
    });
    auto pong = coir::spawn([&] {
        while (!counting.ready()) sem_wait(other);
    });
    coir::joinall({counting, ping, pong});
    sender.join();
}

TEST(semaphore, of_two_processes) {
    void* const memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto* const shared = static_cast<sem_t*>(memory);
    sem_init(shared, 1, 0);
    fd_pair pipe = fd_pair::pipe();
    pid_t const child = fork();
    if (child == 0) {
        char byte;
        _exit(read(pipe.first, &byte, 1) == 1 ? sem_post(shared) : 1);
    }
    auto waiting = coir::spawn([&] { return sem_wait(shared); });
    until_parked(waiting);
    EXPECT_EQ(write(pipe.second, "x", 1), 1);
    EXPECT_EQ(waiting.get(), 0);
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    sem_destroy(shared);
    munmap(memory, 4096);
}

TEST(semaphore, hands_over_between_threads_and_fibers) {
    semaphore there, back;
    constexpr int rounds = 2000;
    std::thread other{[&] {
        for (int i = 0; i < rounds; ++i) {
            sem_wait(there);
            sem_post(back);
        }
    }};
    auto here = coir::spawn([&] {
        for (int i = 0; i < rounds; ++i) {
            EXPECT_EQ(sem_post(there), 0);
            EXPECT_EQ(sem_wait(back), 0);
        }
    });
    here.join();
    other.join();
}
