#include "tests/net/connection.h"

#include <array>
#include <gtest/gtest.h>
#include <optional>
#include <string_view>

using namespace std::chrono_literals;
using coir::net::between_requests;
using coir::net::stream_server;
using coir::net::tcp_stream;

namespace {

// Echoes messages of one byte. Before it answers a '?' it waits until it may.
struct answering {
    coir::event may_answer, asked;
    int answered = 0;

    void operator()(tcp_stream& peer) {
        for (;;) {
            std::array<char, 1> byte;
            {
                between_requests const idle;
                if (peer.read_some(byte) == 0) return;
            }
            if (byte[0] == '?') {
                asked.set();
                may_answer.wait();
            }
            peer.write_all(byte);
            ++answered;
        }
    }
};

std::string_view ask(tcp_stream& of, std::string_view what) {
    static std::array<char, 1> answer;
    of.write_all(what);
    return {answer.data(), of.read_some(answer)};
}

TEST(server, stop_ends_those_that_are_between_requests) {
    answering work;
    stream_server server{"127.0.0.1:0", [&](tcp_stream peer) { work(peer); }};
    server.start();
    std::array<tcp_stream, 3> peers;
    for (auto& each : peers) {
        each = tcp_stream::connect(server.address());
        EXPECT_EQ(ask(each, "a"), "a");
    }
    auto late = coir::spawn([&] { return ask(peers[1], "?") == "?"; });
    work.asked.wait();
    auto stop = coir::spawn([&] { return server.stop(coir::deadline()); }); // never
    std::array<char, 1> more;
    EXPECT_EQ(peers[0].read_some(more), 0u);
    EXPECT_EQ(peers[2].read_some(more), 0u);
    EXPECT_EQ(server.handlers(), 1u);
    EXPECT_FALSE(stop.ready());
    work.may_answer.set();
    EXPECT_TRUE(late.get());
    EXPECT_EQ(peers[1].read_some(more), 0u); // no next request of it was waited for
    EXPECT_TRUE(stop.get());
    EXPECT_EQ(work.answered, 4);
}

TEST(server, close_lets_them_wait) {
    answering work;
    stream_server server{"127.0.0.1:0", [&](tcp_stream peer) { work(peer); }};
    server.start();
    tcp_stream peer = tcp_stream::connect(server.address());
    EXPECT_EQ(ask(peer, "a"), "a");
    server.close();
    EXPECT_EQ(ask(peer, "b"), "b"); // it waited for that already
    std::array<char, 1> more;
    EXPECT_EQ(peer.read_some(more), 0u);
    server.serve_forever();
    EXPECT_EQ(work.answered, 2);
}

TEST(server, a_handler_between_requests_stops_its_server) {
    std::optional<stream_server> server;
    bool stopped = false;
    server.emplace("127.0.0.1:0", [&](tcp_stream) {
        between_requests const outer, inner;
        stopped = server->stop(coir::deadline());
    });
    server->start();
    tcp_stream const peer = tcp_stream::connect(server->address());
    server->serve_forever();
    EXPECT_TRUE(stopped);
}

TEST(server, between_requests_is_for_handlers) {
    between_requests const here; // no handler: it does nothing
    stream_server server{"127.0.0.1:0", [&](tcp_stream peer) {
                             auto other = coir::spawn([&] {
                                 between_requests const elsewhere;
                                 peer.write_all("x");
                             });
                             other.join();
                         }};
    server.start();
    tcp_stream peer = tcp_stream::connect(server.address());
    std::array<char, 1> got;
    EXPECT_EQ(peer.read_some(got), 1u);
    EXPECT_TRUE(server.stop(coir::deadline()));
}

} // namespace
