// A server that echoes, as samples/net_echo_server has it, between peers that send, read, half-close, reset and vanish
// in any order. Whatever some of them do, the others get back what they sent, and in the end nobody is left.
//
// An input is a list of steps of two bytes: what is done, by which peer, and how much of it.
#include "fuzz.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <coir.h>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <vector>

namespace {

using namespace std::chrono_literals;
namespace net = coir::net;

void echo(net::tcp_stream peer) {
    std::array<char, 4096> buffer;
    while (auto const n = peer.read_some(buffer)) peer.write_all({buffer.data(), n});
}

class peer {
public:
    explicit peer(unsigned number) : number_(number) {}

    void connect(net::address const& to) {
        if (stream_.is_open()) return;
        stream_ = net::tcp_stream::connect(to);
        sent_ = received_ = 0;
        ended_ = false;
    }
    // As much of it as can be taken now: who waits for a server that waits for it would do so forever.
    void send(std::size_t n) {
        if (!stream_.is_open() || ended_) return;
        std::string what(n, '\0');
        for (std::size_t i = 0; i < n; ++i) what[i] = at(sent_ + i);
        try {
            sent_ += stream_.write_some(what, 0s);
        } catch (std::system_error const& error) {
            if (error.code() != std::errc::timed_out) throw;
        }
    }
    void receive(std::size_t most) {
        if (!stream_.is_open() || received_ == sent_) return;
        std::vector<char> got(std::min(most, sent_ - received_));
        std::size_t const n = stream_.read_some(got);
        expect(n > 0, "the server ended a connection");
        for (std::size_t i = 0; i < n; ++i) expect(got[i] == at(received_ + i), "not what was sent");
        received_ += n;
    }
    void end() {
        if (!stream_.is_open() || ended_) return;
        stream_.shutdown_write();
        ended_ = true;
    }
    void vanish() { stream_.close(); }
    void reset() {
        linger const at_once{.l_onoff = 1, .l_linger = 0};
        if (stream_.is_open()) ::setsockopt(stream_.native(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        stream_.close();
    }
    void say_goodbye() {
        if (!stream_.is_open()) return;
        end();
        while (received_ < sent_) receive(1 << 16);
        std::array<char, 1> more;
        expect(stream_.read_some(more) == 0, "more than was sent");
        stream_.close();
    }

private:
    // Each peer has its own stream of bytes.
    char at(std::size_t i) const { return char((i * (2 * number_ + 3) + i / 251 + number_) % 256); }

    unsigned number_;
    net::tcp_stream stream_;
    std::size_t sent_ = 0, received_ = 0; // bytes
    bool ended_ = false;                  // no more are sent
};

void step(peer& by, net::address const& server, unsigned what, std::size_t amount) {
    switch (what) {
    case 0: return by.connect(server);
    case 1: return by.send(amount);
    case 2: return by.send(amount * 1024);
    case 3: return by.receive(amount * 64);
    case 4: return by.end();
    case 5: return by.vanish();
    case 6: return by.reset();
    default:
        for (std::size_t i = 0; i < amount % 8; ++i) coir::yield();
    }
}

} // namespace

void run_input(std::span<std::uint8_t const> input) {
    static net::stream_server server = [] {
        coir::on_unhandled_exception([](auto const&...) { expect(false, "an exception that is no peer's fault"); });
        return net::stream_server("127.0.0.1:0", echo);
    }();
    server.start();
    peer peers[] = {peer(0), peer(1), peer(2), peer(3)};
    for (; input.size() >= 2; input = input.subspan(2))
        step(peers[input[0] >> 3 & 3], server.address(), input[0] & 7, input[1] + std::size_t(1));
    for (peer& each : peers) each.say_goodbye();
    while (server.handlers() > 0) coir::yield();
}
