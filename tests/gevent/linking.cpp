// Links: who is told of a fiber's end, in which order, and in whose turn.
#include "tests/gevent/scenario.h"

using coir::joinall;
using coir::sleep;
using coir::spawn;
using coir::yield;

namespace {

[[noreturn]] int fail() { throw my_error{"broken"}; }

// A callback that says it.
auto told(auto... words) {
    return [words...](auto const&) { say(words...); };
}

} // namespace

SCENARIO(links_are_called_in_order_of_linking) {
    auto fiber = spawn(saying("fiber ends"));
    for (auto name : {"first", "second", "third"}) fiber.link([=](auto const& of) { say(name, of.ready()); });
    fiber.join();
    say("main");
}

SCENARIO(joins_and_links_share_one_order) {
    coir::event end;
    auto fiber = spawn([&] { end.wait(); });
    auto joiner = [&](char const* name) {
        fiber.join();
        say(name);
    };
    fiber.link(told("link 1"));
    std::vector all{fiber, spawn(joiner, "join 2")};
    yield();
    fiber.link(told("link 3"));
    all.push_back(spawn(joiner, "join 4"));
    yield();
    fiber.link(told("link 5"));
    end.set();
    joinall(all);
    say("main");
}

SCENARIO(links_wait_for_those_who_were_ready_at_the_end) {
    auto fiber = spawn([] {
        say("fiber ends");
        spawn(saying("spawned by the fiber"));
    });
    fiber.link(told("link"));
    spawn(saying("spawned before the end"));
    yield();
    yield();
}

SCENARIO(linked_after_the_end) {
    auto fiber = spawn(saying("fiber ends"));
    fiber.join();
    fiber.link([](auto const& of) { say("link", of.ready()); });
    say("main goes on");
    yield();
    say("main");
    yield();
}

SCENARIO(each_link_is_called_once) {
    auto fiber = spawn(saying("fiber ends"));
    fiber.link(told("linked before the end"));
    fiber.join();
    fiber.link(told("linked after the end"));
    yield();
    yield();
    fiber.kill();
    yield();
}

SCENARIO(the_same_callback_twice_is_called_twice) {
    auto callback = told("called");
    auto fiber = spawn(saying("fiber ends"));
    fiber.link(callback);
    fiber.link(callback);
    fiber.join();
}

SCENARIO(for_value_or_exception_only) {
    auto link = [](char const* name, auto const& fiber) {
        fiber.link_value(told(name, "value"));
        fiber.link_exception([=](auto const& of) { say(name, "exception", of.exception()); });
        fiber.link(told(name, "either"));
    };
    auto good = spawn([] { return 1; }), bad = spawn(fail);
    auto killed = spawn([] { sleep(60s); });
    link("good", good);
    link("bad", bad);
    link("killed", killed);
    yield();
    killed.kill();
    yield();
}

SCENARIO(unlinked_is_not_called) {
    auto fiber = spawn(saying("fiber ends"));
    fiber.rawlink(told("first"));
    auto const second = fiber.rawlink(told("this is never said"));
    fiber.rawlink(told("third"));
    fiber.unlink(second);
    fiber.join();
}

SCENARIO(unlinked_between_the_end_and_the_call) {
    auto fiber = spawn(saying("fiber ends"));
    fiber.join();
    auto const link = fiber.rawlink(told("this is never said"));
    fiber.unlink(link);
    yield();
    say("main");
}

SCENARIO(a_link_may_unlink_a_later_one) {
    coir::link_id second;
    auto fiber = spawn(saying("fiber ends"));
    fiber.rawlink([&](auto const& of) {
        say("first");
        of.unlink(second);
    });
    second = fiber.rawlink(told("this is never said"));
    fiber.rawlink(told("third"));
    fiber.join();
}

SCENARIO(a_link_may_wait) {
    coir::event go_on;
    auto fiber = spawn(saying("fiber ends"));
    fiber.link([&](auto const&) {
        say("first waits");
        go_on.wait();
        say("first goes on");
    });
    fiber.link(told("second"));
    fiber.join();
    say("main");
    go_on.set();
    yield();
}

SCENARIO(a_link_that_throws_stops_no_other) {
    auto fiber = spawn(saying("fiber ends"));
    fiber.link([](auto const&) {
        say("first");
        fail();
    });
    fiber.link(told("second"));
    fiber.join();
    say("main");
}

SCENARIO(a_link_may_link) {
    auto fiber = spawn(saying("fiber ends"));
    fiber.link([](auto const& of) {
        say("first");
        of.link(told("linked by the first"));
    });
    fiber.link(told("second"));
    fiber.join();
    say("main");
    yield();
}

SCENARIO(a_link_fetches_the_result) {
    auto fetch = [](auto const& of) {
        try {
            say("link got", of.get());
        } catch (my_error const&) {
            say("link sees", caught());
        }
    };
    for (std::function<int()> const& body : {std::function<int()>([] { return 6; }), std::function<int()>(fail)}) {
        auto fiber = spawn(body);
        fiber.link(fetch);
        fiber.join();
    }
    yield();
}

SCENARIO(of_one_killed_before_its_first_run) {
    auto fiber = spawn(saying("this is never said"));
    fiber.link([](auto const& of) { say("link", of.successful()); });
    fiber.link_value(told("value"));
    fiber.link_exception(told("exception"));
    fiber.kill();
    say("main goes on");
    yield();
}

SCENARIO(a_result_is_a_target) {
    coir::async_result<int> result, failure;
    spawn([] { return 9; }).link(std::ref(result));
    spawn(fail).link(std::ref(failure));
    say("got", result.get());
    try {
        failure.get();
    } catch (my_error const&) {
        say("get threw", caught());
    }
    say(result.successful(), failure.successful(), failure.ready(), failure.exception());
}

SCENARIO(raw_and_other_links_share_one_order) {
    auto fiber = spawn(saying("fiber ends"));
    fiber.link(told("link 1"));
    fiber.rawlink(told("raw 2"));
    fiber.link(told("link 3"));
    fiber.rawlink(told("raw 4"));
    fiber.join();
}

SCENARIO(a_chain_of_links) {
    coir::event done;
    std::function<void(coir::fiber<void> const&, int)> link = [&](auto const&, int n) {
        say("link", n);
        if (n < 3)
            spawn(saying("fiber", n)).link([&link, n](auto const& of) { link(of, n + 1); });
        else
            done.set();
    };
    spawn(saying("fiber", 0)).link([&](auto const& of) { link(of, 1); });
    done.wait();
    say("main");
}
