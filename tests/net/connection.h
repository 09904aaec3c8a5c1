// What the tests of net/ share: a connection over loopback, and errors as values.
#pragma once

#include <coir.h>

#include <string>
#include <system_error>

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
