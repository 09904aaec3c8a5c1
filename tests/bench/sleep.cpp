// What 100,000 fibers cost in CPU time, in all, that are made, sleep once, until moments spread over a second, and are
// joined. Cold: in a process that has made no fiber before, so that each stack has its first page faulted in. The limit
// is libev's own timers, with nothing to be resumed.
//
//     bench-sleep [COUNT]

#include "child.h"
#include "peer.h"
#include "sides.h"
#include "work.h"

#include "coir.h"

#include <chrono>
#include <cstdlib>
#include <ev.h>
#include <string>
#include <string_view>
#include <vector>

namespace {

std::size_t count = 100'000;

double ms_of(double ns) { return ns * 1e-6; }

double timers() {
    struct ev_loop* const loop = ev_loop_new(EVBACKEND_EPOLL);
    std::vector<ev_timer> all(count);
    double const used = bench::cost_of_each(1, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            std::chrono::duration<double> const after = bench::moment_of(i);
            ev_timer_init(
                &all[i], [](struct ev_loop*, ev_timer*, int) {}, after.count(), 0);
            ev_timer_start(loop, &all[i]);
        }
        ev_run(loop, 0);
    });
    ev_loop_destroy(loop);
    return ms_of(used);
}

double fibers() {
    std::vector<coir::fiber<void>> all(count);
    auto const now = std::chrono::steady_clock::now();
    return ms_of(bench::cost_of_each(1, [&] {
        for (std::size_t i = 0; i < count; ++i)
            all[i] = coir::spawn([at = now + bench::moment_of(i)] { coir::sleep(at); });
        coir::joinall(all);
        all.clear();
    }));
}

} // namespace

int main(int argc, char** argv) {
    bool const once = argc > 2 && std::string_view(argv[2]) == "--once"; // for the cold side
    if (argc > 1) count = std::strtoul(argv[1], nullptr, 10);
    if (argc > 2 + once || count == 0) {
        std::fprintf(stderr, "usage: %s [number of fibers]\n", argv[0]);
        return 2;
    }
    if (once) {
        std::printf("%f\n", fibers());
        return 0;
    }
    std::vector<bench::side> sides{
        {"libev's timers", timers},
        {"coir, cold", [] { return bench::in_new_process(std::to_string(count) + " --once"); }},
        {"coir, warm", fibers}};
    for (auto const* const each : {"go", "boost fiber", "gevent"})
        sides.push_back(bench::peer(each, "sleep " + std::to_string(count)));
    double const share = double(count) / 100'000; // of the fibers that the targets are for
    bench::compare(std::to_string(count) + " fibers that sleep once, in all", sides,
                   {{350 * share, "", 0, "coir, cold"}, {150 * share, "", 0, "coir, warm"}}, {.runs = 5, .unit = "ms"});
}
