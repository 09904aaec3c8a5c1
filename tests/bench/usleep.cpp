// A thousand usleep(100): how much later than asked they return, in a fiber under the shim and on a thread without
// fibers, where the kernel sleeps.

#include "coir.h"
#include "sides.h"

#include <chrono>
#include <unistd.h>
#include <vector>

namespace {

// The median of how late a thousand are, in µs.
double overshoot() {
    constexpr int sleeps = 1000;
    constexpr long wanted = 100; // µs
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
    coir::yield(); // from here on the main thread's own context is a fiber
    bench::compare("usleep(100), how late",
                   {{"the kernel's", [] { return coir::offload(overshoot); }}, {"coir", overshoot}},
                   {{1, "the kernel's", 60}}, {.runs = 7, .unit = "us"});
}
