// Exceptions and types in words, for messages. Allocates; any thread. Internal.
#pragma once

#include <exception>
#include <string>
#include <typeinfo>

namespace coir {

struct context;

/// "std::runtime_error: what it says". The exception must not be null.
std::string describe(std::exception_ptr const& error);

/// It is a fiber_exit.
bool is_exit(std::exception_ptr const& error) noexcept;

std::string demangled(std::type_info const& type);
/// The symbol itself if it is no mangled name.
std::string demangled(char const* symbol);

/// Says on stderr that nobody gets an exception that left `of`, and why.
void report_ignored(context const& of, std::exception_ptr const& error, std::string const& why);

} // namespace coir
