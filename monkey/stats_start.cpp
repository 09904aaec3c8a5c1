// libcoir-stats.so, preloaded after the shim by `coir run --stats`: before main begins, the calls of fibers are
// counted, and the main code is one, even if the program knows nothing of coir. Apart from the shim because that does
// nothing when it is loaded.

#include "hub/hub.h"

extern "C" void coir_monkey_count_calls() noexcept;

namespace {

[[gnu::constructor]] void start() {
    coir::hub::current();
    coir_monkey_count_calls();
}

} // namespace
