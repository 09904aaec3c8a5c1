// OpenSSL's queue of errors, which is the thread's: whoever gets an error from OpenSSL takes it from there before
// anything can park. Internal.
#pragma once

#include <string>
#include <system_error>

namespace coir::net {

/// The first in the queue, which is empty then: an errno if OpenSSL had it from the kernel, otherwise of
/// tls_category(); an internal error if there is none.
std::error_code take_tls_error() noexcept;

/// Throws that; `what` was attempted.
[[noreturn]] void throw_tls_error(std::string const& what);

} // namespace coir::net
