#include "tests/net/connection.h"

#include <array>
#include <cerrno>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>

using namespace std::chrono_literals;
using coir::net::address;
using coir::net::datagram;
using coir::net::datagram_socket;

namespace {

std::string text_of(datagram_socket& from, std::size_t room = 100) {
    std::string buffer(room, ' ');
    datagram const got = from.receive(std::span<char>(buffer));
    return buffer.substr(0, got.size) + (got.truncated ? "…" : "");
}

} // namespace

TEST(datagram_socket, sends_and_receives_whole_ones) {
    for (char const* where : {"127.0.0.1:0", "[::1]:0", "unix:"}) {
        if (*where == '[' && failure_of([&] { datagram_socket six{address(where)}; }).code == EADDRNOTAVAIL) continue;
        datagram_socket one{address(where)}, other{address(where)};
        one.send_to(other.local_address(), "hello");
        one.send_to(other.local_address(), "");
        one.send_to(other.local_address(), "longer");
        std::array<char, 100> buffer;
        datagram const got = other.receive(std::span<char>(buffer));
        EXPECT_EQ(std::string(buffer.data(), got.size), "hello");
        EXPECT_EQ(got.from, one.local_address());
        EXPECT_EQ(text_of(other), "");
        EXPECT_EQ(text_of(other, 3), "lon…");
        other.send_to(got.from, "back");
        EXPECT_EQ(text_of(one), "back");
    }
}

TEST(datagram_socket, receiving_lets_others_run_and_sends_meanwhile) {
    datagram_socket one{"127.0.0.1:0"}, other{"127.0.0.1:0"};
    auto receiver = coir::spawn([&] { return text_of(one); });
    coir::yield();
    one.send_to(other.local_address(), "while it waits");
    EXPECT_EQ(text_of(other), "while it waits");
    EXPECT_FALSE(receiver.ready());
    other.send_to(one.local_address(), "now");
    EXPECT_EQ(receiver.get(), "now");
}

TEST(datagram_socket, connected_to_one_peer) {
    datagram_socket peer{"127.0.0.1:0"}, stranger{"127.0.0.1:0"};
    datagram_socket one = datagram_socket::connected(peer.local_address());
    one.send("x");
    EXPECT_EQ(text_of(peer), "x");
    stranger.send_to(one.local_address(), "not for it");
    peer.send_to(one.local_address(), "for it");
    EXPECT_EQ(text_of(one), "for it");
    address const was = peer.local_address();
    peer.close();
    one.send("nobody there");
    std::array<char, 1> buffer;
    failure const refused = failure_of([&] { one.receive(std::span<char>(buffer)); });
    EXPECT_EQ(refused.code, ECONNREFUSED);
    EXPECT_NE(refused.text.find(was.to_string()), std::string::npos) << refused.text;
}

TEST(datagram_socket, errors_say_to_whom) {
    datagram_socket one{"127.0.0.1:0"};
    failure const large = failure_of([&] { one.send_to("127.0.0.1:9", std::string(70'000, 'x')); });
    EXPECT_EQ(large.code, EMSGSIZE);
    EXPECT_NE(large.text.find("send to 127.0.0.1:9: "), std::string::npos) << large.text;
    EXPECT_EQ(failure_of([&] { one.send("x"); }).code, EDESTADDRREQ);
    std::array<char, 1> buffer;
    EXPECT_EQ(failure_of([&] { one.receive(std::span<char>(buffer), 0s); }).code, ETIMEDOUT);
    failure const taken = failure_of([&] { datagram_socket second{one.local_address()}; });
    EXPECT_EQ(taken.code, EADDRINUSE);
    EXPECT_NE(taken.text.find("receive at 127.0.0.1:"), std::string::npos) << taken.text;
}

TEST(datagram_socket, sending_waits_for_room) {
    datagram_socket receiver{"unix:"}, sender{"unix:"}; // of a Unix socket nothing is dropped
    address const to = receiver.local_address();
    int sent = 0;
    while (failure_of([&] { sender.send_to(to, "x", 0s); }).code == 0) ++sent;
    auto one_more = coir::spawn([&] { sender.send_to(to, "y"); });
    coir::yield();
    EXPECT_FALSE(one_more.ready());
    for (int i = 0; i < sent; ++i) EXPECT_EQ(text_of(receiver), "x");
    EXPECT_EQ(text_of(receiver), "y");
    one_more.join();
}

TEST(datagram_socket, closing_wakes_who_waits) {
    datagram_socket one{"127.0.0.1:0"};
    auto waiter = coir::spawn([&] { return failure_of([&] { text_of(one); }).code; });
    coir::yield();
    one.close();
    EXPECT_EQ(waiter.get(), EBADF);
    EXPECT_EQ(failure_of([&] { text_of(one); }).code, EBADF);
}

TEST(datagram_socket, several_may_share_a_port) {
    datagram_socket first("127.0.0.1:0", true), second(first.local_address(), true);
    EXPECT_EQ(first.local_address(), second.local_address());
}

TEST(datagram_socket, receives_what_is_sent_to_a_group) {
    datagram_socket member{"0.0.0.0:0"}, sender{"127.0.0.1:0"};
    address const group = address::ip("239.255.12.34", member.local_address().port());
    unsigned const loopback = 1;
    failure const no_multicast = failure_of([&] { member.join(group, loopback); });
    if (no_multicast.code == ENODEV) GTEST_SKIP() << no_multicast.text;
    ip_mreqn const by{{}, {}, int(loopback)};
    ASSERT_EQ(setsockopt(sender.native(), IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by), 0);
    sender.send_to(group, "to all");
    EXPECT_EQ(text_of(member), "to all");
}
