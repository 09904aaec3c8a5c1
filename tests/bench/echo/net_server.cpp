// The sides of coir::net in echo.cpp: a fiber per connection; with --receive-ahead through io_uring, where that is
// allowed.

#include "tests/bench/echo/server.h"

#include <array>
#include <coir.h>
#include <string_view>

int main(int argc, char** argv) {
    bool const ahead = argc > 1 && std::string_view(argv[1]) == "--receive-ahead";
    bench::raise_descriptor_limit();
    coir::net::tcp_listener listener("127.0.0.1:0");
    bench::say_where(listener.local_address().port());
    for (;;)
        coir::spawn(
            [ahead](coir::net::tcp_stream peer) {
                if (ahead) peer.receive_ahead();
                std::array<char, bench::room> buffer;
                while (auto n = peer.read_some(buffer)) peer.write_all({buffer.data(), n});
            },
            listener.accept());
}
