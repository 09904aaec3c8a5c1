// The program `coir`: puts the shim under another program, or says what it would do there.

#include "monkey/patch_list.h"
#include "monkey/program.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <stdexcept>
#include <string>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace {

// Beside this program, as it is built, or where it was installed.
std::string library(char const* name) {
    std::filesystem::path const here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    for (std::filesystem::path const& place : {here, std::filesystem::path(COIR_LIBRARIES)})
        if (std::filesystem::exists(place / name)) return place / name;
    throw std::runtime_error(fmt::format("{} is neither in {} nor in {}", name, here.string(), COIR_LIBRARIES));
}

struct run_options {
    std::string patch = "all";
    bool counts = false;
    bool only_checks = false;
    std::string stats_file;
    std::vector<std::string> command;
};

[[noreturn]] void run(run_options const& how) {
    std::string wrong;
    coir::monkey::parse_patch_list(how.patch, wrong);
    if (!wrong.empty()) throw std::invalid_argument("--patch: " + wrong);
    std::string preload = library("libcoir-monkey.so");
    if (how.counts) preload += ":" + library("libcoir-stats.so");
    if (char const* const others = std::getenv("LD_PRELOAD"); others && *others) preload += ":" + std::string(others);
    setenv("LD_PRELOAD", preload.c_str(), 1);
    setenv("COIR_PATCH", how.patch.c_str(), 1);
    if (!how.stats_file.empty()) setenv("COIR_STATS", std::filesystem::absolute(how.stats_file).c_str(), 1);
    std::vector<char*> arguments;
    for (std::string const& each : how.command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    throw std::system_error(errno, std::generic_category(), how.command[0]);
}

// As execvp(3) finds it.
std::string path_of(std::string const& program) {
    if (program.find('/') != std::string::npos) return program;
    char const* const path = std::getenv("PATH");
    std::string_view const places = path ? path : "/bin:/usr/bin";
    for (std::size_t at = 0, end; at <= places.size(); at = end + 1) {
        end = std::min(places.find(':', at), places.size());
        auto const place = end > at ? places.substr(at, end - at) : "."; // an empty one is the working directory
        std::string const candidate = fmt::format("{}/{}", place, program);
        if (access(candidate.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(candidate)) return candidate;
    }
    throw std::system_error(ENOENT, std::generic_category(), program);
}

// Fails if the shim would not be there.
int check(std::string const& program) {
    std::string const path = path_of(program);
    auto const facts = coir::monkey::facts_of(path);
    fmt::print("{}: {}\n", path, facts.loads_shim ? "the shim can be put under it" : "the shim cannot be put under it");
    for (std::string const& each : facts.obstacles) fmt::print("  {}\n", each);
    fmt::print("  its calls that let others run ({}): {}\n", facts.cooperating.size(),
               fmt::join(facts.cooperating, " "));
    if (!facts.blocking.empty())
        fmt::print("  its calls that may block ({}): {}\n", facts.blocking.size(), fmt::join(facts.blocking, " "));
    fmt::print("  those of its libraries are not looked at\n");
    return facts.loads_shim ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) try {
    CLI::App app{"Puts the shim under programs: their blocking calls, made by a fiber, let others run."};
    app.require_subcommand(1);
    run_options how;
    auto* const runs =
        app.add_subcommand("run", "Runs a program with the shim under it: coir run [options] -- program arguments");
    runs->add_option("--patch", how.patch,
                     "families of calls that are taken over: socket,time or all,-file (docs/monkey.md)")
        ->envname("COIR_PATCH")
        ->capture_default_str();
    runs->add_flag("--stats", how.counts, "at its end: how often each call was made, parked, and for how long");
    runs->add_option("--stats-file", how.stats_file, "… appended to that file, not on stderr")->needs("--stats");
    runs->add_option("command", how.command, "the program and its arguments")->required();
    runs->positionals_at_end();
    runs->add_flag("--check", how.only_checks, "says, without running it, which of its calls would let others run");
    CLI11_PARSE(app, argc, argv);
    if (how.only_checks) return check(how.command[0]);
    run(how);
} catch (std::system_error const& error) {
    fmt::print(stderr, "coir: {}\n", error.what());
    return error.code().value() == ENOENT ? 127 : 126; // as the shell has it
} catch (std::exception const& error) {
    fmt::print(stderr, "coir: {}\n", error.what());
    return 125;
}
