// What the tests of net/ share: a connection over loopback, what goes over it, and errors as values.
#pragma once

#include <coir.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

struct connection {
    coir::net::tcp_stream near;
    coir::net::tcp_stream far;
};

inline connection connected() {
    coir::net::tcp_listener listener("127.0.0.1:0");
    connection made;
    made.near = coir::net::tcp_stream::connect(listener.local_address());
    made.far = listener.accept();
    return made;
}

// Bytes of which none follows from its neighbours; the same ones every time.
inline std::string noise(std::size_t size, std::uint32_t state = 1) {
    std::string made(size, ' ');
    for (char& each : made) each = char((state = state * 1664525 + 1013904223) >> 24);
    return made;
}

inline std::string read_to_end(coir::net::stream& from, std::size_t at_once = 1024) {
    std::string all;
    std::vector<char> buffer(at_once);
    while (auto n = from.read_some(buffer)) all.append(buffer.data(), n);
    return all;
}

// The code and the text of the std::system_error that `call` throws; 0 if it throws nothing.
struct failure {
    int code = 0;
    std::string text;
};

template <class Call>
failure failure_of(Call&& call) {
    try {
        call();
    } catch (std::system_error const& error) {
        return {error.code().value(), error.what()};
    }
    return {};
}
