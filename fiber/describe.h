// Exceptions and types in words, for messages. Allocates; any thread. Internal.
#pragma once

#include <exception>
#include <string>
#include <typeinfo>

namespace coir {

/// "std::runtime_error: what it says". The exception must not be null.
std::string describe(std::exception_ptr const& error);

std::string demangled(std::type_info const& type);

} // namespace coir
