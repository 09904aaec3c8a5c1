// Fibers and greenlets switched by hand, on one thread: who waits for whom, and where errors and kills go.
#include "tests/gevent/scenario.h"

using coir::fiber_exit;
using coir::greenlet;
using coir::joinall;
using coir::spawn;
using coir::yield;

namespace {

using text = char const*;

void waits_for_ever() {
    static coir::event event; // outlives those who wait
    event.wait();
    say("this is never said");
}

} // namespace

SCENARIO(a_greenlet_inside_a_fiber_waits_in_the_hub) {
    auto inner = [] {
        say("inner waits");
        yield();
        say("inner goes on");
        return "result";
    };
    auto fiber = spawn([&] { say("fiber has", text(greenlet(inner).switch_to())); });
    auto other = spawn(saying("other runs"));
    joinall(std::vector{fiber, other});
}

SCENARIO(its_error_comes_out_in_the_fiber) {
    auto inner = [] {
        yield();
        throw my_error{"inside"};
    };
    auto fiber = spawn([&] {
        try {
            greenlet(inner).switch_to();
        } catch (my_error const&) {
            say("fiber sees", caught());
            throw;
        }
    });
    fiber.join();
    say(fiber.exception());
}

SCENARIO(a_timeout_comes_out_of_the_switch) {
    greenlet inner(waits_for_ever);
    coir::timeout limit{10ms};
    try {
        inner.switch_to();
        say("this is never said");
    } catch (coir::timed_out const& late) {
        say("main", limit.raised(late), "inner dead", inner.dead());
    }
    say("main ends");
}

SCENARIO(a_kill_comes_out_of_the_switch) {
    auto fiber = spawn([] {
        greenlet inner(waits_for_ever);
        try {
            inner.switch_to();
        } catch (fiber_exit const&) {
            say("fiber sees", caught(), "inner dead", inner.dead());
            throw;
        }
    });
    yield();
    fiber.kill();
    say("main", fiber.ready());
}

SCENARIO(an_error_in_a_fiber_does_not_harm_the_others) {
    auto broken = [] {
        say("broken throws");
        throw my_error{"nobody asks"};
    };
    joinall(std::vector{spawn(broken), spawn(saying("other runs"))});
    say("main goes on");
}

SCENARIO(a_greenlet_waits_for_a_fiber) {
    auto inner = [] { return spawn([] { return "from the fiber"; }).get(); };
    say("main has", text(greenlet(inner).switch_to()));
}

SCENARIO(a_fiber_spawned_by_a_greenlet_is_the_hubs) {
    auto inner = [] {
        spawn(saying("fiber runs"));
        say("greenlet ends");
    };
    greenlet(inner).switch_to();
    say("main");
    yield();
}
