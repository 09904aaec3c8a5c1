// A thousand usleep(100): how much later than asked they return, in a fiber under the shim and on a thread without
// fibers, where the kernel sleeps. The target is a difference, so this prints its own lines.

#include "coir.h"
#include "sides.h"

#include <chrono>
#include <cstdio>
#include <unistd.h>
#include <vector>

namespace {

constexpr int sleeps = 1000;
constexpr long wanted = 100; // µs

// The median overshoot in µs.
double overshoot() {
    std::vector<double> late;
    for (int i = 0; i < sleeps; ++i) {
        auto const begin = std::chrono::steady_clock::now();
        usleep(wanted);
        std::chrono::duration<double, std::micro> const took = std::chrono::steady_clock::now() - begin;
        late.push_back(took.count() - wanted);
    }
    return bench::detail::summarise(late).median;
}

} // namespace

int main() {
    constexpr int runs = 7;
    std::vector<double> fiber, thread;
    coir::yield(); // from here on the main thread's own context is a fiber
    for (int run = 0; run < runs; ++run) {
        thread.push_back(coir::offload(overshoot));
        fiber.push_back(overshoot());
    }
    double const ours = bench::detail::summarise(fiber).median, kernel = bench::detail::summarise(thread).median;
    std::printf("usleep(%ld), median overshoot of %d\n  %-24s %8.1f µs\n  %-24s %8.1f µs\n", wanted, sleeps,
                "the kernel's", kernel, "coir", ours);
    std::printf("  target: at most 60 µs more than the kernel's: %s (%+.1f µs)\n",
                ours - kernel <= 60 ? "met" : "missed", ours - kernel);
}
