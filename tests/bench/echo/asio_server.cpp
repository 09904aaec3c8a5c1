// Asio's side of echo.cpp: its callbacks, a buffer for each connection.

#include "tests/bench/echo/server.h"

#include <array>
#include <asio.hpp>
#include <memory>

namespace {

using asio::ip::tcp;

struct connection : std::enable_shared_from_this<connection> {
    explicit connection(tcp::socket peer) : peer(std::move(peer)) {}

    void receive() {
        peer.async_read_some(asio::buffer(buffer), [self = shared_from_this()](std::error_code error, std::size_t got) {
            if (!error) self->send(got);
        });
    }
    void send(std::size_t count) {
        asio::async_write(peer, asio::buffer(buffer, count),
                          [self = shared_from_this()](std::error_code error, std::size_t) {
                              if (!error) self->receive();
                          });
    }

    tcp::socket peer;
    std::array<char, bench::room> buffer;
};

void accept_next(tcp::acceptor& listener) {
    listener.async_accept([&](std::error_code error, tcp::socket peer) {
        if (error) throw std::system_error(error, "accept");
        std::make_shared<connection>(std::move(peer))->receive();
        accept_next(listener);
    });
}

} // namespace

int main() {
    bench::raise_descriptor_limit();
    asio::io_context loop(1); // one thread
    tcp::acceptor listener(loop, tcp::v4(), bench::listen_and_say(0));
    accept_next(listener);
    loop.run();
}
