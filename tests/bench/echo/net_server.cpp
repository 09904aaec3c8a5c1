// The side of coir::net in echo.cpp: a fiber per connection.

#include "tests/bench/echo/server.h"

#include <array>
#include <coir.h>

int main() {
    bench::raise_descriptor_limit();
    coir::net::tcp_listener listener("127.0.0.1:0");
    bench::say_where(listener.local_address().port());
    for (;;)
        coir::spawn(
            [](coir::net::tcp_stream peer) {
                std::array<char, bench::room> buffer;
                while (auto n = peer.read_some(buffer)) peer.write_all({buffer.data(), n});
            },
            listener.accept());
}
