// The side of the shim in echo.cpp: a fiber per connection, in plain blocking calls.

#include "tests/bench/echo/server.h"

#include <array>
#include <coir.h>
#include <unistd.h>

int main() {
    bench::raise_descriptor_limit();
    coir::yield(); // from here on the main thread's own context is a fiber
    int const listener = bench::listen_and_say(0);
    for (;;)
        coir::spawn(
            [](int peer) {
                std::array<char, bench::room> buffer;
                for (ssize_t n; (n = read(peer, buffer.data(), buffer.size())) > 0;)
                    if (write(peer, buffer.data(), std::size_t(n)) != n) break;
                close(peer);
            },
            bench::checked(accept(listener, nullptr, nullptr), "accept"));
}
