// Code addresses in words. Internal.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace coir {

/// For each address, innermost call first: "function at file:line" of it and of the calls that it was inlined into, or
/// one "function+0x12 (module+0x5012)". Blocks the thread while debug information is read; see describe(stack_trace).
std::vector<std::string> source_lines(std::span<void* const> code);

} // namespace coir
