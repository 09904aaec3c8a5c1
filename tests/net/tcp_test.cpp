#include "tests/net/connection.h"

#include <array>
#include <cerrno>
#include <deque>
#include <gtest/gtest.h>
#include <numeric>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

using namespace std::chrono_literals;
using coir::net::address;
using coir::net::tcp_listener;
using coir::net::tcp_stream;

namespace {

std::deque<int> accept_errors;              // what the next calls of accept4 fail with
address const* connect_to_itself = nullptr; // what the next connect is to come from: whom it goes to

} // namespace

// libcoir's calls come here: errors that loopback does not produce.
extern "C" int accept4(int fd, sockaddr* peer, socklen_t* size, int flags) {
    if (accept_errors.empty()) return int(syscall(SYS_accept4, fd, peer, size, flags));
    errno = accept_errors.front();
    accept_errors.pop_front();
    return -1;
}

extern "C" int connect(int fd, sockaddr const* peer, socklen_t size) {
    // The kernel chooses the peer's own port for the near end: rare, but then the connection is to itself.
    address const* const near = std::exchange(connect_to_itself, nullptr);
    if (near && bind(fd, near->native(), near->native_size()) != 0) return -1;
    return int(syscall(SYS_connect, fd, peer, size));
}

namespace {

void set(int fd, int option, int value) { ASSERT_EQ(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value), 0); }

void echo(tcp_stream peer) {
    std::array<char, 1024> buffer;
    while (auto n = peer.read_some(buffer)) peer.write_all({buffer.data(), n});
}

void serve(tcp_listener& listener) {
    try {
        for (;;) coir::spawn(echo, listener.accept());
    } catch (std::system_error const& closed) {
        EXPECT_EQ(closed.code().value(), EBADF) << closed.what();
    }
}

void echo_to_many(char const* where, std::size_t clients) {
    tcp_listener listener{address(where)};
    EXPECT_NE(listener.local_address().port(), 0);
    auto server = coir::spawn(serve, std::ref(listener));
    std::vector<coir::fiber<std::string>> answers;
    for (std::size_t i = 0; i < clients; ++i)
        answers.push_back(coir::spawn([&listener, i] {
            auto stream = tcp_stream::connect(listener.local_address());
            EXPECT_EQ(stream.peer_address(), listener.local_address());
            stream.write_all(std::string(i * 7, char('a' + i % 26)));
            stream.shutdown_write();
            return read_to_end(stream);
        }));
    for (std::size_t i = 0; i < clients; ++i) EXPECT_EQ(answers[i].get(), std::string(i * 7, char('a' + i % 26)));
    listener.close();
    server.get();
}

TEST(tcp, echo_between_fibers) { echo_to_many("127.0.0.1:0", 200); }

TEST(tcp, echo_over_ipv6) {
    if (failure_of([] { tcp_listener("[::1]:0"); }).code == EADDRNOTAVAIL) GTEST_SKIP() << "no IPv6 here";
    echo_to_many("[::1]:0", 10);
}

TEST(tcp, accept_knows_the_peer) {
    auto [near, far] = connected();
    EXPECT_EQ(far.peer_address(), near.local_address());
    EXPECT_EQ(near.peer_address(), far.local_address());
}

TEST(tcp, connection_refused_says_where) {
    address const nobody = tcp_listener("127.0.0.1:0").local_address(); // closed again
    failure const error = failure_of([&] { tcp_stream::connect(nobody); });
    EXPECT_EQ(error.code, ECONNREFUSED);
    EXPECT_EQ(error.text, "connect " + nobody.to_string() + ": Connection refused");
}

TEST(tcp, connected_to_itself_is_refused) {
    for (bool by_the_address_of_all : {false, true}) { // which stands for this machine, too
        address const nobody = tcp_listener("127.0.0.1:0").local_address();
        connect_to_itself = &nobody;
        address const to = by_the_address_of_all ? address("0.0.0.0:0").with_port(nobody.port()) : nobody;
        failure const error = failure_of([&] { tcp_stream::connect(to); });
        EXPECT_EQ(error.code, ECONNREFUSED) << error.text;
    }
}

TEST(tcp, connected_by_the_address_of_all_the_peer_is_the_one_that_was_reached) {
    tcp_listener listener("127.0.0.1:0");
    auto stream = tcp_stream::connect(address("0.0.0.0:0").with_port(listener.local_address().port()));
    EXPECT_EQ(stream.peer_address(), listener.local_address());
}

TEST(tcp, connect_has_a_deadline) {
    tcp_listener listener("127.0.0.1:0", 0); // room for one; the kernel drops what asks beyond it
    auto first = tcp_stream::connect(listener.local_address());
    failure const error = failure_of([&] { tcp_stream::connect(listener.local_address(), 20ms); });
    EXPECT_EQ(error.code, ETIMEDOUT);
    EXPECT_EQ(error.text, "connect " + listener.local_address().to_string() + ": Connection timed out");
}

TEST(tcp, port_in_use_says_which) {
    tcp_listener const first("127.0.0.1:0");
    address const taken = first.local_address();
    failure const error = failure_of([&] { tcp_listener second(taken); });
    EXPECT_EQ(error.code, EADDRINUSE);
    EXPECT_EQ(error.text, "listen on " + taken.to_string() + ": Address already in use");
}

TEST(tcp, port_is_free_again_at_once) {
    address where;
    {
        tcp_listener listener("127.0.0.1:0");
        where = listener.local_address();
        auto client = tcp_stream::connect(where);
        listener.accept().close(); // this end closes first, and so keeps the port in TIME_WAIT
        char one;
        EXPECT_EQ(client.read_some({&one, 1}), 0u);
    }
    EXPECT_EQ(tcp_listener(where).local_address(), where);
}

TEST(tcp, read_and_accept_have_a_deadline) {
    auto [near, far] = connected();
    char one;
    failure const read = failure_of([&, &near = near] { near.read_some({&one, 1}, 5ms); });
    EXPECT_EQ(read.code, ETIMEDOUT);
    EXPECT_EQ(read.text, "read from " + near.peer_address().to_string() + ": Connection timed out");
    far.write_all("x"); // and it can be read from afterwards
    EXPECT_EQ(near.read_some({&one, 1}, 1h), 1u);
    tcp_listener listener("127.0.0.1:0");
    EXPECT_EQ(failure_of([&] { listener.accept(5ms); }).text,
              "accept on " + listener.local_address().to_string() + ": Connection timed out");
}

TEST(tcp, write_has_a_deadline) {
    auto [near, far] = connected();
    std::string const much(64'000'000, 'x');
    failure const error = failure_of([&, &near = near] { near.write_all(much, 5ms); });
    EXPECT_EQ(error.code, ETIMEDOUT);
    EXPECT_EQ(error.text, "write to " + near.peer_address().to_string() + ": Connection timed out");
}

TEST(tcp, much_through_a_small_buffer) {
    auto [near, far] = connected();
    set(near.native(), SO_SNDBUF, 4096);
    std::string const sent = noise(3'000'000);
    auto writer = coir::spawn([&, &near = near] {
        near.write_all(sent);
        near.shutdown_write();
    });
    EXPECT_EQ(read_to_end(far, 3000), sent);
    writer.get();
}

TEST(tcp, spans_arrays_vectors_and_strings) {
    auto [near, far] = connected();
    std::array<char, 2> const array{'a', 'b'};
    std::array<std::byte, 2> const bytes{std::byte{'e'}, std::byte{'f'}};
    near.write_all(array);
    near.write_all(std::vector<char>{'c', 'd'});
    near.write_all(bytes);
    near.write_all({bytes.data(), 1});
    near.write_all({array.data(), 1});
    near.write_all(std::string("g"));
    near.write_all("h"); // without its terminating zero
    near.write_all("");
    near.shutdown_write();
    std::array<std::byte, 4> first;
    far.read_exactly(first);
    EXPECT_EQ(first[3], std::byte{'d'});
    EXPECT_EQ(far.read_some(std::span<char>{}), 0u);
    EXPECT_EQ(read_to_end(far), "efeagh");
}

TEST(tcp, half_closed_connection_goes_on_the_other_way) {
    auto [near, far] = connected();
    near.write_all("question");
    near.shutdown_write();
    EXPECT_EQ(read_to_end(far), "question");
    char one;
    EXPECT_EQ(far.read_some({&one, 1}), 0u); // the end stays the end
    far.write_all("answer");
    far.close();
    EXPECT_EQ(read_to_end(near), "answer");
    EXPECT_EQ(failure_of([&near = near] { near.write_all("more"); }).code, EPIPE); // and no SIGPIPE
}

TEST(tcp, read_exactly_or_the_end_of_the_stream) {
    auto [near, far] = connected();
    near.write_all("abc");
    near.shutdown_write();
    std::array<char, 5> five;
    try {
        far.read_exactly(five);
        FAIL() << "read five bytes of three";
    } catch (coir::net::end_of_stream const& error) {
        EXPECT_EQ(error.what(), "read from " + far.peer_address().to_string() + ": it ended after 3 of 5 bytes");
    }
}

TEST(tcp, reset_by_peer) {
    auto [near, far] = connected();
    auto reader = coir::spawn([&near = near] {
        char one;
        return failure_of([&] { near.read_some({&one, 1}); });
    });
    coir::yield();
    linger const at_once{1, 0};
    ASSERT_EQ(setsockopt(far.native(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    far.close();
    EXPECT_EQ(reader.get().code, ECONNRESET);
    EXPECT_EQ(reader.get().text, "read from " + near.peer_address().to_string() + ": Connection reset by peer");
}

TEST(tcp, connections_that_died_in_the_backlog_are_passed_over) {
    tcp_listener listener("127.0.0.1:0");
    auto client = tcp_stream::connect(listener.local_address());
    accept_errors = {ECONNABORTED, EINTR, EPROTO, EHOSTUNREACH, ECONNABORTED, EAGAIN, ECONNABORTED};
    auto accepted = listener.accept();
    EXPECT_TRUE(accept_errors.empty());
    EXPECT_EQ(accepted.peer_address(), client.local_address());
}

TEST(tcp, errors_of_the_listener_itself_are_thrown) {
    tcp_listener listener("127.0.0.1:0");
    accept_errors = {ENFILE, ENOMEM};
    failure const system_limit = failure_of([&] { listener.accept(); });
    EXPECT_EQ(system_limit.code, ENFILE);
    EXPECT_NE(system_limit.text.find("fs.file-max"), std::string::npos) << system_limit.text;
    EXPECT_EQ(failure_of([&] { listener.accept(); }).code, ENOMEM);
}

TEST(tcp, limit_of_descriptors_is_named_and_outlived) {
    tcp_listener listener("127.0.0.1:0");
    auto client = tcp_stream::connect(listener.local_address());
    rlimit original{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &original), 0);
    int const next = dup(0);
    close(next);
    rlimit lowered = original;
    lowered.rlim_cur = rlim_t(next);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
    failure const accepted = failure_of([&] { listener.accept(); });
    failure const connected = failure_of([&] { tcp_stream::connect(listener.local_address()); });
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &original), 0);
    std::string const limit = ", this process may have " + std::to_string(next) + " descriptors (ulimit -n): ";
    EXPECT_EQ(accepted.code, EMFILE);
    EXPECT_EQ(accepted.text, "accept on " + listener.local_address().to_string() + limit + "Too many open files");
    EXPECT_EQ(connected.code, EMFILE);
    EXPECT_NE(connected.text.find(limit), std::string::npos) << connected.text;
    if (RUNNING_ON_VALGRIND) return; // it lets accept4 succeed, and then closes the connection to play the limit
    EXPECT_EQ(listener.accept().peer_address(), client.local_address()); // it has waited in the backlog
}

TEST(tcp, closing_a_listener_wakes_who_accepts) {
    tcp_listener listener("127.0.0.1:0");
    std::string const where = listener.local_address().to_string();
    auto acceptor = coir::spawn([&] { return failure_of([&] { listener.accept(); }); });
    coir::yield();
    listener.close();
    EXPECT_EQ(acceptor.get().text, "accept on " + where + ": Bad file descriptor");
}

TEST(tcp, options_reach_the_socket) {
    auto [near, far] = connected();
    auto is_on = [&near = near] {
        int value = -1;
        socklen_t size = sizeof value;
        getsockopt(near.native(), 6 /* IPPROTO_TCP */, 1 /* TCP_NODELAY */, &value, &size);
        return value != 0;
    };
    EXPECT_FALSE(is_on());
    near.no_delay(true);
    EXPECT_TRUE(is_on());
    near.no_delay(false);
    EXPECT_FALSE(is_on());
}

TEST(tcp, empty_ones_fail_with_ebadf) {
    tcp_stream stream;
    tcp_listener listener;
    char one;
    EXPECT_EQ(failure_of([&] { stream.read_some({&one, 1}); }).text, "read from nowhere: Bad file descriptor");
    EXPECT_EQ(failure_of([&] { stream.write_all("x"); }).code, EBADF);
    EXPECT_EQ(failure_of([&] { stream.shutdown_write(); }).code, EBADF);
    EXPECT_EQ(failure_of([&] { stream.no_delay(true); }).code, EBADF);
    EXPECT_EQ(failure_of([&] { listener.accept(); }).code, EBADF);
    EXPECT_EQ(failure_of([&] { (void)listener.local_address(); }).code, EBADF);
}

} // namespace

// A kill is thrown out of the wait, and what was done before it stands.
TEST(tcp, a_killed_reader_leaves_the_connection_to_others) {
    auto both = connected();
    bool unwound = false;
    auto reading = coir::spawn([&] {
        try {
            std::array<char, 8> room;
            both.near.read_some(room);
        } catch (coir::fiber_exit const&) {
            unwound = true;
            throw;
        }
    });
    coir::yield();
    EXPECT_TRUE(reading.kill());
    EXPECT_TRUE(unwound);
    both.far.write_all(std::string("hello"));
    std::array<char, 5> room;
    EXPECT_EQ(both.near.read_some(room), 5u);
}

TEST(tcp, a_timeout_ends_whatever_the_stream_waits_for) {
    auto both = connected();
    coir::timeout const limit{std::chrono::milliseconds(1)};
    std::array<char, 8> room;
    EXPECT_THROW(both.near.read_some(room), coir::timed_out);
    coir::net::tcp_listener listener("127.0.0.1:0");
    EXPECT_FALSE(coir::with_timeout(std::chrono::milliseconds(1), [&] { listener.accept(); }));
}
