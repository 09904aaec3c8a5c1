// libuv's side of echo.cpp: its callbacks, on one buffer, and uv_try_write, which needs no allocation.

#include "tests/bench/echo/server.h"

#include <array>
#include <stdexcept>
#include <uv.h>

namespace {

int done(int status, char const* what) {
    if (status < 0) throw std::runtime_error(std::string(what) + ": " + uv_strerror(status));
    return status;
}

std::array<char, bench::room> buffer;

void close_it(uv_stream_t* peer) {
    uv_close(reinterpret_cast<uv_handle_t*>(peer),
             [](uv_handle_t* closed) { delete reinterpret_cast<uv_tcp_t*>(closed); });
}

void echo(uv_stream_t* peer, ssize_t got, uv_buf_t const*) {
    if (got == 0) return; // EAGAIN
    uv_buf_t answer = uv_buf_init(buffer.data(), unsigned(got > 0 ? got : 0));
    if (got < 0 || uv_try_write(peer, &answer, 1) != got) close_it(peer);
}

void accept_one(uv_stream_t* listener, int status) {
    done(status, "listen");
    auto* const peer = new uv_tcp_t;
    auto* const stream = reinterpret_cast<uv_stream_t*>(peer);
    uv_tcp_init(listener->loop, peer);
    done(uv_accept(listener, stream), "accept");
    uv_read_start(
        stream, [](uv_handle_t*, std::size_t, uv_buf_t* room) { *room = uv_buf_init(buffer.data(), buffer.size()); },
        echo);
}

} // namespace

int main() {
    bench::raise_descriptor_limit();
    uv_tcp_t listener;
    done(uv_tcp_init(uv_default_loop(), &listener), "uv_tcp_init");
    done(uv_tcp_open(&listener, bench::listen_and_say(SOCK_NONBLOCK)), "uv_tcp_open");
    done(uv_listen(reinterpret_cast<uv_stream_t*>(&listener), SOMAXCONN, accept_one), "uv_listen");
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
