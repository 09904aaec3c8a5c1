// Twenty tasks of which five may be at work at once: a semaphore.
//
//     $ limited --tasks 3 --at-once 2
//     task 1 begins, 1 at work
//     task 2 begins, 2 at work
//     task 1 ends
//     task 3 begins, 2 at work
//     task 2 ends
//     task 3 ends
//     never more than 2 at once
//
// A bounded semaphore says so when it is released once too often. (Where tasks are spawned for this only, a coir::pool
// does the same, and spawns no task before its turn.)
#include <CLI/CLI.hpp>
#include <algorithm>
#include <coir.h>
#include <exception>
#include <fmt/format.h>
#include <vector>

namespace {

struct place {
    coir::bounded_semaphore& of;
    explicit place(coir::bounded_semaphore& in) : of(in) { of.acquire(); }
    place(place const&) = delete;
    ~place() { of.release(); } // also when the task is killed, or fails
};

} // namespace

int main(int argc, char** argv) try {
    int tasks = 20, at_once = 5;
    CLI::App options{"Many tasks, of which a few are at work at once."};
    options.add_option("--tasks", tasks, "how many there are")->check(CLI::Range(0, 100000))->capture_default_str();
    options.add_option("--at-once", at_once, "how many may be at work")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }

    coir::bounded_semaphore places(static_cast<std::size_t>(at_once));
    int at_work = 0, most = 0;
    auto const work = [&](int number) {
        place const taken{places}; // waits its turn: first come, first served
        most = std::max(most, ++at_work);
        fmt::print("task {} begins, {} at work\n", number, at_work);
        for (int turn = number % 3; turn >= 0; --turn) coir::yield(); // some take longer
        fmt::print("task {} ends\n", number);
        --at_work;
    };
    std::vector<coir::fiber<void>> all;
    for (int number = 1; number <= tasks; ++number) all.push_back(coir::spawn(work, number));
    for (auto const& each : all) each.get();
    fmt::print("never more than {} at once\n", most);
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        fmt::print(stderr, "limited: write to stdout failed\n");
        return 1;
    }
} catch (std::exception const& error) {
    fmt::print(stderr, "limited: {}\n", error.what());
    return 1;
}
