#include "command.h"

#include <csignal>
#include <exception>

void add_broker_option(CLI::App& to, broker_address& where) {
    to.add_option_function<std::string>(
          "--broker",
          [&where](std::string const& text) {
              try {
                  where = broker_address::parse(text);
              } catch (std::invalid_argument const& wrong) {
                  throw CLI::ValidationError("--broker", wrong.what());
              }
          },
          "HOST:PORT, or amqp://USER:PASSWORD@HOST:PORT/VHOST (guest)")
        ->default_str(where.to_string());
}

void add_count_option(CLI::App& to, unsigned& count) {
    to.add_option("--count", count, "end after so many messages (default: never)")->check(CLI::Range(1u, 1000000000u));
}

int run_command(CLI::App& options, int argc, char** argv, std::function<int()> const& chosen) {
    for (CLI::App* const each : options.get_subcommands({})) each->fallthrough(); // --broker may stand behind its name
    options.require_subcommand(0, 1);
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }
    try {
        std::signal(SIGPIPE, SIG_IGN);
        return chosen();
    } catch (std::exception const& error) {
        fmt::print(stderr, "{}: {}\n", options.get_name(), error.what());
        return 1;
    }
}

void join_or_kill(std::vector<coir::fiber<void>> const& all) {
    try {
        coir::joinall(all, {.raise_error = true});
    } catch (...) {
        coir::killall(all);
        for (auto const& each : all) each.exception(); // they are no news
        throw;
    }
}
