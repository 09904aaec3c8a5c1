// The side of the shim in echo.cpp: a fiber per connection, in plain blocking calls.

#include "tests/bench/echo/server.h"

#include <coir.h>

int main() {
    bench::raise_descriptor_limit();
    coir::yield(); // from here on the main thread's own context is a fiber
    int const listener = bench::listen_and_say(0);
    for (;;) coir::spawn(bench::echo_plainly, bench::checked(accept(listener, nullptr, nullptr), "accept"));
}
