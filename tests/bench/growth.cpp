// How the cost grows with how many there are: fibers, timers, waiters of one event, items and waiters of a queue,
// connections, and leaving any of these by being cancelled, out of order. Each work for a number of them, ten times as
// many, and a hundred times; the exponent says by what power of ten the cost in all grew with ten times as many: 1 is
// linear. What caches and page tables cost is in these times; growth.py counts instructions, which leaves that out, and
// fails.
//
//     bench-growth               rows
//     bench-growth WORK COUNT    does it once, for growth.py
//     bench-growth --list        the works

#include "sides.h"

#include "coir.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using fibers = std::vector<coir::fiber<void>>;

// The numbers below `count`, out of order; the same in each run.
std::vector<std::size_t> shuffled(std::size_t count) {
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    std::ranges::shuffle(order, std::minstd_rand(1));
    return order;
}

template <class F>
fibers spawn_parked(std::size_t count, F const& function) {
    fibers all(count);
    for (std::size_t i = 0; i < count; ++i) all[i] = coir::spawn([&function, i] { function(i); });
    coir::yield();
    return all;
}

// Ends each without waiting for it, then waits for all.
void cancel(fibers const& all) {
    for (std::size_t i : shuffled(all.size())) all[i].kill({.block = false});
    coir::joinall(all);
}

void yields(std::size_t count) {
    coir::joinall(spawn_parked(count, [](std::size_t) {
        for (int i = 0; i < 5; ++i) coir::yield();
    }));
}

void spawns(std::size_t count) {
    fibers all(count);
    for (auto& each : all) each = coir::spawn([] {});
    coir::joinall(all);
}

void timers(std::size_t count) {
    auto const order = shuffled(count);
    auto const now = std::chrono::steady_clock::now();
    coir::joinall(spawn_parked(
        count, [&](std::size_t i) { coir::sleep(now + std::chrono::microseconds(1 + order[i] % 10'000)); }));
}

void cancelled_timers(std::size_t count) {
    auto const order = shuffled(count);
    auto const all = spawn_parked(count, [&](std::size_t i) { coir::sleep(std::chrono::seconds(1000 + order[i])); });
    cancel(all);
}

void timeouts(std::size_t count) {
    std::deque<coir::timeout> all;
    for (std::size_t i : shuffled(count)) all.emplace_back(std::chrono::seconds(1000 + i));
    for (std::size_t i : shuffled(count)) all[i].cancel();
}

void waiters_of_an_event(std::size_t count) {
    coir::event one;
    auto const all = spawn_parked(count, [&](std::size_t) { one.wait(); });
    one.set();
    coir::joinall(all);
}

void cancelled_waiters_of_an_event(std::size_t count) {
    coir::event one;
    cancel(spawn_parked(count, [&](std::size_t) { one.wait(); }));
}

void waiters_of_a_mutex(std::size_t count) {
    coir::mutex one;
    std::unique_lock held{one};
    auto const all = spawn_parked(count, [&](std::size_t) { std::lock_guard const own{one}; });
    held.unlock();
    coir::joinall(all);
}

void links(std::size_t count) {
    coir::event one;
    std::size_t called = 0;
    for (std::size_t i = 0; i < count; ++i) one.rawlink([&](coir::event&) { ++called; });
    one.set();
    while (called < count) coir::yield();
}

void items_of_a_queue(std::size_t count) {
    coir::queue<int> one;
    for (std::size_t i = 0; i < count; ++i) one.put(int(i));
    for (std::size_t i = 0; i < count; ++i) one.get();
}

void items_of_a_priority_queue(std::size_t count) {
    coir::priority_queue<std::size_t> one;
    for (std::size_t i : shuffled(count)) one.put(i);
    for (std::size_t i = 0; i < count; ++i) one.get();
}

void waiters_of_a_queue(std::size_t count) {
    coir::queue<int> one;
    auto const all = spawn_parked(count, [&](std::size_t) { one.get(); });
    for (std::size_t i = 0; i < count; ++i) one.put(int(i));
    coir::joinall(all);
}

void cancelled_waiters_of_a_queue(std::size_t count) {
    coir::queue<int> one;
    cancel(spawn_parked(count, [&](std::size_t) { one.get(); }));
}

void joined_at_once(std::size_t count) {
    coir::event one;
    auto const all = spawn_parked(count, [&](std::size_t) { one.wait(); });
    auto const joiner = coir::spawn([&] { coir::joinall(all); });
    coir::yield();
    one.set();
    joiner.join();
}

// A pair of sockets for each; a twentieth of the number, since each takes two descriptors.
class connections {
public:
    explicit connections(std::size_t count) : pairs_(count) {
        for (auto& [here, there] : pairs_)
            if (int fds[2]; socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0) {
                here = fds[0];
                there = fds[1];
            } else {
                std::perror("socketpair");
                std::exit(2);
            }
        waiting_ =
            spawn_parked(count, [this](std::size_t i) { coir::hub::wait_fd(pairs_[i].first, coir::hub::readable); });
    }
    ~connections() {
        for (auto const& [here, there] : pairs_) {
            coir::hub::forget_fd(here);
            close(here);
            close(there);
        }
    }
    connections(connections const&) = delete;

    void wake_each() {
        for (std::size_t i : shuffled(pairs_.size()))
            if (write(pairs_[i].second, "", 1) != 1) std::perror("write");
        coir::joinall(waiting_);
    }
    void cancel_each() { cancel(waiting_); }

private:
    std::vector<std::pair<int, int>> pairs_;
    fibers waiting_;
};

void connections_woken(std::size_t count) { connections(count / 20).wake_each(); }
void connections_cancelled(std::size_t count) { connections(count / 20).cancel_each(); }

std::map<std::string_view, void (*)(std::size_t)> const works{
    {"yields", yields},
    {"spawns", spawns},
    {"timers", timers},
    {"cancelled-timers", cancelled_timers},
    {"timeouts", timeouts},
    {"waiters-of-an-event", waiters_of_an_event},
    {"cancelled-waiters-of-an-event", cancelled_waiters_of_an_event},
    {"waiters-of-a-mutex", waiters_of_a_mutex},
    {"links", links},
    {"items-of-a-queue", items_of_a_queue},
    {"items-of-a-priority-queue", items_of_a_priority_queue},
    {"waiters-of-a-queue", waiters_of_a_queue},
    {"cancelled-waiters-of-a-queue", cancelled_waiters_of_a_queue},
    {"joined-at-once", joined_at_once},
    {"connections-woken", connections_woken},
    {"connections-cancelled", connections_cancelled},
};

void row(std::string_view name, void (*work)(std::size_t)) {
    std::vector<bench::side> sides;
    for (std::size_t const count : {1'000, 10'000, 100'000})
        sides.push_back({std::to_string(count), [=] { return bench::cost_of_each(count, [&] { work(count); }); }});
    auto const each = bench::compare(std::string(name), sides, {}, {.runs = 5});
    if (each.size() == 3)
        std::printf("  exponent of growth: %.2f, %.2f\n", 1 + std::log10(each[1] / each[0]),
                    1 + std::log10(each[2] / each[1]));
}

} // namespace

int main(int argc, char** argv) {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (argc == 1) {
        for (auto const& [name, work] : works) row(name, work);
        return 0;
    }
    if (argc == 2 && argv[1] == std::string_view("--list")) {
        for (auto const& [name, work] : works) std::printf("%s\n", std::string(name).c_str());
        return 0;
    }
    auto const work = argc == 3 ? works.find(argv[1]) : works.end();
    if (work == works.end()) {
        std::fprintf(stderr, "usage: %s [--list | WORK COUNT]\n", argv[0]);
        return 2;
    }
    coir::yield(); // makes the hub, which is not to be counted
    work->second(std::strtoul(argv[2], nullptr, 10));
}
