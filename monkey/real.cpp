#include "monkey/real.h"

#include <dlfcn.h>

namespace coir::monkey {

constinit real_functions real;

// What is next, dlsym tells by its return address: a call at the very end would lend it the caller's.
void* find_real(char const* symbol) noexcept {
    void* volatile found = dlsym(RTLD_NEXT, symbol);
#if defined(__x86_64__)
    if (!found) found = dlvsym(RTLD_NEXT, symbol, "GLIBC_2.2.5"); // libc has it for old programs only
#endif
    return found;
}

} // namespace coir::monkey
