// Queues: who gets what, who may put, and what happens to items when somebody gives up.
#include "tests/gevent/scenario.h"

using coir::joinall;
using coir::queue;
using coir::spawn;
using coir::yield;

namespace {

// To be spawned.
auto getter(auto& queue, char const* name) {
    return [&queue, name] { say(name, "got", queue.get()); };
}
auto putter(auto& queue, char const* name, auto... items) {
    return [&queue, name, items...] {
        auto put = [&](auto const& item) {
            queue.put(item);
            say(name, "put", item);
        };
        (put(items), ...);
    };
}

using fibers = std::vector<coir::fiber<void>>;

} // namespace

SCENARIO(first_in_first_out) {
    queue<char const*> queue;
    for (auto item : {"a", "b", "c"}) queue.put(item);
    say("size", queue.size());
    say(std::vector{queue.get(), queue.get(), queue.get()});
    say("size", queue.size(), "empty", queue.empty());
}

SCENARIO(a_put_does_not_switch) {
    queue<int> queue;
    auto fiber = spawn(getter(queue, "a"));
    yield();
    queue.put(1);
    say("main goes on");
    fiber.join();
}

SCENARIO(getters_are_served_in_order_of_coming) {
    queue<int> queue;
    fibers all;
    for (auto name : {"a", "b", "c"}) all.push_back(spawn(getter(queue, name)));
    yield();
    for (int item = 0; item < 3; ++item) queue.put(item);
    joinall(all);
}

SCENARIO(an_item_that_is_there_does_not_switch) {
    queue<int> queue;
    queue.put(1);
    spawn(saying("other runs"));
    say("main got", queue.get());
    yield();
}

SCENARIO(a_full_one_makes_its_putter_wait) {
    queue<int> queue{1};
    auto fiber = spawn(putter(queue, "fiber", 1, 2, 3));
    yield();
    say("size", queue.size(), "full", queue.full());
    for (int i = 0; i < 3; ++i) {
        say("main got", queue.get());
        yield();
    }
    fiber.join();
    say("empty", queue.empty());
}

SCENARIO(putters_have_their_turn_in_order_of_coming) {
    queue<char const*> queue{1};
    queue.put("first");
    fibers all;
    for (auto name : {"a", "b", "c"}) all.push_back(spawn(putter(queue, name, name)));
    yield();
    for (int i = 0; i < 4; ++i) {
        say("main got", queue.get());
        yield();
    }
    joinall(all);
}

SCENARIO(one_producer_one_consumer) {
    queue<int> queue{2};
    auto consumer = [&] {
        for (int i = 0; i < 6; ++i) getter(queue, "consumer")();
    };
    joinall(fibers{spawn(putter(queue, "producer", 0, 1, 2, 3, 4, 5)), spawn(consumer)});
}

SCENARIO(the_consumer_comes_first) {
    queue<int> queue{2};
    auto consumer = [&] {
        for (int i = 0; i < 6; ++i) getter(queue, "consumer")();
    };
    joinall(fibers{spawn(consumer), spawn(putter(queue, "producer", 0, 1, 2, 3, 4, 5))});
}

SCENARIO(two_producers_one_consumer) {
    queue<int> queue{1};
    std::vector<int> taken;
    auto consumer = [&] {
        for (int i = 0; i < 6; ++i) taken.push_back(queue.get());
    };
    joinall(fibers{spawn(putter(queue, "a", 1, 2, 3)), spawn(putter(queue, "b", 4, 5, 6)), spawn(consumer)});
    say(taken);
}

SCENARIO(get_until_it_is_late) {
    queue<int> queue;
    say(queue.get(10ms));
    queue.put(1);
    say(queue.get(10ms));
}

SCENARIO(put_until_it_is_late) {
    queue<int> queue{1};
    queue.put(1);
    say(queue.put(2, 10ms));
    say("got", queue.get());
    yield();
    say("nothing was put late:", queue.empty());
    say(queue.put(3, 10ms));
}

SCENARIO(without_waiting) {
    queue<int> queue{1};
    say(queue.try_get());
    say(queue.try_put(1));
    say(queue.try_put(2));
    say(queue.try_peek());
    say(queue.try_get());
    say(queue.try_peek());
}

SCENARIO(a_look_leaves_it_there) {
    queue<int> queue;
    queue.put(1);
    queue.put(2);
    say(queue.peek(), queue.peek(), "size", queue.size());
    int const taken = queue.get();
    say(taken, queue.peek());
}

SCENARIO(a_look_waits_too) {
    queue<int> queue;
    auto looker = [&](char const* name) { say(name, "sees", queue.peek()); };
    fibers all{spawn(looker, "a"), spawn(looker, "b"), spawn(getter(queue, "c"))};
    yield();
    queue.put(1);
    joinall(all);
    say("late", queue.peek(10ms));
}

SCENARIO(a_killed_getter_takes_nothing) {
    queue<int> queue;
    fibers all;
    for (auto name : {"a", "b", "c"}) all.push_back(spawn(getter(queue, name)));
    yield();
    all[1].kill();
    queue.put(1);
    queue.put(2);
    joinall(all);
    say("size", queue.size());
}

SCENARIO(a_killed_putter_puts_nothing) {
    queue<char const*> queue{1};
    queue.put("first");
    fibers all;
    for (auto name : {"a", "b", "c"}) all.push_back(spawn(putter(queue, name, name)));
    yield();
    all[1].kill();
    for (int i = 0; i < 3; ++i) {
        say("main got", queue.get());
        yield();
    }
    joinall(all);
    say("size", queue.size());
}

SCENARIO(a_late_getter_makes_room_for_the_next) {
    queue<int> queue;
    auto impatient = [&] { say("impatient", queue.get(10ms)); };
    fibers all{spawn(impatient), spawn(getter(queue, "patient"))};
    all[0].join();
    queue.put(1);
    joinall(all);
}

SCENARIO(a_late_putter_makes_room_for_the_next) {
    queue<char const*> queue{1};
    queue.put("first");
    auto impatient = [&] { say("impatient", queue.put("impatient", 10ms)); };
    fibers all{spawn(impatient), spawn(putter(queue, "patient", "patient"))};
    all[0].join();
    say(std::vector{queue.get(), queue.get()});
    joinall(all);
}

SCENARIO(a_timeout_around_several_gets) {
    queue<int> queue;
    queue.put(1);
    queue.put(2);
    try {
        coir::timeout limit{10ms};
        for (;;) say("got", queue.get());
    } catch (coir::timed_out const&) {
        say("main", caught());
    }
}

SCENARIO(a_loop_over_it_ends) {
    queue<int> queue;
    auto fiber = spawn([&] {
        for (int item : queue) say("item", item);
        say("the loop ended");
    });
    yield();
    queue.put(1);
    queue.put(2);
    queue.shutdown();
    fiber.join();
}

SCENARIO(the_last_in_is_the_first_out) {
    coir::lifo_queue<char const*> queue;
    for (auto item : {"a", "b", "c"}) queue.put(item);
    say("peek", queue.peek());
    say(std::vector{queue.get(), queue.get(), queue.get()});
}

SCENARIO(a_waiting_getter_gets_the_last_in) {
    coir::lifo_queue<int> queue;
    fibers all{spawn(getter(queue, "a")), spawn(getter(queue, "b"))};
    yield();
    for (int item = 0; item < 3; ++item) queue.put(item);
    joinall(all);
    say("left", queue.get());
}

SCENARIO(the_lowest_comes_first) {
    coir::priority_queue<int> queue;
    for (int item : {5, 1, 4, 2, 3}) queue.put(item);
    say("peek", queue.peek());
    say(std::vector{queue.get(), queue.get(), queue.get(), queue.get(), queue.get()});
}

SCENARIO(waiting_getters_get_the_lowest_there_is) {
    coir::priority_queue<int> queue;
    fibers all{spawn(getter(queue, "a")), spawn(getter(queue, "b"))};
    yield();
    for (int item : {3, 1, 2}) queue.put(item);
    joinall(all);
    say("left", queue.get());
}

SCENARIO(a_waiting_putter_has_no_priority) {
    coir::priority_queue<int> queue{1};
    queue.put(5);
    fibers all{spawn(putter(queue, "a", 3)), spawn(putter(queue, "b", 1)), spawn(putter(queue, "c", 2))};
    yield();
    for (int i = 0; i < 4; ++i) {
        say("main got", queue.get());
        yield();
    }
    joinall(all);
}

SCENARIO(join_waits_until_all_is_done) {
    coir::joinable_queue<int> queue;
    spawn([&] {
        for (int i = 0; i < 3; ++i) {
            say("worker has", queue.get());
            yield();
            say("worker did it");
            queue.task_done();
        }
    });
    for (int item = 0; item < 3; ++item) queue.put(item);
    queue.join();
    say("main joined");
}

SCENARIO(join_of_one_that_was_never_used) {
    coir::joinable_queue<int> queue;
    spawn(saying("other runs"));
    queue.join();
    say("main did not wait");
    yield();
}

SCENARIO(taken_is_not_done) {
    coir::joinable_queue<int> queue;
    queue.put(1);
    queue.get();
    say("empty", queue.empty(), "joined", queue.join(10ms));
    queue.task_done();
    say("joined", queue.join(10ms));
    try {
        queue.task_done();
    } catch (std::logic_error const&) {
        say("more done than put");
    }
}

SCENARIO(joined_again_after_more_was_put) {
    coir::joinable_queue<int> queue;
    auto joiner = [&](char const* name) {
        queue.join();
        say(name, "joined");
    };
    auto fiber = spawn([&] {
        for (int item : queue) {
            say("worker has", item);
            queue.task_done();
        }
    });
    for (int item = 0; item < 2; ++item) {
        queue.put(item);
        joinall(std::vector{spawn(joiner, "a"), spawn(joiner, "b")});
    }
    fiber.kill();
}
