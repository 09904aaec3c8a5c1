// Killing: where it is raised, who goes on when, and what remains of the killed.
#include "tests/gevent/scenario.h"

using coir::fiber_exit;
using coir::joinall;
using coir::killall;
using coir::sleep;
using coir::spawn;
using coir::yield;

namespace {

// Waits for ever and says what ended it.
void sleeper(std::string const& name) {
    say(name, "sleeps");
    try {
        sleep(60s);
    } catch (...) {
        say(name, "sees", caught());
        throw;
    }
}

void states(char const* name, coir::any_fiber const& fiber) {
    say(name, "ready", fiber.ready(), "successful", fiber.successful(), "exception", fiber.exception());
}

} // namespace

SCENARIO(raised_where_it_waits) {
    auto fiber = spawn(sleeper, "a");
    yield();
    say("main kills");
    fiber.kill();
    say("main goes on");
    states("a", fiber);
}

SCENARIO(before_its_first_run_it_never_runs) {
    auto fiber = spawn(saying("this is never said"));
    say("started", fiber.started());
    fiber.kill();
    say("started", fiber.started());
    states("fiber", fiber);
    yield();
    yield();
}

SCENARIO(before_its_first_run_the_killer_does_not_wait) {
    auto fiber = spawn(saying("this is never said"));
    spawn(saying("other runs"));
    fiber.kill();
    say("main goes on");
    yield();
}

SCENARIO(killed_before_start_cannot_be_started) {
    coir::fiber fiber{saying("this is never said")};
    fiber.kill();
    states("fiber", fiber);
    fiber.start();
    yield();
    say("started", fiber.started());
    fiber.join();
    say("joined");
}

SCENARIO(before_its_first_run_with_an_error) {
    auto fiber = spawn(saying("this is never said"));
    fiber.kill({.error = made(my_error{"why"})});
    states("fiber", fiber);
    try {
        fiber.get();
    } catch (my_error const&) {
        say("get threw", caught());
    }
    yield();
}

SCENARIO(without_blocking_it_is_raised_later) {
    auto fiber = spawn(sleeper, "a");
    yield();
    fiber.kill({.block = false});
    say("main goes on");
    states("a", fiber);
    fiber.join();
    states("a", fiber);
}

SCENARIO(without_blocking_it_has_its_place_in_the_queue) {
    auto fiber = spawn(sleeper, "a");
    yield();
    spawn(saying("b runs"));
    fiber.kill({.block = false});
    spawn(saying("c runs"));
    yield();
    say("main");
}

SCENARIO(the_killer_goes_on_before_those_spawned_meanwhile) {
    auto fiber = spawn(sleeper, "a");
    yield();
    spawn([] { spawn(saying("grandchild runs")); });
    fiber.kill();
    say("main");
    yield();
}

SCENARIO(with_an_error_of_ones_own) {
    auto fiber = spawn(sleeper, "a");
    yield();
    fiber.kill({.error = made(my_error{"enough"})});
    states("a", fiber);
    try {
        fiber.get();
    } catch (my_error const&) {
        say("get threw", caught());
    }
}

SCENARIO(swallowed_the_killer_waits_for_the_end) {
    auto fiber = spawn([] {
        try {
            sleep(60s);
        } catch (fiber_exit const&) {
            say("stubborn swallows", caught());
        }
        for (int i = 0; i < 3; ++i) {
            say("stubborn goes on", i);
            yield();
        }
        return "done";
    });
    yield();
    fiber.kill();
    say("main", *fiber.value());
    states("stubborn", fiber);
}

SCENARIO(swallowed_longer_than_the_killer_waits) {
    coir::event go_on;
    auto fiber = spawn([&] {
        try {
            sleep(60s);
        } catch (fiber_exit const&) {
            say("stubborn swallows");
        }
        go_on.wait();
        say("stubborn ends");
    });
    yield();
    fiber.kill({.until = 100ms});
    states("stubborn", fiber);
    go_on.set();
    fiber.join();
    states("stubborn", fiber);
}

SCENARIO(a_ready_one_runs_on_to_its_next_wait) {
    auto fiber = spawn([] {
        try {
            for (int i = 0; i < 3; ++i) {
                say("busy", i);
                yield();
            }
            say("busy ends");
        } catch (fiber_exit const&) {
            say("busy sees", caught());
            throw;
        }
    });
    yield();
    fiber.kill();
    say("main");
    states("busy", fiber);
}

SCENARIO(one_that_is_woken_already_gets_its_result_first) {
    coir::event event;
    auto fiber = spawn([&] {
        try {
            say("waiter: event", event.wait());
            event.clear();
            event.wait();
            say("this is never said");
        } catch (fiber_exit const&) {
            say("waiter sees", caught());
            throw;
        }
    });
    yield();
    event.set();
    fiber.kill();
    states("waiter", fiber);
}

SCENARIO(one_that_ends_in_the_meantime_is_not_harmed) {
    coir::event event;
    auto fiber = spawn([&] {
        event.wait();
        return "result";
    });
    yield();
    event.set();
    fiber.kill();
    states("waiter", fiber);
    say("got", fiber.get());
}

SCENARIO(one_that_joins_leaves_the_joined_alone) {
    coir::event release;
    auto work = spawn([&] {
        release.wait();
        say("worker ends");
    });
    auto join = spawn([&] {
        try {
            work.join();
        } catch (fiber_exit const&) {
            say("joiner sees", caught());
            throw;
        }
    });
    yield();
    join.kill();
    states("worker", work);
    release.set();
    work.join();
    states("worker", work);
}

SCENARIO(again_while_it_cleans_up) {
    auto fiber = spawn([] {
        try {
            sleep(60s);
        } catch (fiber_exit const&) {
            say("first", caught());
            try {
                sleep(60s);
            } catch (my_error const&) {
                say("second", caught());
            }
            say("cleaned up");
            throw;
        }
    });
    yield();
    fiber.kill({.block = false});
    fiber.kill({.error = made(my_error{"hurry"}), .block = false});
    fiber.join();
    states("careful", fiber);
}

SCENARIO(an_ended_one_is_left_as_it_is) {
    auto fiber = spawn([] { return 3; });
    fiber.join();
    spawn(saying("other runs"));
    fiber.kill();
    fiber.kill({.error = made(my_error{"too late"})});
    say("main did not wait");
    states("fiber", fiber);
    say("got", fiber.get());
    yield();
}

SCENARIO(a_killer_may_be_killed_while_it_waits) {
    coir::event release;
    auto victim = spawn([&] {
        try {
            sleep(60s);
        } catch (fiber_exit const&) {
            say("stubborn swallows");
        }
        release.wait();
        say("stubborn ends");
    });
    yield();
    auto murder = spawn([&] {
        try {
            victim.kill();
        } catch (fiber_exit const&) {
            say("killer sees", caught());
            throw;
        }
    });
    yield();
    yield();
    murder.kill();
    states("killer", murder);
    release.set();
    victim.join();
    states("stubborn", victim);
}

SCENARIO(itself) {
    coir::fiber<void> fiber;
    fiber = spawn([&] {
        try {
            say("kills itself");
            fiber.kill();
            say("this is never said");
        } catch (fiber_exit const&) {
            say("sees", caught());
            throw;
        }
    });
    fiber.join();
    states("fiber", fiber);
}

SCENARIO(itself_without_blocking) {
    coir::fiber<void> fiber;
    fiber = spawn([&] {
        try {
            fiber.kill({.block = false});
            say("goes on to its next wait");
            sleep(60s);
        } catch (fiber_exit const&) {
            say("sees", caught());
            throw;
        }
    });
    fiber.join();
    states("fiber", fiber);
}

SCENARIO(cleaning_up_may_fail) {
    auto fiber = spawn([] {
        try {
            sleep(60s);
        } catch (fiber_exit const&) {
            throw my_error{"while cleaning up"};
        }
    });
    yield();
    fiber.kill();
    states("careless", fiber);
}

SCENARIO(all_in_the_order_of_the_list) {
    auto a = spawn(sleeper, "a"), b = spawn(sleeper, "b"), c = spawn(sleeper, "c");
    yield();
    killall(std::vector{c, a, b});
    say("main");
    states("a", a);
}

SCENARIO(all_with_an_error) {
    auto a = spawn(sleeper, "a"), b = spawn(sleeper, "b");
    yield();
    killall(std::vector{a, b}, {.error = made(my_error{"everyone"})});
    states("a", a);
    states("b", b);
}

SCENARIO(all_some_of_them_unstarted_or_ended) {
    auto ended = spawn(saying("ended"));
    auto running = spawn(sleeper, "running");
    yield();
    auto fresh = spawn(saying("this is never said"));
    coir::fiber made{saying("nor this")};
    killall(std::vector{fresh, running, made, ended});
    states("fresh", fresh);
    states("running", running);
    states("made", made);
    states("ended", ended);
    yield();
}

SCENARIO(all_without_blocking) {
    std::vector all{spawn(sleeper, "a"), spawn(sleeper, "b")};
    yield();
    killall(all, {.block = false});
    say("main goes on");
    states("a", all[0]);
    joinall(all);
    states("a", all[0]);
}

SCENARIO(all_waits_for_those_that_swallow_it) {
    auto a = spawn([] {
        try {
            sleep(60s);
        } catch (fiber_exit const&) {
            say("a swallows");
        }
        yield();
        yield();
        say("a ends");
    });
    auto b = spawn(sleeper, "b");
    yield();
    killall(std::vector{a, b});
    say("main", a.ready(), b.ready());
}

SCENARIO(all_by_one_of_them) {
    std::vector<coir::fiber<void>> all;
    auto killer = [&] {
        try {
            killall(all);
            say("this is never said");
        } catch (fiber_exit const&) {
            say("killer sees", caught());
            throw;
        }
    };
    all = {spawn(sleeper, "a"), spawn(killer), spawn(sleeper, "c")};
    joinall(all);
    states("killer", all[1]);
    states("c", all[2]);
}

SCENARIO(the_error_may_be_replaced) {
    auto fiber = spawn([] {
        try {
            sleep(60s);
        } catch (my_error const& error) {
            throw my_other_error{"instead of " + error.text};
        }
    });
    yield();
    fiber.kill({.error = made(my_error{"x"})});
    states("fiber", fiber);
}
