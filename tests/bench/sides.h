// What every measurement shares: it runs its sides in turn, A B A B …, takes medians, and prints them beside
// the first side, which is the limit, with the target that coir is to meet.
//
// A side is a name and a function that does one run and returns the cost of one operation, in the table's
// unit. To add one, write the function and append a row to the list that is given to compare(). Main thread
// only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
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
    std::function<double()> run; // none: it was not built, for want of a package
};

/// The side named `whose` shall cost at most this many times the side named `of` and `more` units, or this many units
/// if `of` is empty. One that is to be `of` a side that was not built is left out.
struct target {
    double most;
    std::string of;
    double more = 0;
    std::string whose = "coir";
};

struct options {
    int runs = 11;
    int in_a_row = 1; // of which a run is the mean: for what is short, and would pay for the caches of the side before
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

// Others wanted the processor: the figures are upper bounds at best. Empty if nobody did.
inline std::string noise(std::vector<result> const& results, long preempted, int runs) {
    double load = 0;
    getloadavg(&load, 1);
    double spread = 0;
    for (auto const& each : results) spread = std::max(spread, each.spread);
    if (load < 1.5 && preempted < 2L * runs && spread < 0.15) return {};
    std::array<char, 160> words;
    std::snprintf(words.data(), words.size(),
                  "the machine was busy: load %.1f, preempted %ld times in %d runs, spread up to %.0f %%", load,
                  preempted, runs, spread * 100);
    return words.data();
}

} // namespace detail

/// Runs and prints one row of a table of costs. The first side is the limit. Appended to the file named by
/// COIR_BENCH_JSON it is a line of JSON (scripts/bench makes tables and charts of them). Returns the medians, in the order
/// of the sides; none if the row was not asked for.
inline std::vector<double> compare(std::string const& work, std::vector<side> sides, std::vector<target> const& targets,
                    options how = {}) {
    char const* const only = std::getenv("COIR_BENCH"); // rows whose name contains it
    if (only && work.find(only) == std::string::npos) return {};
    std::printf("%s\n", work.c_str());
    std::vector<std::string> not_built;
    std::erase_if(sides, [&](side const& each) {
        if (!each.run) not_built.push_back(each.name);
        return !each.run;
    });
    for (auto const& each : not_built) std::printf("  %-24s not built\n", each.c_str());
    std::vector<std::vector<double>> costs(sides.size());
    for (auto const& each : sides) each.run(); // faults pages in, loads code
    long const before = detail::involuntary_switches();
    for (int i = 0; i < how.runs; ++i)
        for (std::size_t s = 0; s < sides.size(); ++s) {
            double sum = 0;
            for (int i = 0; i < how.in_a_row; ++i) sum += sides[s].run();
            costs[s].push_back(sum / how.in_a_row);
        }
    long const preempted = detail::involuntary_switches() - before;

    std::vector<detail::result> results;
    for (auto& each : costs) results.push_back(detail::summarise(each));
    auto const cost = [&](std::string const& name) -> std::optional<double> {
        for (std::size_t s = 0; s < sides.size(); ++s)
            if (sides[s].name == name) return results[s].median;
        if (std::ranges::count(not_built, name)) return std::nullopt;
        std::fprintf(stderr, "%s: no side is named '%s'\n", work.c_str(), name.c_str());
        std::exit(2);
    };

    std::string sides_json, targets_json;
    for (std::size_t s = 0; s < sides.size(); ++s) {
        auto const& [median, spread] = results[s];
        std::printf("  %-24s %10.2f %-5s %6.2f ×  spread %.0f %%\n", sides[s].name.c_str(), median, how.unit,
                    median / results[0].median, spread * 100);
        sides_json += std::string(s ? ", " : "") + "{\"name\": \"" + sides[s].name +
                      "\", \"median\": " + std::to_string(median) + ", \"spread\": " + std::to_string(spread) + "}";
    }
    for (auto const& each : targets) {
        auto const ours = cost(each.whose), of = each.of.empty() ? 1 : cost(each.of);
        if (!ours || !of) continue;
        double const most = each.most * *of + each.more;
        std::string text;
        if (each.whose != "coir") text = each.whose + ": ";
        std::array<char, 160> words;
        if (each.of.empty())
            std::snprintf(words.data(), words.size(), "at most %g %s", each.most, how.unit);
        else if (each.more)
            std::snprintf(words.data(), words.size(), "at most %g %s more than %s, now %+.1f", each.more, how.unit,
                          each.of.c_str(), *ours - *of);
        else
            std::snprintf(words.data(), words.size(), "at most %.3g × %s = %.2f %s", each.most, each.of.c_str(), most,
                          how.unit);
        text += words.data();
        bool const met = *ours <= most;
        std::printf("  target: %s: ", text.c_str());
        met ? std::printf("met\n") : std::printf("missed by %.0f %%\n", (*ours / most - 1) * 100);
        targets_json += std::string(targets_json.empty() ? "" : ", ") + "{\"text\": \"" + text +
                        "\", \"most\": " + std::to_string(most) + ", \"ours\": " + std::to_string(*ours) +
                        ", \"met\": " + (met ? "true" : "false") + "}";
    }
    std::string const noise = detail::noise(results, preempted, how.runs * int(sides.size()));
    if (!noise.empty()) std::printf("  %s\n", noise.c_str());
    std::fflush(stdout);
    if (char const* const path = std::getenv("COIR_BENCH_JSON")) {
        std::FILE* const file = std::fopen(path, "a");
        if (!file ||
            std::fprintf(
                file, "{\"work\": \"%s\", \"unit\": \"%s\", \"sides\": [%s], \"targets\": [%s], \"noise\": \"%s\"}\n",
                work.c_str(), how.unit, sides_json.c_str(), targets_json.c_str(), noise.c_str()) < 0) {
            std::perror(path);
            std::exit(2);
        }
        std::fclose(file);
    }
    std::vector<double> medians;
    for (auto const& each : results) medians.push_back(each.median);
    return medians;
}

} // namespace bench
