#include "monkey/real.h"

#include <dlfcn.h>

namespace coir::monkey {

constinit real_functions real;

// What is next, dlsym tells by its return address: a call at the very end would lend it the caller's.
void* find_real(char const* symbol) noexcept {
    void* const volatile found = dlsym(RTLD_NEXT, symbol);
    return found;
}

} // namespace coir::monkey
