// What coir's side and the peers' programs do alike, so that they do the same: tests/bench and tests/bench/peers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <time.h>

namespace bench {

namespace detail {

template <int depth, class Leaf>
[[gnu::noinline]] void below(Leaf& leaf) {
    if constexpr (depth == 1)
        leaf();
    else
        below<depth - 1>(leaf);
    asm volatile(""); // no tail call
}

} // namespace detail

/// Calls `leaf` below `depth` calls, each of a function of its own: processors predict where a `ret` goes from
/// the calls that went before, and one recursive function would be predicted by accident.
template <int depth, class Leaf>
void at_depth(Leaf leaf) {
    if constexpr (depth == 0)
        leaf();
    else
        detail::below<depth>(leaf);
}

/// When the i-th of those that sleep is to wake, from now on: spread evenly over a second, out of order.
inline std::chrono::microseconds moment_of(std::size_t i) {
    return std::chrono::microseconds(100'000 + long(i * 2'654'435'761u % 1'000'000));
}

/// CPU time of the process, all of its threads, in ns.
inline double process_cpu() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return double(now.tv_sec) * 1e9 + double(now.tv_nsec);
}

/// Resident bytes of the process, and of its page tables.
inline double memory_now() {
    std::FILE* const status = std::fopen("/proc/self/status", "r");
    double bytes = 0;
    for (char line[256]; status && std::fgets(line, sizeof line, status);) {
        long kilobytes = 0;
        if (std::sscanf(line, "VmRSS: %ld", &kilobytes) == 1 || std::sscanf(line, "VmPTE: %ld", &kilobytes) == 1)
            bytes += double(kilobytes) * 1024;
    }
    if (!status || bytes == 0) {
        std::perror("read VmRSS and VmPTE of /proc/self/status");
        std::exit(2);
    }
    std::fclose(status);
    return bytes;
}

} // namespace bench
