// Fibers that count together. Only one runs at a time, but whoever waits in the middle of a change lets the others see
// it half done: the first line is the race, the others are its cure.
//
//     $ counter
//     without a lock: 100 of 1000
//     with a mutex: 1000 of 1000
//     with a lock that its holder takes twice: 1000 of 1000
#include <CLI/CLI.hpp>
#include <coir.h>
#include <exception>
#include <fmt/format.h>
#include <mutex>

namespace {

struct counter {
    int value = 0;
    coir::mutex one_at_a_time;
    coir::rlock again; // as a mutex, for those who have it already

    void add() {
        int const seen = value;
        coir::yield(); // others run: what was seen may be old by now
        value = seen + 1;
    }
    void add_locked() {
        std::lock_guard const held{one_at_a_time};
        add();
    }
    void add_recursively(int times) {
        std::lock_guard const held{again};
        if (times > 1) add_recursively(times - 1);
        add();
    }
};

} // namespace

int main(int argc, char** argv) try {
    int fibers = 10, times = 100;
    CLI::App options{"Fibers that add to one number, with locks and without."};
    options.add_option("--fibers", fibers, "how many there are")->check(CLI::Range(1, 10000))->capture_default_str();
    options.add_option("--times", times, "how often each adds one")->check(CLI::Range(1, 1000))->capture_default_str();
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }

    auto const count = [&](char const* how, auto const& add_all) {
        counter shared;
        coir::group all;
        for (int i = 0; i < fibers; ++i) all.spawn([&] { add_all(shared); });
        all.join({}, true);
        fmt::print("{}: {} of {}\n", how, shared.value, fibers * times);
    };
    count("without a lock", [&](counter& shared) {
        for (int i = 0; i < times; ++i) shared.add();
    });
    count("with a mutex", [&](counter& shared) {
        for (int i = 0; i < times; ++i) shared.add_locked();
    });
    count("with a lock that its holder takes twice", [&](counter& shared) {
        for (int left = times; left > 0; left -= 2) shared.add_recursively(left > 1 ? 2 : 1);
    });
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        fmt::print(stderr, "counter: write to stdout failed\n");
        return 1;
    }
} catch (std::exception const& error) {
    fmt::print(stderr, "counter: {}\n", error.what());
    return 1;
}
