// A producer that yields numbers, and two consumers that take them in turn by what is sent to them. All three are
// generators: functions that hand values over in the middle and go on there.
//
//     $ generators --items 3
//     first took 0, its sum is 0
//     second took 1, its sum is 1
//     first took 4, its sum is 4
//     first leaves with 4
//     second leaves with 1
#include <CLI/CLI.hpp>
#include <array>
#include <coir.h>
#include <exception>
#include <fmt/format.h>
#include <string>

namespace {

coir::generator<long> squares(int count) {
    return coir::generator<long>{[count](auto& out) {
        for (long i = 0; i < count; ++i) out.yield(i * i);
    }};
}

// Yields the sum so far, and is sent the next number by the same yield.
coir::generator<long, long> adder(std::string name) {
    return coir::generator<long, long>{[name](auto& out) {
        struct tally {
            std::string const& name;
            long sum = 0;
            ~tally() { fmt::print("{} leaves with {}\n", name, sum); } // runs when the generator is closed
        } own{name};
        for (;;)
            if (auto const number = out.yield(own.sum)) own.sum += *number;
    }};
}

struct consumer {
    std::string name;
    coir::generator<long, long> numbers = adder(name);
};

} // namespace

int main(int argc, char** argv) try {
    int items = 6;
    CLI::App options{"A producer and two consumers that are generators."};
    options.add_option("--items", items, "how many numbers are produced")
        ->check(CLI::Range(0, 1000000))
        ->capture_default_str();
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }

    std::array<consumer, 2> consumers{{{"first"}, {"second"}}};
    for (auto& each : consumers) each.numbers.next(); // to the yield where it can be sent something
    std::size_t turn = 0;
    for (long const number : squares(items)) {
        auto& [name, numbers] = consumers[turn++ % consumers.size()];
        long const sum = *numbers.send(number);
        fmt::print("{} took {}, its sum is {}\n", name, number, sum);
    }
    for (auto& each : consumers) each.numbers.close();
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        fmt::print(stderr, "generators: write to stdout failed\n");
        return 1;
    }
} catch (std::exception const& error) {
    fmt::print(stderr, "generators: {}\n", error.what());
    return 1;
}
