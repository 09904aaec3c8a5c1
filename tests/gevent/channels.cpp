// Channels: putter and getter meet.
#include "tests/gevent/scenario.h"

using coir::channel;
using coir::joinall;
using coir::spawn;
using coir::yield;

namespace {

// To be spawned.
auto getter(auto& channel, char const* name) {
    return [&channel, name] { say(name, "got", channel.get()); };
}
auto putter(auto& channel, char const* name, auto... items) {
    return [&channel, name, items...] {
        auto put = [&](auto const& item) {
            channel.put(item);
            say(name, "put", item);
        };
        (put(items), ...);
    };
}

using fibers = std::vector<coir::fiber<void>>;

} // namespace

SCENARIO(the_getter_comes_first) {
    channel<int> channel;
    joinall(fibers{spawn(getter(channel, "getter")), spawn(putter(channel, "putter", 1))});
}

SCENARIO(the_putter_comes_first) {
    channel<int> channel;
    joinall(fibers{spawn(putter(channel, "putter", 1)), spawn(getter(channel, "getter"))});
}

SCENARIO(a_put_without_getter_waits) {
    channel<int> channel;
    auto fiber = spawn(putter(channel, "putter", 1));
    yield();
    say("balance", channel.balance(), "putter ready", fiber.ready());
    say("main got", channel.get());
    fiber.join();
    say("balance", channel.balance());
}

SCENARIO(getters_are_served_in_order_of_coming) {
    channel<int> channel;
    fibers all;
    for (auto name : {"a", "b", "c"}) all.push_back(spawn(getter(channel, name)));
    yield();
    say("balance", channel.balance());
    for (int item = 0; item < 3; ++item) {
        channel.put(item);
        say("main put", item);
    }
    joinall(all);
}

SCENARIO(putters_are_served_in_order_of_coming) {
    channel<char const*> channel;
    fibers all;
    for (auto name : {"a", "b", "c"}) all.push_back(spawn(putter(channel, name, name)));
    yield();
    say("balance", channel.balance());
    for (int i = 0; i < 3; ++i) say("main got", channel.get());
    joinall(all);
}

SCENARIO(one_producer_one_consumer) {
    channel<int> channel;
    auto consumer = [&] {
        for (int i = 0; i < 4; ++i) getter(channel, "consumer")();
    };
    joinall(fibers{spawn(putter(channel, "producer", 0, 1, 2, 3)), spawn(consumer)});
}

SCENARIO(put_until_it_is_late) {
    channel<int> channel;
    bool const in_time = channel.put(1, 10ms);
    say(in_time, "balance", channel.balance());
    auto fiber = spawn(getter(channel, "getter"));
    yield();
    say("getter ready", fiber.ready());
    say(channel.put(2, 60s));
    fiber.join();
}

SCENARIO(get_until_it_is_late) {
    channel<int> channel;
    auto const in_time = channel.get(10ms);
    say(in_time, "balance", channel.balance());
    auto fiber = spawn(putter(channel, "putter", 1));
    yield();
    say("putter ready", fiber.ready());
    say(channel.get(60s));
    fiber.join();
}

SCENARIO(without_waiting) {
    channel<int> channel;
    say(channel.try_put(1));
    say(channel.try_get());
    auto fiber = spawn(getter(channel, "getter"));
    yield();
    bool const met = channel.try_put(2);
    fiber.join();
    say(met);
}

SCENARIO(a_killed_getter_takes_nothing) {
    channel<int> channel;
    fibers all{spawn(getter(channel, "a")), spawn(getter(channel, "b"))};
    yield();
    all[0].kill();
    say("balance", channel.balance());
    channel.put(1);
    all[1].join();
}

SCENARIO(a_killed_putter_puts_nothing) {
    channel<char const*> channel;
    fibers all{spawn(putter(channel, "a", "a")), spawn(putter(channel, "b", "b"))};
    yield();
    all[0].kill();
    say("balance", channel.balance());
    say("main got", channel.get());
    all[1].join();
}

SCENARIO(a_timed_out_putter_is_passed_over) {
    channel<char const*> channel;
    auto impatient = [&] {
        try {
            coir::timeout limit{10ms};
            channel.put("impatient");
        } catch (coir::timed_out const&) {
            say("impatient", caught());
        }
    };
    fibers all{spawn(impatient), spawn(putter(channel, "patient", "patient"))};
    all[0].join();
    say("main got", channel.get());
    all[1].join();
}
