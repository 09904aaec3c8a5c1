// What a fuzzer is: run_input(), which plays one input and does not return when something is wrong with it.
//
// With clang's libFuzzer an input is whatever it comes up with (scripts/fuzz); without it the program plays the files
// that it is given, and that is the test (run_files.cpp).
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

/// **Parks.** Plays it, in the thread's main code. An exception that leaves it is a finding, too.
void run_input(std::span<std::uint8_t const> input);

inline void expect(bool holds, char const* what) {
    if (holds) return;
    std::fprintf(stderr, "finding: %s\n", what);
    std::abort(); // libFuzzer keeps the input
}
