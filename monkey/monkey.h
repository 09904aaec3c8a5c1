// The shim as a program sees it. libcoir-monkey.so is put under a program with LD_PRELOAD or `coir run`, or linked
// before libc; then the blocking calls that the program and its libraries make in a fiber let other fibers run.
//
// Nothing here needs the shim at link time: without it is_patched() is false, and patch_all() says what is missing.
#pragma once

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <stdexcept>
#include <string>

namespace coir::monkey {

/// @cond internal
namespace detail {

template <class Function>
Function* of_shim(char const* name) noexcept {
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

// The library whose `symbol` the program's calls reach.
inline std::string provider_of(char const* symbol) {
    Dl_info where;
    void* const found = dlsym(RTLD_DEFAULT, symbol);
    return found && dladdr(found, &where) && where.dli_fname ? where.dli_fname : "nobody";
}

inline bool is_shim(std::string const& library) { return library.find("libcoir-monkey.so") != std::string::npos; }

} // namespace detail
/// @endcond

/// Whether calls of `symbol` reach the shim in this process and are taken over, for example is_patched("poll"). Any
/// thread. gevent: is_module_patched, is_object_patched.
inline bool is_patched(char const* symbol) {
    auto* const taken_over = detail::of_shim<bool(char const*)>("coir_monkey_is_taken_over");
    return taken_over && detail::is_shim(detail::provider_of(symbol)) && taken_over(symbol);
}

/// libc's own `symbol`, behind the shim's: for calls that are to block the thread. Null if there is none of that name.
/// Any thread. gevent: get_original.
inline void* get_original(char const* symbol) noexcept {
    auto* const original = detail::of_shim<void*(char const*)>("coir_monkey_original");
    return original ? original(symbol) : dlsym(RTLD_DEFAULT, symbol);
}

/// Takes over the calls of these families from now on and leaves those of all others to libc: a list like
/// "socket,time", "all", or "-file" for all but one (docs/monkey.md lists them). Throws std::invalid_argument for a
/// name that is none; and std::logic_error when the shim is not there, or comes after libc in the order of search,
/// because it was loaded when the program already ran: it cannot get between the program and libc any more. Any thread.
/// gevent: patch_all.
inline void patch_all(char const* families = "all") {
    auto* const patch = detail::of_shim<char*(char const*)>("coir_monkey_patch");
    std::string const provider = detail::provider_of("read");
    if (!patch || !detail::is_shim(provider))
        throw std::logic_error("coir::monkey::patch_all: calls go to " + provider + ": libcoir-monkey.so " +
                               (patch ? "was loaded too late" : "is not loaded") +
                               "; put it under the program with `coir run` or LD_PRELOAD, or link it before libc");
    if (char* const error = patch(families)) {
        std::string const text = std::string("coir::monkey::patch_all: ") + error;
        std::free(error);
        throw std::invalid_argument(text);
    }
}

} // namespace coir::monkey
