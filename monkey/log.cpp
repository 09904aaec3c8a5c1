// The system log is written by libc through a socket of its own that no symbol reaches, and whoever reads it may be
// slow: a worker thread writes.

#include "monkey/bodies.h"
#include "monkey/lookup.h"
#include "monkey/real.h"

namespace coir::monkey {

long body::vsyslog(int priority, int check, char const* format, va_list arguments) {
    by_worker(
        [&] {
            if (check)
                real.__vsyslog_chk(priority, check, format, arguments);
            else
                real.vsyslog(priority, format, arguments);
        },
        "syslog");
    return 0;
}

} // namespace coir::monkey
