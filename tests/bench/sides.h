// What every measurement shares: it runs its sides in turn, A B A B …, takes medians, and prints them beside
// the first side, which is the limit, with the target that coir is to meet.
//
// A side is a name and a function that does one run and returns the cost of one operation, in the table's
// unit. To add one, write the function and append a row to the list that is given to compare(). Main thread
// only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <sys/resource.h>
#include <time.h>
#include <vector>

namespace bench {

/// CPU time of this thread in ns. What another process takes from us is not counted, but it leaves cold
/// caches behind.
inline double cpu_now() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return double(now.tv_sec) * 1e9 + double(now.tv_nsec);
}

/// The cost in ns of one of the `count` operations that `work` does.
template <class Work>
double cost_of_each(std::size_t count, Work&& work) {
    double const start = cpu_now();
    work();
    return (cpu_now() - start) / double(count);
}

struct side {
    std::string name;
    std::function<double()> run;
};

/// The side named `whose` shall cost at most this many times the side named `of` and `more` units, or this many units
/// if `of` is empty.
struct target {
    double most;
    std::string of;
    double more = 0;
    std::string whose = "coir";
};

struct options {
    int runs = 11;
    char const* unit = "ns";
};

namespace detail {

struct result {
    double median, spread; // spread: the middle half of the runs, as a share of the median
};

inline result summarise(std::vector<double> runs) {
    std::sort(runs.begin(), runs.end());
    std::size_t const n = runs.size();
    double const median = n % 2 ? runs[n / 2] : (runs[n / 2 - 1] + runs[n / 2]) / 2;
    return {median, (runs[3 * n / 4] - runs[n / 4]) / median};
}

inline long involuntary_switches() {
    rusage used;
    getrusage(RUSAGE_THREAD, &used);
    return used.ru_nivcsw;
}

// Others wanted the processor: the figures are upper bounds at best.
inline void report_noise(std::vector<result> const& results, long preempted, int runs) {
    double load = 0;
    getloadavg(&load, 1);
    double spread = 0;
    for (auto const& each : results) spread = std::max(spread, each.spread);
    if (load < 1.5 && preempted < 2L * runs && spread < 0.15) return;
    std::printf("  the machine was busy: load %.1f, preempted %ld times in %d runs, spread up to %.0f %%\n", load,
                preempted, runs, spread * 100);
}

} // namespace detail

/// Runs and prints one row of a table of costs. The first side is the limit.
inline void compare(std::string const& work, std::vector<side> const& sides, std::vector<target> const& targets,
                    options how = {}) {
    char const* const only = std::getenv("COIR_BENCH"); // rows whose name contains it
    if (only && work.find(only) == std::string::npos) return;
    std::vector<std::vector<double>> costs(sides.size());
    for (auto const& each : sides) each.run(); // faults pages in, loads code
    long const before = detail::involuntary_switches();
    for (int i = 0; i < how.runs; ++i)
        for (std::size_t s = 0; s < sides.size(); ++s) costs[s].push_back(sides[s].run());
    long const preempted = detail::involuntary_switches() - before;

    std::vector<detail::result> results;
    for (auto& each : costs) results.push_back(detail::summarise(each));
    auto const cost = [&](std::string const& name) {
        for (std::size_t s = 0; s < sides.size(); ++s)
            if (sides[s].name == name) return results[s].median;
        std::fprintf(stderr, "%s: no side is named '%s'\n", work.c_str(), name.c_str());
        std::exit(2);
    };

    std::printf("%s\n", work.c_str());
    for (std::size_t s = 0; s < sides.size(); ++s)
        std::printf("  %-24s %10.2f %-5s %6.2f ×  spread %.0f %%\n", sides[s].name.c_str(), results[s].median, how.unit,
                    results[s].median / results[0].median, results[s].spread * 100);
    for (auto const& each : targets) {
        double const most = each.of.empty() ? each.most : each.most * cost(each.of) + each.more;
        double const ours = cost(each.whose);
        if (each.whose != "coir") std::printf("  %s:", each.whose.c_str());
        if (each.of.empty())
            std::printf("  target: at most %g %s", each.most, how.unit);
        else if (each.more)
            std::printf("  target: at most %g %s more than %s", each.more, how.unit, each.of.c_str());
        else
            std::printf("  target: at most %g × %s = %.2f %s", each.most, each.of.c_str(), most, how.unit);
        if (each.more) std::printf(", now %+.1f", ours - most + each.more);
        if (ours <= most)
            std::printf(": met\n");
        else
            std::printf(": missed by %.0f %%\n", (ours / most - 1) * 100);
    }
    detail::report_noise(results, preempted, how.runs * int(sides.size()));
    std::fflush(stdout);
}

} // namespace bench
