// Timeouts: what they interrupt, whose they are, and what they leave behind.
#include "tests/gevent/scenario.h"

using coir::deadline;
using coir::fiber_exit;
using coir::joinall;
using coir::sleep;
using coir::spawn;
using coir::timed_out;
using coir::timeout;
using coir::with_timeout;
using coir::yield;

SCENARIO(a_sleep_is_interrupted) {
    timeout limit{10ms};
    try {
        sleep(60s);
        say("this is never said");
    } catch (timed_out const& late) {
        say("caught", caught(), limit.raised(late));
    }
}

SCENARIO(in_time_nothing_happens) {
    {
        timeout limit{100ms};
        say("pending", limit.pending());
        yield();
    }
    sleep(150ms);
    say("undisturbed");
}

SCENARIO(the_inner_one_first) {
    timeout outer{60s};
    {
        timeout inner{10ms};
        try {
            sleep(60s);
        } catch (timed_out const& late) {
            say("inner", inner.raised(late), "outer", outer.raised(late));
        }
    }
    say("outer pending", outer.pending());
    yield();
    say("outer scope goes on");
}

SCENARIO(the_outer_one_first) {
    timeout outer{10ms};
    try {
        timeout inner{60s};
        try {
            sleep(60s);
        } catch (timed_out const& late) {
            say("inner scope: inner", inner.raised(late), "outer", outer.raised(late));
            inner.cancel();
            say("pending", inner.pending(), outer.pending());
            throw;
        }
        say("this is never said");
    } catch (timed_out const& late) {
        say("outer scope: outer", outer.raised(late));
    }
}

SCENARIO(each_of_three_in_its_turn) {
    timeout outer{400ms};
    try {
        timeout middle{200ms};
        try {
            timeout inner{10ms};
            try {
                sleep(60s);
            } catch (timed_out const& late) {
                say("inner", inner.raised(late));
            }
            sleep(60s);
        } catch (timed_out const& late) {
            say("middle", middle.raised(late));
        }
        sleep(60s);
    } catch (timed_out const& late) {
        say("outer", outer.raised(late));
    }
}

SCENARIO(an_error_of_ones_own) {
    try {
        timeout limit{10ms, made(my_error{"too slow"})};
        sleep(60s);
    } catch (my_error const&) {
        say("caught", caught());
    }
}

SCENARIO(own_errors_tell_nested_ones_apart) {
    try {
        timeout outer{10ms, made(my_error{"outer"})};
        try {
            timeout inner{60s, made(my_other_error{"inner"})};
            sleep(60s);
        } catch (my_other_error const&) {
            say("this is never said", caught());
        }
    } catch (my_error const&) {
        say("caught", caught());
    }
}

SCENARIO(once_caught_it_does_not_come_again) {
    timeout limit{10ms};
    try {
        sleep(60s);
    } catch (timed_out const&) {
        say("caught", caught());
    }
    sleep(20ms);
    say("slept in the same scope");
}

SCENARIO(with_timeout_and_its_default) {
    say("in time:", with_timeout(60s, [] { return 5; }));
    say("too late:", with_timeout(10ms, [] {
            sleep(60s);
            return 5;
        }));
}

SCENARIO(with_timeout_lets_others_pass) {
    timeout outer{10ms};
    try {
        say("this is never said", with_timeout(60s, [] { sleep(60s); }));
    } catch (timed_out const& late) {
        say("outer", outer.raised(late));
    }
}

SCENARIO(with_timeout_lets_errors_pass) {
    try {
        with_timeout(60s, [] { throw my_error{"inside"}; });
    } catch (my_error const&) {
        say("caught", caught());
    }
}

SCENARIO(get_has_its_own) {
    auto fiber = spawn([] { sleep(60s); });
    timeout outer{60s};
    try {
        fiber.get(10ms);
    } catch (timed_out const& late) {
        say("caught", caught(), "outer", outer.raised(late));
    }
    say("ready", fiber.ready());
    fiber.kill();
}

SCENARIO(join_has_its_own_and_lets_others_pass) {
    auto fiber = spawn([] { sleep(60s); });
    fiber.join(10ms);
    say("ready", fiber.ready());
    timeout outer{10ms};
    try {
        fiber.join(60s);
        say("this is never said");
    } catch (timed_out const& late) {
        say("outer", outer.raised(late));
    }
    fiber.kill();
}

SCENARIO(the_joined_fiber_is_not_concerned) {
    coir::event event;
    auto fiber = spawn([&] {
        event.wait();
        return "result";
    });
    try {
        timeout limit{10ms};
        fiber.get();
    } catch (timed_out const&) {
        say("main caught", caught());
    }
    event.set();
    say("got", fiber.get());
}

SCENARIO(spawned_inside_is_outside) {
    coir::fiber<void> fiber;
    try {
        timeout limit{10ms};
        fiber = spawn([] {
            sleep(30ms);
            say("worker is undisturbed");
        });
        sleep(60s);
    } catch (timed_out const&) {
        say("main caught", caught());
    }
    fiber.join();
}

SCENARIO(out_of_a_fiber_it_is_an_error_of_that_fiber) {
    auto fiber = spawn([] {
        timeout limit{10ms};
        sleep(60s);
    });
    try {
        fiber.get();
    } catch (timed_out const&) {
        say("get threw", caught());
    }
    say("successful", fiber.successful(), fiber.exception());
}

SCENARIO(two_fibers_each_their_own) {
    auto body = [](char const* name, deadline until) {
        timeout limit{until};
        try {
            sleep(60s);
        } catch (timed_out const& late) {
            say(name, limit.raised(late));
        }
    };
    joinall(std::vector{spawn(body, "slow", 100ms), spawn(body, "quick", 10ms)});
}

SCENARIO(a_kill_passes_through_and_ends_it) {
    auto fiber = spawn([] {
        try {
            timeout limit{100ms};
            try {
                sleep(60s);
            } catch (fiber_exit const&) {
                say("inside", caught());
                throw;
            }
        } catch (fiber_exit const&) {
            say("outside", caught());
        }
        sleep(150ms);
        say("undisturbed");
    });
    yield();
    fiber.kill();
}

SCENARIO(one_that_only_yields_is_reached_too) {
    timeout limit{10ms};
    try {
        for (;;) yield();
    } catch (timed_out const& late) {
        say("caught", limit.raised(late));
    }
}

SCENARIO(zero_is_raised_at_the_next_wait) {
    try {
        timeout limit{0ms};
        say("inside");
        sleep(60s);
        say("this is never said");
    } catch (timed_out const&) {
        say("caught", caught());
    }
}

SCENARIO(never_is_never) {
    {
        timeout limit{deadline::never()};
        say("pending", limit.pending());
        yield();
    }
    say("left");
}

SCENARIO(cancelled_and_started_again) {
    timeout limit{10ms};
    limit.cancel();
    say("pending", limit.pending());
    sleep(30ms);
    limit.restart(10ms);
    say("pending", limit.pending());
    try {
        sleep(60s);
    } catch (timed_out const& late) {
        say("caught", limit.raised(late));
    }
    say("pending", limit.pending());
}

SCENARIO(no_item_is_lost_in_a_timed_out_get) {
    coir::queue<char const*> queue;
    auto getter = [&](char const* name, deadline until) {
        try {
            timeout limit{until};
            say(name, "got", queue.get());
        } catch (timed_out const&) {
            say(name, caught());
        }
    };
    auto a = spawn(getter, "a", 10ms), b = spawn(getter, "b", deadline::never());
    a.join();
    queue.put("item");
    b.join();
    say("size", queue.size());
}

SCENARIO(every_kind_of_wait_is_interrupted) {
    coir::event event;
    coir::async_result<int> result;
    coir::semaphore semaphore{0};
    coir::queue<int> queue, full{1};
    full.put(0);
    auto forever = spawn([&] { event.wait(); });
    auto interrupted = [](char const* name, auto wait) {
        timeout limit{10ms};
        try {
            wait();
        } catch (timed_out const& late) {
            say(name, limit.raised(late));
        }
    };
    interrupted("event", [&] { event.wait(); });
    interrupted("result", [&] { result.get(); });
    interrupted("semaphore", [&] { semaphore.acquire(); });
    interrupted("get", [&] { queue.get(); });
    interrupted("put", [&] { full.put(1); });
    interrupted("peek", [&] { queue.peek(); });
    interrupted("join", [&] { forever.join(); });
    interrupted("get of a fiber", [&] { forever.get(); });
    interrupted("joinall", [&] { joinall(std::vector{forever}); });
    interrupted("wait", [&] { coir::wait({event, semaphore}); });
    say("value", semaphore.value(), "size", queue.size(), full.size());
    event.set();
    forever.join();
}
