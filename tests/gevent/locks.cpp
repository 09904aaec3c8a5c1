// Semaphores and locks: who gets in next, and what a timeout or a kill leaves behind.
//
// Nobody takes again here what others wait for without letting them run first: gevent lets the releaser barge in, coir
// hands over to the first that waits.
#include "tests/gevent/scenario.h"

#include <mutex>

using coir::joinall;
using coir::semaphore;
using coir::sleep;
using coir::spawn;
using coir::yield;

namespace {

// To be spawned.
auto work(semaphore& lock, char const* name, int turns = 1) {
    return [&lock, name, turns] {
        lock.acquire();
        say(name, "in");
        for (int i = 0; i < turns; ++i) yield();
        say(name, "out");
        lock.release();
    };
}

// Holds a semaphore as long as a scope lasts.
struct held {
    semaphore& lock;
    explicit held(semaphore& what) : lock(what) { lock.acquire(); }
    held(held const&) = delete;
    ~held() { lock.release(); }
};

} // namespace

SCENARIO(one_after_the_other) {
    semaphore lock{1};
    std::vector<coir::fiber<void>> all;
    for (auto name : {"a", "b", "c", "d"}) all.push_back(spawn(work(lock, name)));
    joinall(all);
    say("value", lock.value());
}

SCENARIO(two_at_once) {
    semaphore lock{2};
    std::vector<coir::fiber<void>> all;
    for (auto name : {"a", "b", "c", "d", "e"}) all.push_back(spawn(work(lock, name)));
    joinall(all);
    say("value", lock.value());
}

SCENARIO(two_at_once_of_unlike_length) {
    semaphore lock{2};
    std::vector<coir::fiber<void>> all;
    for (auto [name, turns] : {std::pair{"a", 5}, {"b", 1}, {"c", 1}, {"d", 1}})
        all.push_back(spawn(work(lock, name, turns)));
    joinall(all);
}

SCENARIO(without_waiting) {
    semaphore lock{1};
    say("locked", lock.locked(), "value", lock.value());
    say(lock.try_acquire());
    say("locked", lock.locked(), "value", lock.value());
    say(lock.try_acquire());
    lock.release();
    say("locked", lock.locked(), "value", lock.value());
}

SCENARIO(until_it_is_late) {
    semaphore lock{0};
    say(lock.acquire(10ms));
    lock.release();
    say(lock.acquire(10ms));
    say("value", lock.value());
}

SCENARIO(one_that_was_too_late_is_passed_over) {
    semaphore lock{0};
    auto impatient = [&] { say("impatient", lock.acquire(10ms)); };
    std::vector<coir::fiber<void>> all{spawn(work(lock, "a")), spawn(impatient), spawn(work(lock, "c"))};
    all[1].join();
    lock.release();
    joinall(all);
    say("value", lock.value());
}

SCENARIO(a_killed_waiter_is_passed_over) {
    semaphore lock{0};
    std::vector<coir::fiber<void>> all;
    for (auto name : {"a", "b", "c"}) all.push_back(spawn(work(lock, name)));
    yield();
    all[1].kill();
    lock.release();
    joinall(all);
    say("value", lock.value());
}

SCENARIO(a_timed_out_waiter_is_passed_over) {
    semaphore lock{0};
    auto impatient = [&] {
        try {
            coir::timeout limit{10ms};
            lock.acquire();
        } catch (coir::timed_out const&) {
            say("impatient", caught());
        }
    };
    std::vector<coir::fiber<void>> all{spawn(impatient), spawn(work(lock, "b"))};
    all[0].join();
    lock.release();
    joinall(all);
}

SCENARIO(a_releaser_goes_on) {
    semaphore lock{0};
    auto waiter = spawn(work(lock, "waiter"));
    yield();
    lock.release();
    say("main goes on");
    spawn(saying("spawned after the release"));
    waiter.join();
}

SCENARIO(as_many_as_are_released) {
    semaphore lock{0};
    auto take = [&](char const* name) {
        lock.acquire();
        say(name);
    };
    std::vector all{spawn(take, "a"), spawn(take, "b"), spawn(take, "c")};
    yield();
    lock.release();
    lock.release();
    yield();
    say("main");
    lock.release();
    joinall(all);
}

SCENARIO(wait_does_not_take) {
    semaphore lock{0};
    auto waiter = [&](char const* name) {
        lock.wait();
        say(name, "value", lock.value());
    };
    std::vector all{spawn(waiter, "a"), spawn(waiter, "b")};
    yield();
    lock.release();
    joinall(all);
    say("value", lock.value());
}

SCENARIO(more_released_than_taken) {
    semaphore lock{1};
    lock.release();
    say("value", lock.value());
    coir::bounded_semaphore bounded{1};
    bounded.acquire();
    bounded.release();
    try {
        bounded.release();
    } catch (std::logic_error const&) {
        say("refused");
    }
    say("value", bounded.value());
}

SCENARIO(left_by_an_error_it_is_free) {
    semaphore lock{1};
    auto fiber = spawn([&] {
        held guard{lock};
        say("inside");
        yield();
        throw my_error{"out"};
    });
    auto other = spawn(work(lock, "other"));
    fiber.join();
    say(fiber.exception());
    other.join();
}

SCENARIO(left_by_a_kill_it_is_free) {
    semaphore lock{1};
    auto fiber = spawn([&] {
        held guard{lock};
        say("inside");
        sleep(60s);
    });
    auto other = spawn(work(lock, "other"));
    yield();
    fiber.kill();
    say("other ready", other.ready());
    other.join();
}

SCENARIO(by_the_same_again) {
    coir::rlock lock;
    auto nested = [&](char const* name) {
        std::lock_guard guard{lock};
        say(name, "in");
        {
            std::lock_guard again{lock};
            yield();
            say(name, "deeper in");
        }
        yield();
        say(name, "out");
    };
    joinall(std::vector{spawn(nested, "a"), spawn(nested, "b")});
}

SCENARIO(by_another_it_cannot_be_unlocked) {
    coir::rlock lock;
    auto unlock = [&](char const* refused) {
        try {
            lock.unlock();
        } catch (std::exception const&) {
            say(refused);
        }
    };
    lock.lock();
    spawn(unlock, "refused").join();
    lock.unlock();
    unlock("refused, too");
}

SCENARIO(a_recursive_one_without_waiting) {
    coir::rlock lock;
    auto other = [&](char const* name) { say(name, lock.try_lock()); };
    lock.lock();
    lock.lock();
    spawn(other, "taken twice:").join();
    lock.unlock();
    spawn(other, "taken once:").join();
    lock.unlock();
    spawn(other, "free:").join();
}

SCENARIO(two_in_a_deadly_embrace) {
    semaphore one{1}, two{1};
    auto body = [](char const* name, semaphore& first, semaphore& second) {
        held outer{first};
        yield();
        say(name, "wants the second");
        held inner{second};
        say(name, "has both");
    };
    std::vector all{spawn(body, "a", std::ref(one), std::ref(two)), spawn(body, "b", std::ref(two), std::ref(one))};
    try {
        joinall(all);
    } catch (coir::would_block_forever const&) {
        say("main caught", caught());
    }
    all[0].kill();
    all[1].join();
}
