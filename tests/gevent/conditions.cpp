// Conditions and barriers, as threading's are when gevent makes them work between greenlets.
#include "tests/gevent/scenario.h"

#include <algorithm>
#include <mutex>

using coir::condition;
using coir::joinall;
using coir::mutex;
using coir::spawn;
using coir::yield;

SCENARIO(notified_in_order_of_waiting) {
    mutex lock;
    condition changed;
    auto waiter = [&](char const* name) {
        std::unique_lock held{lock};
        changed.wait(held);
        say(name);
    };
    std::vector all{spawn(waiter, "a"), spawn(waiter, "b"), spawn(waiter, "c")};
    yield();
    for (int i = 0; i < 3; ++i) {
        {
            std::unique_lock held{lock};
            changed.notify_one();
            say("main notified");
        }
        yield();
        yield();
    }
    joinall(all);
}

SCENARIO(all_notified_come_in_order) {
    mutex lock;
    condition changed;
    auto waiter = [&](char const* name) {
        std::unique_lock held{lock};
        changed.wait(held);
        say(name);
    };
    std::vector all{spawn(waiter, "a"), spawn(waiter, "b"), spawn(waiter, "c")};
    yield();
    {
        std::unique_lock held{lock};
        changed.notify_all();
        say("main notified");
    }
    joinall(all);
}

SCENARIO(nobody_is_there_to_be_notified) {
    mutex lock;
    condition changed;
    std::unique_lock held{lock};
    changed.notify_one();
    say("a notification is not kept:", changed.wait(held, 10ms));
}

SCENARIO(until_it_is_late_and_locked_again) {
    mutex lock;
    condition changed;
    {
        std::unique_lock held{lock};
        bool const in_time = changed.wait(held, 10ms);
        say(in_time, "locked", !lock.try_lock());
    }
    bool const free = lock.try_lock();
    say("locked", !free);
    lock.unlock();
}

SCENARIO(until_it_is_so) {
    mutex lock;
    condition changed;
    int state = 0;
    auto fiber = spawn([&] {
        std::unique_lock held{lock};
        say("waiter", changed.wait(held, [&] { return state == 3; }));
    });
    yield();
    for (int number = 1; number < 4; ++number) {
        {
            std::unique_lock held{lock};
            state = number;
            changed.notify_one();
        }
        yield();
        yield();
        say("number", number, "waiter ready", fiber.ready());
    }
    fiber.join();
}

SCENARIO(while_it_waits_the_lock_is_free) {
    mutex lock;
    condition changed;
    auto fiber = spawn([&] {
        std::unique_lock held{lock};
        say("waiter waits");
        changed.wait(held);
        say("waiter has the lock again");
    });
    yield();
    {
        std::unique_lock held{lock};
        say("main has the lock");
        changed.notify_one();
        yield();
        yield();
        say("main leaves");
    }
    fiber.join();
}

SCENARIO(a_killed_waiter_has_the_lock_while_it_unwinds) {
    mutex lock;
    condition changed;
    auto fiber = spawn([&] {
        std::unique_lock held{lock};
        try {
            changed.wait(held);
        } catch (coir::fiber_exit const&) {
            say("waiter sees", caught(), "locked", !lock.try_lock());
            throw;
        }
    });
    yield();
    fiber.kill();
    bool const free = lock.try_lock();
    say("locked", !free);
    lock.unlock();
}

SCENARIO(with_a_recursive_lock_all_of_it_is_let_go) {
    coir::rlock lock;
    condition changed;
    auto fiber = spawn([&] {
        std::unique_lock outer{lock};
        std::unique_lock inner{lock};
        say("waiter waits");
        changed.wait(inner);
        say("waiter goes on");
    });
    yield();
    {
        std::unique_lock held{lock};
        say("main has the lock");
        changed.notify_one();
    }
    fiber.join();
}

SCENARIO(producers_and_consumers) {
    mutex lock;
    condition filled, emptied;
    std::vector<std::string> items, taken;
    auto producer = [&](std::string name) {
        for (int i = 0; i < 2; ++i) {
            std::unique_lock held{lock};
            while (items.size() == 1) emptied.wait(held);
            items.push_back(name + std::to_string(i));
            filled.notify_one();
        }
    };
    auto consumer = [&] {
        for (int i = 0; i < 2; ++i) {
            std::unique_lock held{lock};
            while (items.empty()) filled.wait(held);
            taken.push_back(items.back());
            items.pop_back();
            emptied.notify_one();
        }
    };
    joinall(std::vector{spawn(producer, "a"), spawn(consumer), spawn(producer, "b"), spawn(consumer)});
    std::ranges::sort(taken);
    say(taken);
}

SCENARIO(a_barrier_lets_all_go_with_the_last) {
    coir::barrier barrier{3};
    auto runner = [&](char const* name, int turns) {
        for (int i = 0; i < turns; ++i) yield();
        say(name, "arrives");
        barrier.arrive_and_wait();
    };
    joinall(std::vector{spawn(runner, "a", 1), spawn(runner, "b", 3), spawn(runner, "c", 2)});
    say("all are through");
}

SCENARIO(a_barrier_serves_again) {
    coir::barrier barrier{2};
    std::vector<int> laps;
    auto runner = [&] {
        for (int lap = 0; lap < 2; ++lap) {
            barrier.arrive_and_wait();
            laps.push_back(lap);
        }
    };
    joinall(std::vector{spawn(runner), spawn(runner)});
    say(laps);
}
