// The side of threads in echo.cpp: a kernel thread per connection, in plain blocking calls.

#include "tests/bench/echo/server.h"

#include <array>
#include <thread>
#include <unistd.h>

int main() {
    bench::raise_descriptor_limit();
    int const listener = bench::listen_and_say(0);
    for (;;)
        std::thread(
            [](int peer) {
                std::array<char, bench::room> buffer;
                for (ssize_t n; (n = read(peer, buffer.data(), buffer.size())) > 0;)
                    if (write(peer, buffer.data(), std::size_t(n)) != n) break;
                close(peer);
            },
            bench::checked(accept(listener, nullptr, nullptr), "accept"))
            .detach();
}
