// Spawning: who runs when, and what a fiber looks like before, during and after.
#include "tests/gevent/scenario.h"

using coir::joinall;
using coir::spawn;
using coir::spawn_later;
using coir::yield;

SCENARIO(spawned_ones_run_when_the_caller_waits) {
    auto a = spawn(saying("a runs"));
    auto b = spawn(saying("b runs"));
    say("main goes on");
    joinall(std::vector{a, b});
    say("main ends");
}

SCENARIO(yielding_takes_turns) {
    std::vector<coir::fiber<void>> all;
    for (auto name : {"a", "b", "c"})
        all.push_back(spawn([=] {
            for (int i = 0; i < 3; ++i) {
                say(name, i);
                yield();
            }
        }));
    joinall(all);
}

SCENARIO(grandchildren_run_after_all_children) {
    auto child = [](char const* name) {
        say(name, "runs");
        spawn(saying(name, "child runs"));
        say(name, "ends");
    };
    spawn(child, "a");
    spawn(child, "b");
    yield();
    say("main was asleep for one turn");
    yield();
    say("and another");
}

SCENARIO(main_keeps_its_place_in_the_queue) {
    spawn(saying("before"));
    auto last = spawn([] { spawn(saying("spawned meanwhile")); });
    yield();
    say("main", last.ready());
    yield();
}

SCENARIO(woken_and_spawned_share_one_queue) {
    coir::event first, second;
    auto waiter = [](char const* name, coir::event& event) {
        event.wait();
        say(name, "woken");
    };
    std::vector all{spawn(waiter, "a", std::ref(first)), spawn(waiter, "b", std::ref(second))};
    yield();
    all.push_back(spawn(saying("c spawned")));
    second.set();
    all.push_back(spawn(saying("d spawned")));
    first.set();
    all.push_back(spawn(saying("e spawned")));
    joinall(all);
}

SCENARIO(made_is_not_started) {
    coir::fiber made{saying("it runs")};
    yield();
    say("started", made.started(), "ready", made.ready());
    made.start();
    say("started", made.started(), "ready", made.ready());
    made.join();
    say("started", made.started(), "ready", made.ready());
}

SCENARIO(started_twice_runs_once) {
    coir::fiber made{saying("it runs")};
    made.start();
    made.start();
    yield();
    yield();
    made.start();
    yield();
    say("ready", made.ready());
}

SCENARIO(start_after_start_later_does_nothing) {
    coir::fiber made{saying("it runs")};
    made.start_later(100ms);
    say("started", made.started());
    made.start();
    yield();
    say("ready", made.ready());
    made.join();
    say("ready", made.ready());
}

SCENARIO(spawn_later_runs_in_order_of_time) {
    std::vector all{spawn_later(150ms, saying("after 150")), spawn_later(50ms, saying("after 50")),
                    spawn_later(100ms, saying("after 100"))};
    say("main waits");
    joinall(all);
}

SCENARIO(spawn_later_zero_lets_the_ready_ones_first) {
    auto later = spawn_later(0ms, saying("later"));
    auto now = spawn(saying("now"));
    joinall(std::vector{later, now});
}

SCENARIO(a_life_and_its_states) {
    coir::fiber<int> fiber;
    auto body = [&] {
        say("inside: started", fiber.started(), "ready", fiber.ready(), "dead", fiber.dead());
        yield();
        return 7;
    };
    auto states = [&] {
        say("started", fiber.started(), "ready", fiber.ready(), "dead", fiber.dead(), "successful", fiber.successful(),
            "value", fiber.value(), "exception", fiber.exception());
    };
    fiber = coir::fiber{body};
    states();
    fiber.start();
    states();
    yield();
    states();
    fiber.join();
    states();
}

SCENARIO(a_thrown_error_is_kept) {
    auto fiber = spawn([]() -> int { throw my_error{"broken"}; });
    fiber.join();
    say("join does not throw");
    for (int i = 0; i < 2; ++i) {
        try {
            fiber.get();
        } catch (my_error const&) {
            say("get threw", caught());
        }
    }
    say("ready", fiber.ready(), "successful", fiber.successful(), "value", fiber.value(), "exception",
        fiber.exception());
}

SCENARIO(get_of_an_ended_one_does_not_wait) {
    auto done = spawn([] { return 5; });
    done.join();
    spawn(saying("other runs"));
    say("got", done.get());
    done.join();
    say("joined");
    yield();
}

SCENARIO(a_chain_of_joins_unwinds_from_its_end) {
    using named = coir::fiber<std::string>;
    auto link = [](char const* name, named after) -> std::string {
        say(name, "begins");
        if (after) say(name, "got", after.get());
        return name;
    };
    auto a = spawn(link, "a", named());
    auto b = spawn(link, "b", a);
    auto c = spawn(link, "c", b);
    say("main got", c.get());
}

SCENARIO(an_error_travels_along_the_joins) {
    auto bottom = spawn([] {
        yield();
        throw my_error{"at the bottom"};
    });
    auto top = spawn([&] {
        try {
            bottom.get();
        } catch (my_error const&) {
            say("middle sees", caught());
            throw;
        }
    });
    try {
        top.get();
    } catch (my_error const&) {
        say("main sees", caught());
    }
}

SCENARIO(spawning_in_a_fiber_does_not_switch) {
    auto parent = [] {
        say("parent before");
        auto one = spawn(saying("child runs"));
        say("parent after");
        one.join();
        say("parent joined");
    };
    spawn(parent).join();
}

SCENARIO(idle_waits_for_all_who_are_ready) {
    spawn([] {
        for (int i = 0; i < 3; ++i) {
            say("busy", i);
            yield();
        }
    });
    coir::idle();
    say("main, at last");
}
