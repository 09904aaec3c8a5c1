// Groups and pools: who waits for a place, what map and imap bring in which order, and what errors do to them.
#include "tests/gevent/scenario.h"

using coir::group;
using coir::joinall;
using coir::pool;
using coir::sleep;
using coir::spawn;
using coir::yield;

namespace {

std::string work(std::string const& name, int turns = 1) {
    say(name, "begins");
    for (int i = 0; i < turns; ++i) yield();
    say(name, "ends");
    return name;
}

// To be spawned.
auto working(char const* name, int turns = 1) {
    return [=] { return work(name, turns); };
}

void sleeper(std::string const& name) {
    try {
        sleep(60s);
    } catch (...) {
        say(name, "sees", caught());
        throw;
    }
}

int square_or_fail(int n) {
    if (n == 2) throw my_error{"two"};
    return n * n;
}

std::vector<int> up_to(int end) {
    std::vector<int> all;
    for (int i = 0; i < end; ++i) all.push_back(i);
    return all;
}

} // namespace

SCENARIO(a_group_is_joined) {
    group group;
    group.spawn(working("a", 2));
    group.spawn(working("b", 1));
    say("size", group.size());
    group.join();
    say("size", group.size());
}

SCENARIO(an_empty_group_is_joined_at_once) {
    spawn(saying("other runs"));
    group().join();
    say("main did not wait");
    yield();
}

SCENARIO(a_group_forgets_its_ended) {
    group group;
    auto a = group.spawn(working("a"));
    auto b = group.spawn(working("b", 3));
    a.join();
    yield();
    say("size", group.size(), "a", group.contains(a), "b", group.contains(b));
    group.join();
}

SCENARIO(a_group_may_be_given_a_fiber) {
    group group;
    auto fiber = spawn(working("a"));
    group.add(fiber);
    say("size", group.size());
    auto other = group.spawn(working("b", 3));
    group.discard(other);
    say("size", group.size());
    group.join();
    say("main, b ready", other.ready());
    other.join();
}

SCENARIO(a_group_is_joined_until_it_is_late) {
    group group;
    auto fiber = group.spawn([] { sleep(60s); });
    group.join(10ms);
    say("ready", fiber.ready(), "size", group.size());
    group.kill();
    say("ready", fiber.ready(), "size", group.size());
}

SCENARIO(a_group_keeps_errors_to_itself_or_not) {
    group group;
    group.spawn(square_or_fail, 2);
    group.join();
    say("no error");
    group.spawn(square_or_fail, 2);
    group.spawn(working("other"));
    try {
        group.join({}, true);
    } catch (my_error const&) {
        say("threw", caught(), "size", group.size());
    }
}

SCENARIO(what_is_spawned_meanwhile_is_joined_too) {
    group group;
    group.spawn([&] {
        say("parent");
        group.spawn(working("child"));
    });
    group.join();
    say("size", group.size());
}

SCENARIO(a_group_is_killed) {
    group group;
    auto one = group.spawn(sleeper, "a");
    yield();
    auto fresh = group.spawn(saying("this is never said"));
    group.kill();
    say("size", group.size(), one.ready(), fresh.ready());
}

SCENARIO(a_group_is_killed_with_an_error) {
    group group;
    auto one = group.spawn(sleeper, "a");
    yield();
    group.kill({.error = made(my_error{"all of you"})});
    say(one.exception());
}

SCENARIO(what_is_spawned_by_the_dying_is_killed_too) {
    group group;
    group.spawn([&] {
        try {
            sleep(60s);
        } catch (coir::fiber_exit const&) {
            say("dying spawns");
            group.spawn(sleeper, "child");
            throw;
        }
    });
    yield();
    group.kill();
    say("size", group.size());
}

SCENARIO(a_full_pool_makes_the_spawner_wait) {
    pool pool{2};
    for (auto name : {"a", "b", "c"}) {
        say("main spawns", name);
        pool.spawn(working(name));
        say("free", pool.free_count(), "full", pool.full());
    }
    pool.join();
    say("free", pool.free_count());
}

SCENARIO(each_place_is_taken_again) {
    pool pool{2};
    for (auto [name, turns] : {std::pair{"a", 4}, {"b", 1}, {"c", 1}, {"d", 1}}) pool.spawn(working(name, turns));
    pool.join();
}

SCENARIO(spawners_wait_in_order_of_coming) {
    pool pool{1};
    auto spawner = [&](char const* name) {
        pool.spawn(working(name));
        say(name, "is spawned");
    };
    joinall(std::vector{spawn(spawner, "a"), spawn(spawner, "b"), spawn(spawner, "c")});
    pool.join();
}

SCENARIO(an_error_makes_room) {
    pool pool{1};
    pool.spawn(square_or_fail, 2);
    pool.spawn(working("next"));
    pool.join();
    say("free", pool.free_count());
}

SCENARIO(a_kill_makes_room) {
    pool pool{1};
    auto first = pool.spawn(sleeper, "first");
    yield();
    auto second = spawn([&] { pool.spawn(working("second")).join(); });
    yield();
    first.kill();
    second.join();
    say("free", pool.free_count());
}

SCENARIO(a_killed_spawner_takes_no_place) {
    pool pool{1};
    coir::event go_on;
    auto first = pool.spawn([&] { go_on.wait(); });
    auto waiting = spawn([&] { pool.spawn(saying("this is never said")); });
    yield();
    waiting.kill();
    go_on.set();
    first.join();
    yield();
    say("free", pool.free_count(), "size", pool.size());
}

SCENARIO(waiting_for_a_place) {
    pool pool{1};
    coir::event go_on;
    say(pool.wait_available());
    auto first = pool.spawn([&] { go_on.wait(); });
    say(pool.wait_available(10ms));
    go_on.set();
    say(pool.wait_available());
    first.join();
}

SCENARIO(map_keeps_the_order) {
    auto later_ones_are_quicker = [](int n) {
        for (int i = 0; i < 5 - n; ++i) yield();
        say("done", n);
        return n * n;
    };
    say(group().map(later_ones_are_quicker, up_to(5)));
}

SCENARIO(map_in_a_pool) {
    auto body = [](int n) {
        say("begins", n);
        yield();
        say("ends", n);
        return n;
    };
    say(pool(2).map(body, up_to(4)));
}

SCENARIO(map_throws_the_first_error_of_the_list) {
    auto body = [](int n) {
        yield();
        say("body", n);
        if (n % 2 == 1) throw my_error{std::to_string(n)};
        return n;
    };
    try {
        group().map(body, up_to(4));
    } catch (my_error const&) {
        say("threw", caught());
    }
}

SCENARIO(imap_brings_them_in_order) {
    group group;
    auto later_ones_are_quicker = [](int n) {
        for (int i = 0; i < 6 - 2 * n; ++i) yield();
        say("done", n);
        return n;
    };
    for (int each : group.imap(later_ones_are_quicker, up_to(3))) say("main has", each);
}

SCENARIO(imap_unordered_brings_them_as_they_come) {
    group group;
    auto later_ones_are_quicker = [](int n) {
        for (int i = 0; i < 6 - 2 * n; ++i) yield();
        return n;
    };
    std::vector<int> all;
    for (int each : group.imap_unordered(later_ones_are_quicker, up_to(3))) all.push_back(each);
    say(all);
}

SCENARIO(imap_throws_in_the_place_of_the_error) {
    group group;
    try {
        for (int each : group.imap(square_or_fail, std::vector{1, 2, 3})) say(each);
    } catch (my_error const&) {
        say("threw", caught());
    }
    group.join();
}

SCENARIO(imap_unordered_throws_when_it_comes) {
    group group;
    auto body = [](int n) {
        for (int i = 0; i < 5 - n; ++i) yield();
        return square_or_fail(n);
    };
    try {
        for (int each : group.imap_unordered(body, std::vector{1, 2, 3})) say(each);
    } catch (my_error const&) {
        say("threw", caught());
    }
    group.join();
}

SCENARIO(imap_in_a_pool_of_one) {
    pool pool{1};
    auto body = [](int n) {
        say("begins", n);
        yield();
        say("ends", n);
        return n;
    };
    std::vector<int> all;
    for (int each : pool.imap(body, up_to(3))) all.push_back(each);
    say(all);
}

SCENARIO(imap_holds_back_when_nobody_takes) {
    pool pool{2};
    auto body = [](int n) {
        say("body", n);
        return n;
    };
    auto results = pool.imap_unordered(body, up_to(6), 1);
    for (int i = 0; i < 4; ++i) yield();
    say("main begins to take");
    std::vector<int> taken;
    for (int each : results) taken.push_back(each);
    say(taken);
}

SCENARIO(apply_waits_for_the_result) {
    group group;
    say("main has", group.apply(working("a")));
    try {
        group.apply(square_or_fail, 2);
    } catch (my_error const&) {
        say("threw", caught());
    }
}

SCENARIO(apply_from_inside_runs_at_once) {
    pool pool{1};
    auto outer = [&] {
        say("outer");
        return pool.apply(working("inner"));
    };
    say("main has", pool.apply(outer));
}

SCENARIO(apply_async_does_not_wait) {
    group group;
    auto fiber = group.apply_async(working("a"));
    say("main goes on");
    say("main has", fiber.get());
}

SCENARIO(apply_async_in_a_full_pool_does_not_wait_either) {
    pool pool{1};
    pool.spawn(working("first"));
    auto fiber = pool.apply_async(working("second"));
    say("main goes on");
    say("main has", fiber.get());
}

SCENARIO(a_pool_is_killed_and_used_again) {
    pool pool{2};
    std::vector killed{pool.spawn(sleeper, "a"), pool.spawn(sleeper, "b")};
    yield();
    coir::killall(killed);
    pool.join();
    say("free", pool.free_count());
    pool.spawn(working("c")).join();
}
