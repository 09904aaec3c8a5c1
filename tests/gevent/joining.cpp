// Waiting for several: what comes back, in which order, and what ends the wait.
#include "tests/gevent/scenario.h"

#include <map>

using coir::iwait;
using coir::joinall;
using coir::sleep;
using coir::spawn;
using coir::wait;
using coir::yield;

namespace {

using named = coir::fiber<std::string>;

// Fibers that end when they are told to.
class stage {
public:
    explicit stage(std::initializer_list<char const*> names) {
        for (std::string name : names) {
            order_.push_back(name);
            end_[name]; // made now: the fiber keeps a reference to it
            fibers.emplace(name, spawn([this, name] { return play(name); }));
        }
        yield();
    }

    std::vector<named> all() const {
        std::vector<named> list;
        for (auto const& name : order_) list.push_back(fibers.at(name));
        return list;
    }
    std::string name(coir::waitable const& one) const {
        for (auto const& [name, fiber] : fibers)
            if (one == fiber) return name;
        return "a stranger";
    }
    std::vector<std::string> names(auto const& list) const {
        std::vector<std::string> all;
        for (auto const& each : list) all.push_back(name(each));
        return all;
    }
    void finish(auto... names) { (end_.at(names).set(), ...); }

    std::map<std::string, named> fibers;

private:
    std::string play(std::string const& name) {
        end_.at(name).wait();
        if (name.starts_with("bad")) throw my_error{name};
        return name;
    }

    std::vector<std::string> order_;
    std::map<std::string, coir::event> end_;
};

} // namespace

SCENARIO(joinall_returns_them_in_order_of_ending) {
    stage on{"a", "b", "c"};
    on.finish("c", "a", "b");
    say(on.names(joinall(on.all(), {})));
}

SCENARIO(joinall_of_ended_ones_keeps_the_order_of_the_list) {
    stage on{"a", "b", "c"};
    on.finish("c", "a", "b");
    yield();
    say(on.names(joinall(std::vector{on.fibers["b"], on.fibers["c"], on.fibers["a"]}, {})));
}

SCENARIO(joinall_until_a_count) {
    stage on{"a", "b", "c"};
    on.finish("b", "c");
    say(on.names(joinall(on.all(), {.count = 2})), "a ready", on.fibers["a"].ready());
    yield();
    on.finish("a");
    say(on.names(joinall(on.all(), {.count = 9})));
}

SCENARIO(joinall_until_it_is_late) {
    stage on{"a", "b", "c"};
    on.finish("b");
    say(on.names(joinall(on.all(), {.until = 100ms})));
    on.finish("a", "c");
    say(on.names(joinall(on.all(), {})));
}

SCENARIO(joinall_keeps_errors_to_itself) {
    stage on{"a", "bad"};
    on.finish("bad", "a");
    say(on.names(joinall(on.all(), {})));
}

SCENARIO(joinall_raises_the_first_error) {
    stage on{"a", "bad 1", "bad 2", "d"};
    on.finish("a", "bad 2", "bad 1");
    try {
        joinall(on.all(), {.raise_error = true});
    } catch (my_error const&) {
        say("threw", caught(), "d ready", on.fibers["d"].ready());
    }
    on.finish("d");
    on.fibers["d"].join();
}

SCENARIO(joinall_does_not_take_a_kill_for_an_error) {
    stage on{"a", "b"};
    on.fibers["a"].kill();
    on.finish("b");
    say(on.names(joinall(on.all(), {.raise_error = true})));
}

SCENARIO(joinall_of_nothing) {
    spawn(saying("other runs"));
    say(joinall(std::vector<named>(), {}).empty() ? "[]" : "something");
    say("main did not wait");
    yield();
}

SCENARIO(joinall_of_one_named_twice) {
    stage on{"a", "b"};
    on.finish("b", "a");
    say(on.names(joinall(std::vector{on.fibers["a"], on.fibers["b"], on.fibers["a"]}, {})));
}

SCENARIO(iwait_in_order_of_completion) {
    stage on{"a", "b", "c"};
    spawn([&] {
        for (auto name : {"b", "c", "a"}) {
            say("director ends", name);
            on.finish(name);
            yield();
            yield();
        }
    });
    for (auto const& each : iwait(on.all())) say("main has", on.name(each));
    say("main ends");
}

SCENARIO(iwait_misses_nothing_while_its_caller_waits) {
    stage on{"a", "b", "c"};
    on.finish("c");
    for (auto const& each : iwait(on.all())) {
        say("main has", on.name(each));
        if (each == on.fibers["c"]) {
            on.finish("b", "a");
            sleep(10ms);
            say("main slept");
        }
    }
}

SCENARIO(iwait_until_a_count) {
    stage on{"a", "b", "c"};
    on.finish("c", "b");
    for (auto const& each : iwait(on.all(), {.count = 2})) say("main has", on.name(each));
    say("a ready", on.fibers["a"].ready());
    on.finish("a");
    on.fibers["a"].join();
}

SCENARIO(iwait_until_it_is_late) {
    stage on{"a", "b"};
    on.finish("b");
    for (auto const& each : iwait(on.all(), {.until = 100ms})) say("main has", on.name(each));
    say("main ends");
    on.finish("a");
    on.fibers["a"].join();
}

SCENARIO(iwait_left_early) {
    stage on{"a", "b", "c"};
    on.finish("b", "c", "a");
    for (auto const& each : iwait(on.all())) {
        say("main has", on.name(each));
        break;
    }
    wait(on.all());
    say("all ready");
}

SCENARIO(wait_for_a_mixture) {
    stage on{"fiber"};
    coir::event event;
    coir::semaphore semaphore{0};
    coir::async_result<int> result;
    auto name = [&](coir::waitable const& one) {
        return one == event ? "event" : one == semaphore ? "semaphore" : one == result ? "result" : "fiber";
    };
    spawn([&] {
        semaphore.release();
        yield();
        result.set(1);
        yield();
        on.finish("fiber");
        yield();
        yield();
        event.set();
    });
    std::vector<std::string> names;
    for (auto const& each : wait({on.fibers["fiber"], event, semaphore, result})) names.push_back(name(each));
    say(names);
    say("the semaphore was not taken:", semaphore.value());
}

SCENARIO(wait_for_the_first_of_a_mixture) {
    stage on{"fiber"};
    coir::event event;
    event.set();
    auto ready = wait({on.fibers["fiber"], event}, {.count = 1});
    say(ready.size(), ready[0] == event ? "event" : "fiber");
    on.finish("fiber");
    on.fibers["fiber"].join();
}

SCENARIO(wait_for_all_that_is_left) {
    std::function<void(int)> chain = [&](int n) {
        say("chain", n);
        if (n < 3) spawn(chain, n + 1);
    };
    spawn(chain, 1);
    coir::spawn_later(10ms, saying("later"));
    say(wait());
}

SCENARIO(wait_for_all_that_is_left_until_it_is_late) {
    auto fiber = spawn([] { sleep(60s); });
    say(wait(10ms));
    fiber.kill();
    say(wait(60s));
}

SCENARIO(those_who_join_one_go_on_in_order) {
    stage on{"a"};
    auto joiner = [&](char const* name) {
        on.fibers["a"].join();
        say(name);
    };
    std::vector all{spawn(joiner, "first"), spawn(joiner, "second"), spawn(joiner, "third")};
    yield();
    on.finish("a");
    joinall(all);
}

SCENARIO(a_killed_joiner_makes_room_for_the_next) {
    stage on{"a"};
    auto joiner = [&](char const* name) {
        on.fibers["a"].join();
        say(name);
    };
    std::vector all{spawn(joiner, "first"), spawn(joiner, "second"), spawn(joiner, "third")};
    yield();
    all[1].kill();
    on.finish("a");
    say(joinall(all, {}).size());
}

SCENARIO(nobody_left_to_end_it) {
    coir::event event;
    auto fiber = spawn([&] { event.wait(); });
    try {
        fiber.join();
    } catch (coir::would_block_forever const&) {
        say("main caught", caught());
    }
    event.set();
    fiber.join();
    say("and goes on");
}

SCENARIO(two_that_join_each_other) {
    std::vector<coir::fiber<void>> fibers;
    auto joiner = [&](int name) {
        say(name, "joins");
        fibers[1 - name].join();
        say(name, "ends");
    };
    fibers = {spawn(joiner, 0), spawn(joiner, 1)};
    try {
        joinall(fibers);
    } catch (coir::would_block_forever const&) {
        say("main caught", caught());
    }
    fibers[0].kill();
    joinall(fibers);
}
