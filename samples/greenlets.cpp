// Two functions that hand control to each other by hand, without a scheduler:
//
//     $ greenlets
//     12
//     56
//     34
//     78
//
// Each has a stack of its own, and goes on where it left when someone switches to it again.
#include <CLI/CLI.hpp>
#include <coir.h>
#include <exception>
#include <fmt/format.h>
#include <string>

namespace {

struct pair_of_greenlets {
    // When one ends, its parent goes on: the one that made it, main.
    coir::greenlet first{[this] {
        fmt::print("12\n");
        second.switch_to();
        fmt::print("34\n");
    }};
    coir::greenlet second{[this] {
        fmt::print("56\n");
        first.switch_to();
        fmt::print("78\n");
    }};

    std::string name_of(coir::greenlet const& one) const {
        return one == first ? "first" : one == second ? "second" : "main";
    }
};

} // namespace

int main(int argc, char** argv) try {
    bool trace = false;
    CLI::App options{"Prints 12 56 34 78, from two functions that switch to each other by hand."};
    options.add_flag("--trace", trace, "say on stderr who switches to whom");
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }

    pair_of_greenlets both;
    if (trace)
        coir::greenlet::set_trace([&](coir::trace_event, coir::greenlet const& origin, coir::greenlet const& target) {
            fmt::print(stderr, "{} -> {}\n", both.name_of(origin), both.name_of(target));
        });
    both.first.switch_to();  // comes back when `first` ends, after 34 …
    both.second.switch_to(); // … while `second` still waits in the middle
    coir::greenlet::set_trace({});
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        fmt::print(stderr, "greenlets: write to stdout failed\n");
        return 1;
    }
} catch (std::exception const& error) {
    fmt::print(stderr, "greenlets: {}\n", error.what());
    return 1;
}
