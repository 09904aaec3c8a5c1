// The side of threads in echo.cpp: a kernel thread per connection, in plain blocking calls.

#include "tests/bench/echo/server.h"

#include <thread>

int main() {
    bench::raise_descriptor_limit();
    int const listener = bench::listen_and_say(0);
    for (;;) std::thread(bench::echo_plainly, bench::checked(accept(listener, nullptr, nullptr), "accept")).detach();
}
