// For tests that leave fibers or greenlets behind on purpose. LeakSanitizer does not look for pointers on
// their stacks and would report what they hold.
#pragma once

#include "fiber/sanitizer.h"

#if COIR_ASAN
#include <sanitizer/lsan_interface.h>
#endif

/// What is allocated while one exists is no leak.
struct never_ended {
#if COIR_ASAN
    never_ended() { __lsan_disable(); }
    ~never_ended() { __lsan_enable(); }
#else
    never_ended() {}
#endif
};
