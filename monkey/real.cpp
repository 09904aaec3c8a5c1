#include "monkey/real.h"

#include <dlfcn.h>

namespace coir::monkey {

constinit real_functions real;

void* find_real(char const* symbol) noexcept { return dlsym(RTLD_NEXT, symbol); }

} // namespace coir::monkey
