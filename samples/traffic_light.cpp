// A traffic light and the cars that wait at it: an event, which one sets and any number wait for.
//
//     $ traffic_light --cars 2 --rounds 1
//     car 1 waits at red
//     car 2 waits at red
//     the light is green
//     car 1 drives
//     car 2 drives
//     car 3 drives
//     the light is red
//
// The third comes while the light is green, and finds the event set.
#include <CLI/CLI.hpp>
#include <chrono>
#include <coir.h>
#include <exception>
#include <fmt/format.h>
#include <vector>

namespace {

void drive(coir::event& green, int car) {
    if (!green.is_set()) fmt::print("car {} waits at red\n", car);
    green.wait();
    fmt::print("car {} drives\n", car);
}

} // namespace

int main(int argc, char** argv) try {
    int cars = 3, rounds = 2, red = 200;
    CLI::App options{"Cars that wait at a traffic light: one event, many fibers."};
    options.add_option("--cars", cars, "how many come while it is red")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    options.add_option("--rounds", rounds, "how often it turns green")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    options.add_option("--red", red, "for how many milliseconds it is red")
        ->check(CLI::Range(0, 60000))
        ->capture_default_str();
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }

    coir::event green;
    int last = 0;
    for (int round = 0; round < rounds; ++round) {
        std::vector<coir::fiber<void>> waiting;
        for (int i = 0; i < cars; ++i) waiting.push_back(coir::spawn(drive, std::ref(green), ++last));
        coir::sleep(std::chrono::milliseconds(red));
        fmt::print("the light is green\n");
        green.set(); // wakes all, in the order in which they came …
        coir::joinall(waiting);
        coir::spawn(drive, std::ref(green), ++last).get(); // … and who comes now need not wait
        fmt::print("the light is red\n");
        green.clear();
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        fmt::print(stderr, "traffic_light: write to stdout failed\n");
        return 1;
    }
} catch (std::exception const& error) {
    fmt::print(stderr, "traffic_light: {}\n", error.what());
    return 1;
}
