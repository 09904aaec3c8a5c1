// What a second core is worth: requests of half a millisecond of work each, answered by a crew of one hub and by one of
// two, in wall-clock time per request. The work is that long so that the load, which has no core of its own on a
// machine with two, is not the limit: its share of the processor is said.

#include "sides.h"
#include "tests/bench/echo/load.h"

#include <array>
#include <coir.h>
#include <ctime>
#include <memory>

namespace {

constexpr std::size_t connections = 32, requests = 1'000;
constexpr long work = 500'000; // ns of the thread's CPU time

void answer(coir::net::tcp_stream peer) {
    std::array<char, bench::room> buffer;
    while (auto const n = peer.read_some(buffer)) {
        double const end = bench::cpu_now() + double(work);
        while (bench::cpu_now() < end) {}
        peer.write_all({buffer.data(), n});
    }
}

double wall_now() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return double(now.tv_sec) * 1e9 + double(now.tv_nsec);
}

} // namespace

int main() {
    double load_cpu = 0, all_wall = 0;
    auto const side_of = [&](char const* name, unsigned hubs) {
        auto const crew = std::make_shared<coir::net::crew>(
            coir::net::address("127.0.0.1:0"),
            [](coir::net::listener from) {
                return coir::net::stream_server{std::move(from), answer};
            },
            // One queue: by hash 32 connections would not be shared evenly.
            coir::net::crew_options{.workers = hubs, .one_queue = true, .signals = false});
        crew->start();
        return bench::side{name, [=, &load_cpu, &all_wall] {
                               bench::load from(crew->address().port(), connections);
                               from.run(connections); // accepted
                               double const begin = wall_now(), own = bench::cpu_now();
                               from.run(requests);
                               load_cpu += bench::cpu_now() - own;
                               all_wall += wall_now() - begin;
                               return (wall_now() - begin) / double(requests) / 1000;
                           }};
    };
    bench::compare("requests of 0.5 ms of work, wall clock", {side_of("one hub", 1), side_of("two hubs", 2)},
                   {{1 / 1.8, "one hub", 0, "two hubs"}}, {.runs = 7, .unit = "us"});
    std::printf("  the load took %.1f %% of a processor\n", 100 * load_cpu / all_wall);
}
