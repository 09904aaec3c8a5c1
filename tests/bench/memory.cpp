// The memory of a parked fiber, page tables included: what the process has more while N fibers sleep than
// before. The limit is one touched page per stack of 64 KiB, side by side. N is 100,000 and a million, or the argument.
// Each run has a process of its own, because memory that was touched once stays with its process.

#include "bare.h"
#include "child.h"
#include "peer.h"
#include "sides.h"
#include "work.h"

#include "coir.h"

#include <chrono>
#include <unistd.h>
#include <vector>

namespace {

std::size_t count = 100'000;

double bare_page() {
    double const before = bench::memory_now();
    bench::bare_stacks const stacks(count);
    for (std::size_t i = 0; i < count; ++i) stacks.top(i)[-1] = std::byte{1};
    return (bench::memory_now() - before) / double(count);
}

enum class moment { parked, ended, trimmed };

// Bytes per fiber of N that were spawned and have parked: while they are parked, as soon as they have ended,
// and when the hub has had time to give back what lies idle.
template <moment when>
double ours() {
    std::vector<coir::fiber<void>> fibers(count);
    coir::yield(); // makes the hub
    double const before = bench::memory_now();
    bool open = false;
    auto const gate = coir::spawn([&open] {
        while (!open) coir::yield();
    });
    for (auto& each : fibers) each = coir::spawn([&gate] { gate.join(); });
    coir::yield();
    if (when != moment::parked) {
        open = true;
        coir::joinall(fibers);
        fibers.assign(count, {});
    }
    if (when == moment::trimmed) coir::sleep(std::chrono::seconds(4));
    return (bench::memory_now() - before) / double(count);
}

void row(bool with_peers) {
    std::vector<bench::side> sides{{"one page", [] { return bench::in_child(bare_page); }},
                                   {"coir", [] { return bench::in_child(ours<moment::parked>); }},
                                   {"coir, after they ended", [] { return bench::in_child(ours<moment::ended>); }},
                                   {"… and 4 s later", [] { return bench::in_child(ours<moment::trimmed>); }}};
    if (with_peers)
        for (auto const* const each : {"go", "boost fiber", "gevent"})
            sides.push_back(bench::peer(each, "memory " + std::to_string(count), bench::peer_memory::new_process));
    bench::compare("memory of a parked fiber, " + std::to_string(count) + " of them", sides, {{4300, ""}},
                   {.runs = 3, .unit = "bytes"});
}

} // namespace

int main(int argc, char** argv) {
    if (argc > 1) count = std::strtoul(argv[1], nullptr, 10);
    if (argc > 2 || count == 0) {
        std::fprintf(stderr, "usage: %s [number of fibers]\n", argv[0]);
        return 2;
    }
    row(true);
    if (argc > 1) return 0;
    count = 1'000'000;
    double const wanted = double(count) * 6000,
                 there = double(sysconf(_SC_AVPHYS_PAGES)) * double(sysconf(_SC_PAGESIZE));
    if (there > wanted)
        row(false); // peers would take twice as much, and a minute
    else
        std::printf("%zu fibers: left out, %.0f GB of free memory are not there\n", count, wanted * 1e-9);
}
