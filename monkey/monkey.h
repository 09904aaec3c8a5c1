// The shim as a program sees it. libcoir-monkey.so is put under a program with LD_PRELOAD, or linked before libc; then
// the blocking calls that the program and its libraries make in a fiber let other fibers run.
#pragma once

#include <cstring>
#include <dlfcn.h>

namespace coir::monkey {

/// Whether calls of `symbol` reach the shim in this process, for example is_patched("poll"). Any thread.
inline bool is_patched(char const* symbol) noexcept {
    Dl_info where;
    void* const found = dlsym(RTLD_DEFAULT, symbol);
    return found && dladdr(found, &where) && where.dli_fname && std::strstr(where.dli_fname, "libcoir-monkey.so");
}

} // namespace coir::monkey
