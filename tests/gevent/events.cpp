// Events and results: who wakes, in which order, and what they are told.
#include "tests/gevent/scenario.h"

using coir::event;
using coir::fiber_exit;
using coir::joinall;
using coir::sleep;
using coir::spawn;
using coir::timed_out;
using coir::yield;

namespace {

// To be spawned: says whether the event was set, when it has waited for it.
auto waiting_for(event& what, char const* name) {
    return [&what, name] { say(name, what.wait()); };
}

} // namespace

SCENARIO(waiters_wake_in_order_of_waiting) {
    event event;
    std::vector<coir::fiber<void>> all;
    for (auto name : {"a", "b", "c"}) all.push_back(spawn(waiting_for(event, name)));
    yield();
    event.set();
    say("main goes on");
    joinall(all);
}

SCENARIO(set_and_cleared_at_once_wakes_all_the_same) {
    event event;
    std::vector all{spawn(waiting_for(event, "a")), spawn(waiting_for(event, "b"))};
    yield();
    event.set();
    event.clear();
    say("set", event.is_set());
    joinall(all);
    say("set", event.is_set());
}

SCENARIO(set_twice_wakes_once) {
    event event;
    auto fiber = spawn([&] {
        say("first", event.wait());
        event.clear();
        say("second", event.wait(10ms));
    });
    yield();
    event.set();
    event.set();
    fiber.join();
}

SCENARIO(wait_for_a_set_one_does_not_switch) {
    event event;
    event.set();
    spawn(saying("other runs"));
    say("main", event.wait());
    yield();
}

SCENARIO(wait_until_it_is_late) {
    event event;
    bool const in_time = event.wait(10ms);
    say(in_time, event.is_set());
    event.set();
    say(event.wait(10ms));
}

SCENARIO(one_that_waits_again_lets_the_others_first) {
    event event;
    auto waiter = [&](char const* name) {
        event.wait();
        say(name);
        event.wait();
        say(name, "again");
    };
    std::vector all{spawn(waiter, "a"), spawn(waiter, "b")};
    yield();
    event.set();
    joinall(all);
}

SCENARIO(ping_pong) {
    event ping, pong;
    auto player = [](char const* name, event& mine, event& other) {
        for (int i = 0; i < 3; ++i) {
            mine.wait();
            mine.clear();
            say(name, i);
            other.set();
        }
    };
    std::vector all{spawn(player, "ping", std::ref(ping), std::ref(pong)),
                    spawn(player, "pong", std::ref(pong), std::ref(ping))};
    yield();
    ping.set();
    joinall(all);
}

SCENARIO(a_killed_waiter_is_passed_over) {
    event event;
    std::vector<coir::fiber<void>> all;
    for (auto name : {"a", "b", "c"}) all.push_back(spawn(waiting_for(event, name)));
    yield();
    all[1].kill();
    event.set();
    joinall(all);
}

SCENARIO(a_waiter_kills_the_next) {
    event event;
    std::vector<coir::fiber<void>> all;
    auto first = [&] {
        event.wait();
        say("first kills second");
        all[1].kill();
        say("first ends");
    };
    auto second = [&] {
        try {
            event.wait();
            say("second is woken");
            sleep(60s);
        } catch (fiber_exit const&) {
            say("second sees", caught());
            throw;
        }
    };
    all = {spawn(first), spawn(second), spawn(waiting_for(event, "third"))};
    yield();
    event.set();
    joinall(all);
}

SCENARIO(main_has_its_place_among_the_waiters) {
    event event;
    auto before = spawn(waiting_for(event, "before"));
    yield();
    auto after = spawn(waiting_for(event, "after"));
    auto set = spawn([&] { event.set(); });
    waiting_for(event, "main")();
    joinall(std::vector{before, after, set});
}

SCENARIO(raw_links_are_called_in_the_hub) {
    event event;
    event.rawlink([](auto& of) { say("callback", of.is_set()); });
    yield();
    event.set();
    say("main goes on");
    yield();
    event.clear();
    event.set();
    yield();
    say("called once");
}

SCENARIO(raw_links_and_waiters_share_one_order) {
    event event;
    auto first = spawn(waiting_for(event, "first"));
    yield();
    event.rawlink([](auto&) { say("callback"); });
    auto last = spawn(waiting_for(event, "last"));
    yield();
    event.set();
    joinall(std::vector{first, last});
}

SCENARIO(unlinked_is_not_called) {
    event event;
    auto callback = [](auto&) { say("this is never said"); };
    auto link = event.rawlink(callback);
    event.unlink(link);
    event.set();
    yield();
    link = event.rawlink(callback);
    event.unlink(link);
    yield();
    say("main");
}

SCENARIO(linked_to_a_set_one) {
    event event;
    event.set();
    yield();
    event.rawlink([](auto& of) { say("callback", of.is_set()); });
    say("main goes on");
    yield();
}

SCENARIO(a_result_is_handed_to_all) {
    coir::async_result<int> result;
    auto getter = [&](char const* name) { say(name, result.get()); };
    std::vector all{spawn(getter, "a"), spawn(getter, "b")};
    yield();
    say("ready", result.ready(), "value", result.value());
    result.set(4);
    say("ready", result.ready(), "value", result.value());
    joinall(all);
    say("main", result.get());
}

SCENARIO(an_error_is_thrown_at_all) {
    coir::async_result<int> result;
    auto getter = [&](char const* name) {
        try {
            result.get();
        } catch (my_error const&) {
            say(name, "sees", caught());
        }
    };
    std::vector all{spawn(getter, "a"), spawn(getter, "b")};
    yield();
    result.set_exception(made(my_error{"sorry"}));
    joinall(all);
    getter("main");
    say("successful", result.successful(), "value", result.value(), "exception", result.exception());
}

SCENARIO(wait_does_not_throw) {
    coir::async_result<int> result;
    say("late", result.wait(10ms));
    spawn([&] { result.set_exception(made(my_error{"sorry"})); });
    result.wait();
    say("ready", result.ready(), "successful", result.successful());
}

SCENARIO(get_until_it_is_late) {
    coir::async_result<int> result;
    try {
        result.get(10ms);
    } catch (timed_out const&) {
        say("get threw", caught());
    }
    result.set(1);
    say(result.get(10ms));
}

SCENARIO(one_woken_by_a_result_is_killed_before_it_runs) {
    coir::async_result<int> result;
    auto fiber = spawn([&] {
        say("getter has", result.get());
        try {
            sleep(60s);
        } catch (fiber_exit const&) {
            say("getter sees", caught());
            throw;
        }
    });
    yield();
    result.set(8);
    fiber.kill();
    say("successful", fiber.successful());
}

SCENARIO(one_woken_in_time_may_be_timed_out_later) {
    event event;
    auto fiber = spawn([&] {
        try {
            coir::timeout limit{100ms};
            say("event", event.wait());
            event.clear();
            event.wait();
        } catch (timed_out const&) {
            say("waiter", caught());
        }
    });
    yield();
    event.set();
    fiber.join();
}
