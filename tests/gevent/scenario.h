// The C++ half of the scenarios: what it shares. scenario.py is its twin; README.md says how they are compared.
#pragma once

#include "coir.h"

#include <chrono>
#include <concepts>
#include <exception>
#include <functional>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

struct my_error {
    std::string text;
};
struct my_other_error {
    std::string text;
};

template <class Error>
std::exception_ptr made(Error error) {
    return std::make_exception_ptr(std::move(error));
}

// What a log calls a value.
std::string word(std::exception_ptr const& what); // null: "none"
inline std::string word(std::string_view what) { return std::string(what); }
inline std::string word(char const* what) { return what; }
inline std::string word(std::same_as<bool> auto what) { return what ? "true" : "false"; }
template <std::integral Number>
requires(!std::same_as<Number, bool> && !std::same_as<Number, char>) std::string word(Number what) {
    return std::to_string(what);
}
template <class T>
std::string word(std::optional<T> const& what) {
    return what ? word(*what) : "none";
}
template <class T>
std::string word(T const* what) {
    return what ? word(*what) : "none";
}
template <std::ranges::input_range Range>
requires(!std::convertible_to<Range, std::string_view>) std::string word(Range&& what) {
    std::string all = "[";
    for (auto&& each : what) all += (all.size() > 1 ? " " : "") + word(each);
    return all + "]";
}

/// Writes a line to the log.
void say_line(std::string const& line);

/// A line of the log.
void say(auto const& first, auto const&... more) {
    std::string line = word(first);
    ((line += " " + word(more)), ...);
    say_line(line);
}

/// A function that says it, to be spawned.
auto saying(auto... words) {
    return [words...] { say(words...); };
}

/// What is being handled, in a catch block.
inline std::exception_ptr caught() { return std::current_exception(); }

/// Does something when a scope is left, however: Python's `finally`.
template <class F>
struct finally {
    F action;
    explicit finally(F what) : action(std::move(what)) {}
    finally(finally const&) = delete;
    ~finally() noexcept(false) { action(); }
};

/// A place in the table of scenarios, made by SCENARIO.
struct registration {
    registration(char const* name, void (*run)());
};

#define SCENARIO(name)                                                                                                 \
    static void name();                                                                                                \
    static registration const name##_registered{#name, name};                                                          \
    static void name()
