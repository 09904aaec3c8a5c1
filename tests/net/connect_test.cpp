#include "tests/net/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <netdb.h>
#include <string>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;
using coir::net::address;
using coir::net::connect;
using coir::net::tcp_listener;
using coir::net::tcp_stream;

namespace {

std::vector<address> tried;                   // by connect, each once
std::vector<std::pair<address, int>> failing; // what connecting to some fails with
address const no_route("192.0.2.1:80"), refusing("192.0.2.2:80"), unreachable("[2001:db8::1]:80");

} // namespace

// libcoir's calls come here: peers that there are none of on loopback.
extern "C" int connect(int fd, sockaddr const* peer, socklen_t size) {
    address const to = address::from_native(peer, size);
    if (tried.empty() || tried.back() != to) tried.push_back(to);
    for (auto const& [whom, error] : failing)
        if (whom == to) {
            errno = error;
            return -1;
        }
    return int(syscall(SYS_connect, fd, peer, size));
}

namespace {

// Nobody answers: the kernel drops what asks beyond a full backlog.
struct black_hole {
    explicit black_hole(char const* where) : listener(address(where), 0) {
        first = tcp_stream::connect(listener.local_address());
        where_ = listener.local_address();
        tried.clear();
    }
    address const& where() const { return where_; }

private:
    tcp_listener listener;
    tcp_stream first;
    address where_;
};

struct fixed final : coir::net::resolver {
    std::vector<address> all;
    explicit fixed(std::vector<address> list) : all(std::move(list)) {}
    std::vector<address> look_up(coir::net::lookup const&, coir::deadline) override { return all; }
};

struct connecting : testing::Test {
    void SetUp() override {
        coir::yield(); // the hub has its descriptors
        tried.clear();
        failing = {{no_route, ENETUNREACH}, {unreachable, EHOSTUNREACH}, {refusing, ECONNREFUSED}};
    }
    void TearDown() override { failing.clear(); }
};

std::size_t descriptors() {
    auto const all = std::filesystem::directory_iterator("/proc/self/fd");
    return std::size_t(std::distance(begin(all), end(all)));
}

bool has_ipv6() {
    return failure_of([] { tcp_listener("[::1]:0"); }).code != EADDRNOTAVAIL;
}

coir::net::connect_options named(coir::net::resolver& with, std::chrono::nanoseconds delay = 1h) {
    return {.attempt_delay = delay, .lookup = {.with = &with}};
}

TEST_F(connecting, the_second_is_taken_when_the_first_refuses) {
    tcp_listener listener("127.0.0.1:0");
    auto const open = descriptors();
    fixed answer({refusing, no_route, unreachable, listener.local_address()});
    tcp_stream const peer = connect("example.org", 80, named(answer));
    EXPECT_EQ(peer.peer_address(), listener.local_address());
    EXPECT_EQ(tried, (std::vector{refusing, unreachable, no_route, listener.local_address()})) << "families take turns";
    EXPECT_EQ(descriptors(), open + 1);
}

TEST_F(connecting, nobody_waits_for_one_that_does_not_answer) {
    if (!has_ipv6()) GTEST_SKIP() << "no IPv6 here";
    black_hole const hole("[::1]:0");
    tcp_listener listener("127.0.0.1:0");
    auto const open = descriptors();
    {
        fixed answer({hole.where(), listener.local_address()});
        tcp_stream const peer = connect("example.org", 80, named(answer, 1ms));
        EXPECT_EQ(peer.peer_address(), listener.local_address());
        EXPECT_EQ(listener.accept().peer_address(), peer.local_address());
        EXPECT_EQ(descriptors(), open + 1) << "the first attempt is still open";
    }
    EXPECT_EQ(tried.front(), hole.where());
    EXPECT_EQ(descriptors(), open);
}

TEST_F(connecting, the_first_is_not_given_up_when_the_second_has_begun) {
    // It answers when another has asked: the attempts run at once.
    tcp_listener slow("127.0.0.1:0", 0);
    tcp_stream const before = tcp_stream::connect(slow.local_address());
    black_hole const hole("127.0.0.1:0");
    std::array const both{slow.local_address(), hole.where()};
    auto accepting = coir::spawn([&] {
        while (tried.size() < 2 || tried.back() != hole.where()) coir::yield();
        slow.accept(); // makes room: the kernel asks again after a second
        return slow.accept().peer_address();
    });
    tcp_stream const peer = connect(both, {.attempt_delay = 1ms});
    EXPECT_EQ(peer.peer_address(), slow.local_address());
    EXPECT_EQ(accepting.get(), peer.local_address());
}

TEST_F(connecting, has_a_deadline_for_all) {
    black_hole const hole("127.0.0.1:0");
    auto const open = descriptors();
    fixed answer({refusing, hole.where(), no_route, unreachable});
    auto how = named(answer);
    how.until = 5ms;
    failure const late = failure_of([&] { connect("example.org", "80", how); });
    EXPECT_EQ(late.code, ETIMEDOUT);
    EXPECT_EQ(late.text,
              "connect example.org:80: 192.0.2.2:80: Connection refused; [2001:db8::1]:80: No route to host; "
              "1 more not tried; " +
                  hole.where().to_string() + ": Connection timed out");
    EXPECT_EQ(descriptors(), open);
}

TEST_F(connecting, all_fail_in_one_error) {
    fixed answer({unreachable, refusing, no_route});
    failure const all = failure_of([&] { connect("example.org:80", named(answer)); });
    EXPECT_EQ(all.code, ECONNREFUSED);
    EXPECT_EQ(all.text, "connect example.org:80: [2001:db8::1]:80: No route to host; 192.0.2.1:80: Network is "
                        "unreachable; 192.0.2.2:80: Connection refused")
        << "the last of those that tell of the peer comes last";
    fixed none({no_route});
    EXPECT_EQ(failure_of([&] { connect("example.org", 80, named(none)); }).text,
              "connect example.org:80: 192.0.2.1:80: Network is unreachable");
    EXPECT_EQ(failure_of([&] { connect("192.0.2.2", 80); }).text, "connect 192.0.2.2:80: Connection refused");
    EXPECT_EQ(failure_of([&] { connect("2001:db8::1", 80); }).text, "connect [2001:db8::1]:80: No route to host");
    std::array const listed{no_route, refusing};
    EXPECT_EQ(failure_of([&] { connect(listed); }).text,
              "connect 192.0.2.1:80: Network is unreachable; 192.0.2.2:80: Connection refused");
    EXPECT_EQ(failure_of([&] { connect(std::span<address const>{}); }).code, EINVAL);
}

TEST_F(connecting, killed_or_timed_out_in_the_middle_leaves_nothing) {
    black_hole const hole("127.0.0.1:0"), other("127.0.0.1:0");
    auto const open = descriptors();
    std::array const both{hole.where(), other.where()};
    auto maker = coir::spawn([&] { connect(both, {.attempt_delay = 0ns}); });
    while (tried.size() < 2) coir::yield();
    EXPECT_EQ(descriptors(), open + 2);
    EXPECT_TRUE(maker.kill());
    EXPECT_EQ(descriptors(), open);
    EXPECT_FALSE(coir::with_timeout(5ms, [&] { connect(both); }));
    EXPECT_EQ(descriptors(), open);
}

TEST_F(connecting, to_a_port_that_nobody_has_and_to_a_name_that_nobody_knows) {
    address const nobody = tcp_listener("127.0.0.1:0").local_address();
    EXPECT_EQ(failure_of([&] { connect(nobody.to_string()); }).text,
              "connect " + nobody.to_string() + ": Connection refused");
    EXPECT_EQ(failure_of([&] { connect("localhost", "no-such-service"); }).code, EAI_SERVICE);
    EXPECT_EQ(failure_of([&] { connect("localhost"); }).code, EINVAL);
}

TEST_F(connecting, by_the_systems_resolver) {
    tcp_listener listener("127.0.0.1:0");
    tcp_stream const peer = connect("localhost", listener.local_address().port());
    EXPECT_EQ(peer.peer_address(), listener.local_address());
}

TEST_F(connecting, a_unix_socket_too) {
    coir::net::unix_listener listener("unix:");
    EXPECT_TRUE(connect(listener.local_address().to_string()).is_open());
}

} // namespace
