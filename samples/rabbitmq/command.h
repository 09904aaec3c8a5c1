// What the programs of this directory have in common: the broker's address, options, lines of output, exit status.
#pragma once

#include "broker.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <coir.h>
#include <cstdio>
#include <fmt/format.h>
#include <functional>
#include <system_error>
#include <utility>
#include <vector>

/// Bytes of stack for a fiber that calls libraries; only what is touched costs.
constexpr std::size_t roomy = 256 * 1024;

/// `--broker`, whose default is `where`.
void add_broker_option(CLI::App& to, broker_address& where);

/// `--count`: how many messages to receive; 0, the default, is no limit.
void add_count_option(CLI::App& to, unsigned& count);

/// Reads the options, calls `chosen`, and returns what the program is to end with: 0, or what `chosen` says; 1 after an
/// error, which is named on stderr; 2 when the options are wrong.
int run_command(CLI::App& options, int argc, char** argv, std::function<int()> const& chosen);

/// A line on stdout, at once. A message may be acknowledged behind it: throws std::system_error when it could not be
/// written.
template <class... T>
void say(fmt::format_string<T...> format, T&&... values) {
    std::string const line = fmt::format(format, std::forward<T>(values)...) + '\n';
    if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fflush(stdout) != 0)
        throw std::system_error(errno, std::generic_category(), "write to stdout");
}

/// **Parks.** Until all have ended. When one fails, so do the calls that the others wait in, and its error is thrown.
void join_or_kill(std::vector<coir::fiber<void>> const& all);
