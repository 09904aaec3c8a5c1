#include "tests/hub/watcher_fixture.h"
#include "tests/net/connection.h"

#include <array>
#include <cerrno>
#include <gtest/gtest.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using coir::net::tcp_stream;

namespace {

constexpr std::size_t buffers = 4096, size_of_buffer = 2048, held_by_one = 64; // as tcp.h says

// Skips where the kernel cannot: there streams are as the other tests have them.
#define NEEDS_RECEIVE_AHEAD(stream)                                                                                    \
    if (!(stream).receive_ahead()) GTEST_SKIP() << "io_uring is not allowed here, or too old"

std::string read(tcp_stream& from, std::size_t size) {
    std::string got(size, ' ');
    from.read_exactly(std::span<char>(got));
    return got;
}

// The kernel receives for it from here on: it has waited once.
void begin(connection& of) {
    of.near.write_all("x");
    ASSERT_EQ(read(of.far, 1), "x");
    auto const waiting = coir::spawn([&] { return read(of.far, 1); });
    coir::idle();
    of.near.write_all("y");
    ASSERT_EQ(waiting.get(), "y");
}

void until_received(tcp_stream const& by, std::size_t size) {
    while (by.received_ahead() < size) coir::idle();
}

// `what` has come, and nobody has read it.
void hold(connection& of, std::string_view what) {
    begin(of);
    of.near.write_all(what);
    until_received(of.far, what.size());
}

std::size_t in_socket(tcp_stream const& of) {
    int bytes = -1;
    EXPECT_EQ(ioctl(of.native(), FIONREAD, &bytes), 0);
    return std::size_t(bytes);
}

} // namespace

TEST(receive_ahead, while_nobody_reads) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    begin(both);
    EXPECT_EQ(both.far.received_ahead(), 0u);
    both.near.write_all("ahead");
    until_received(both.far, 5);
    EXPECT_EQ(in_socket(both.far), 0u);
    EXPECT_EQ(read(both.far, 2), "ah");
    EXPECT_EQ(both.far.received_ahead(), 3u);
    EXPECT_EQ(read(both.far, 3), "ead");
}

TEST(receive_ahead, in_order_whatever_the_sizes) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    std::string const all = noise(3'000'000);
    auto const writing = coir::spawn([&] {
        std::size_t at = 0;
        for (std::size_t size = 1; at < all.size(); size = size * 3 % 70'001) {
            at += both.near.write_some(std::string_view(all).substr(at, size));
            if (size % 4 == 0) coir::yield();
        }
        both.near.shutdown_write();
    });
    std::string got;
    for (std::size_t size = 1;; size = size * 5 % 10'007) {
        std::string part(size, ' ');
        auto const n = both.far.read_some(std::span<char>(part));
        if (n == 0) break;
        got.append(part, 0, n);
        if (size % 3 == 0) coir::yield();
    }
    EXPECT_TRUE(got == all);
    EXPECT_EQ(both.far.read_some(std::span<char>(got)), 0u); // and again
}

TEST(receive_ahead, the_end_comes_after_what_was_sent) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    begin(both);
    both.near.write_all("last");
    both.near.close();
    until_received(both.far, 4);
    coir::yield();
    EXPECT_EQ(read_to_end(both.far), "last");
}

TEST(receive_ahead, a_reset_comes_after_what_was_sent_and_once) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    hold(both, "last");
    linger const at_once{1, 0};
    ASSERT_EQ(setsockopt(both.near.native(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    both.near.close();
    EXPECT_EQ(read(both.far, 4), "last");
    std::array<char, 8> more;
    EXPECT_EQ(failure_of([&] { both.far.read_some(more); }).code, ECONNRESET);
    EXPECT_EQ(both.far.read_some(more), 0u);
}

TEST(receive_ahead, a_deadline_and_a_kill_lose_nothing) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    std::array<char, 8> more;
    EXPECT_EQ(failure_of([&] { both.far.read_some(more, 1ms); }).code, ETIMEDOUT);
    auto const killed = coir::spawn([&] { both.far.read_some(more); });
    coir::idle();
    killed.kill();
    both.near.write_all("kept");
    EXPECT_EQ(read(both.far, 4), "kept");
}

TEST(receive_ahead, closing_wakes_who_reads_and_ends_the_connection) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    failure what;
    auto const reading = coir::spawn([&] { what = failure_of([&] { read(both.far, 1); }); });
    coir::idle();
    both.far.close();
    EXPECT_EQ(read_to_end(both.near), ""); // which the kernel would not say while it has the file
    reading.join();
    EXPECT_EQ(what.code, EBADF);
    EXPECT_EQ(both.far.received_ahead(), 0u);
    EXPECT_FALSE(both.far.receive_ahead());
}

TEST(receive_ahead, destroying_with_data_in_buffers_returns_them) {
    for (std::size_t round = 0; round < 3 * buffers / held_by_one; ++round) {
        connection both = connected();
        NEEDS_RECEIVE_AHEAD(both.far);
        begin(both);
        both.near.write_all(noise(held_by_one * size_of_buffer));
        until_received(both.far, held_by_one * size_of_buffer / 2);
    }
}

TEST(receive_ahead, who_does_not_read_makes_the_peer_wait) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    begin(both);
    std::string const all = noise(30'000'000);
    auto const writing = coir::spawn([&] {
        both.near.write_all(all);
        both.near.shutdown_write();
    });
    coir::idle();
    EXPECT_FALSE(writing.ready());
    EXPECT_GE(both.far.received_ahead(), size_of_buffer);
    EXPECT_LT(both.far.received_ahead(), buffers * size_of_buffer / 2);
    EXPECT_TRUE(read_to_end(both.far, 100'000) == all);
}

TEST(receive_ahead, who_finds_no_buffer_receives_as_others_do) {
    std::vector<connection> greedy;
    for (std::size_t i = 0; i < 2 * buffers / held_by_one; ++i) {
        greedy.push_back(connected());
        NEEDS_RECEIVE_AHEAD(greedy.back().far);
        begin(greedy.back());
    }
    std::string const much = noise(2 * held_by_one * size_of_buffer);
    std::vector<coir::fiber<void>> writers;
    for (auto& each : greedy) writers.push_back(coir::spawn([&] { each.near.write_all(much); }));
    coir::idle();
    connection late = connected();
    ASSERT_TRUE(late.far.receive_ahead());
    for (int i = 0; i < 100; ++i) {
        auto const reading = coir::spawn([&] { return read(late.far, 5); });
        if (i % 2) coir::idle();
        late.near.write_all("hello");
        EXPECT_EQ(reading.get(), "hello");
    }
    for (auto& each : greedy) EXPECT_TRUE(read(each.far, much.size()) == much);
    coir::joinall(writers);
}

TEST(receive_ahead, goes_with_the_stream) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    hold(both, "held");
    tcp_stream moved = std::move(both.far);
    EXPECT_EQ(both.far.received_ahead(), 0u);
    EXPECT_EQ(read(moved, 4), "held");
    failure what;
    auto const reading = coir::spawn([&] { what = failure_of([&] { read(moved, 1); }); });
    coir::idle();
    tcp_stream again = std::move(moved);
    reading.join();
    EXPECT_EQ(what.code, EBADF);
    both.near.write_all("on");
    EXPECT_EQ(read(again, 2), "on");
}

TEST(receive_ahead, ends_with_release) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    begin(both);
    int const fd = both.far.release();
    EXPECT_EQ(both.far.received_ahead(), 0u);
    both.near.write_all("there");
    std::array<char, 8> got;
    coir::hub::wait_fd(fd, coir::direction::read, {}, coir::closing::unseen);
    EXPECT_EQ(::recv(fd, got.data(), got.size(), 0), 5); // nobody else has taken it
    close(fd);
}

TEST(receive_ahead, is_copied_from) {
    connection in = connected(), out = connected();
    NEEDS_RECEIVE_AHEAD(in.far);
    begin(in);
    std::string const all = noise(500'000);
    auto const writing = coir::spawn([&] {
        in.near.write_all(all);
        in.near.shutdown_write();
    });
    until_received(in.far, 1);
    auto const copying = coir::spawn([&] {
        EXPECT_EQ(coir::net::copy(in.far, out.near), all.size());
        out.near.close();
    });
    EXPECT_TRUE(read_to_end(out.far) == all);
    copying.join();
}

TEST(receive_ahead, of_a_stream_that_outlives_its_thread) {
    connection both = connected();
    bool works = false;
    std::thread([&] {
        connection theirs{{}, tcp_stream(coir::net::socket(both.far.release(), both.far.peer_address()))};
        theirs.near = tcp_stream(coir::net::socket(both.near.release(), both.near.peer_address()));
        works = theirs.far.receive_ahead();
        if (works) hold(theirs, "left");
        both.far = std::move(theirs.far);
        both.near = std::move(theirs.near);
    }).join();
    if (!works) GTEST_SKIP() << "io_uring is not allowed here, or too old";
    EXPECT_EQ(both.far.received_ahead(), 4u);
    both.near.write_all(" over");
    both.near.shutdown_write();
    EXPECT_EQ(read_to_end(both.far), "left over");
}

TEST(receive_ahead, of_a_forked_child_is_not_the_parents) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    hold(both, "held");
    pid_t const child = fork();
    if (child == 0) {
        bool const has_it = read(both.far, 4) == "held";
        both.far.close();
        connection own = connected();
        bool const works = own.far.receive_ahead();
        if (works) begin(own);
        _exit(has_it && works ? 5 : 1);
    }
    EXPECT_EQ(exit_status_of(child), 5);
    both.near.write_all(" back");
    EXPECT_EQ(read(both.far, 9), "held back");
}

TEST(receive_ahead, not_while_a_fiber_reads) {
    connection both = connected();
    auto const reading = coir::spawn([&] { return read(both.far, 1); });
    coir::idle();
    EXPECT_THROW(both.far.receive_ahead(), std::logic_error);
    both.near.write_all("x");
    EXPECT_EQ(reading.get(), "x");
}

// Killed, it reads on from a peer that says nothing: the thread ends all the same.
TEST(receive_ahead, a_fiber_that_reads_whatever_kills_it) {
    connection both = connected();
    bool works = false;
    int kills = 0;
    std::thread([&] {
        connection theirs{{}, tcp_stream(coir::net::socket(both.far.release(), both.far.peer_address()))};
        works = theirs.far.receive_ahead();
        if (!works) return;
        coir::spawn([&kills, far = std::move(theirs.far)]() mutable {
            for (;;) try {
                    read(far, 1);
                } catch (coir::fiber_exit const&) {
                    if (++kills == 3) throw;
                }
        });
        coir::idle();
    }).join();
    if (!works) GTEST_SKIP() << "io_uring is not allowed here, or too old";
    EXPECT_EQ(kills, 3);
}

TEST(receive_ahead, is_destroyed_in_a_child_that_another_thread_forked) {
    connection both = connected();
    NEEDS_RECEIVE_AHEAD(both.far);
    begin(both);
    int child_said = -1;
    std::thread([&] {
        pid_t const child = fork();
        if (child == 0) {
            both.far.close();
            _exit(5);
        }
        child_said = exit_status_of(child);
    }).join();
    EXPECT_EQ(child_said, 5);
    both.near.write_all("on");
    EXPECT_EQ(read(both.far, 2), "on");
}
