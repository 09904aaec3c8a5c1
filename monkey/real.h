// libc's own functions, behind the ones that the shim exports: `real.read(fd, buffer, size)`.
//
// Each is looked up at its first call and not before: there is no work at load time, and calls that come before the
// shim's own constructors would have run still reach libc. Any thread.
#pragma once

#include "monkey/bodies.h"

#include <atomic>
#include <cerrno>

namespace coir::monkey {

/// The definition of `symbol` that comes after the shim's in search order (dlsym, RTLD_NEXT); null if there is none.
void* find_real(char const* symbol) noexcept;

template <class Signature>
class real_function;

template <class Result, class... A>
class real_function<Result(A...)> {
public:
    constexpr explicit real_function(char const* symbol) noexcept : symbol_(symbol) {}

    Result operator()(A... arguments) {
        auto* function = found_.load(std::memory_order_relaxed);
        if (!function) [[unlikely]]
            function = find();
        return function(arguments...);
    }

private:
    using pointer = Result (*)(A...);

    pointer find() noexcept {
        auto* function = reinterpret_cast<pointer>(find_real(symbol_));
        if (!function) function = missing; // a libc older than the symbol
        found_.store(function, std::memory_order_relaxed);
        return function;
    }

    static Result missing(A...) {
        errno = ENOSYS;
        return Result(-1);
    }

    std::atomic<pointer> found_{nullptr};
    char const* symbol_;
};

struct real_functions {
#define ALIAS(convention, result, symbol, parameters, arguments, body) real_function<result parameters> symbol{#symbol};
#define HOOK(convention, result, symbol, parameters, arguments) ALIAS(, result, symbol, parameters, , )
#define VARIADIC(convention, result, symbol, parameters, last, libc, body)
#include "monkey/hooks.def"
#undef ALIAS
#undef HOOK
};

extern constinit real_functions real;

} // namespace coir::monkey
