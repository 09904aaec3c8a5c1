#include "tests/net/connection.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace std::chrono_literals;
using coir::net::buffered_stream;
using coir::net::copy;
using coir::net::relay;
using coir::net::relayed;
using coir::net::stream;
using coir::net::tcp_stream;

namespace {

int splices = 0;
std::size_t spliced = 0;     // bytes, into pipes and out of them
bool splice_refused = false; // as by a kind of socket that cannot

} // namespace

// libcoir's calls come here.
extern "C" ssize_t splice(int in, off_t* in_offset, int out, off_t* out_offset, std::size_t size, unsigned flags) {
    ++splices;
    if (splice_refused) {
        errno = EINVAL;
        return -1;
    }
    ssize_t const moved = syscall(SYS_splice, in, in_offset, out, out_offset, size, flags);
    if (moved > 0) spliced += std::size_t(moved);
    return moved;
}

namespace {

// Passes all on, but is nothing that the kernel could move.
struct not_plain final : stream {
    tcp_stream below;
    explicit not_plain(tcp_stream one) : below(std::move(one)) {}
    void shutdown_write(coir::deadline until) override { below.shutdown_write(until); }
    void close() noexcept override { below.close(); }
    bool is_open() const noexcept override { return below.is_open(); }
    coir::net::address const& peer_address() const noexcept override { return below.peer_address(); }

private:
    std::size_t receive(std::span<iovec const> into, coir::deadline until) override {
        return below.read_some(std::span(static_cast<char*>(into.front().iov_base), into.front().iov_len), until);
    }
    std::size_t send(std::span<iovec const> what, coir::deadline until) override {
        return below.write_some({static_cast<char const*>(what.front().iov_base), what.front().iov_len}, until);
    }
};

std::size_t descriptors() {
    auto const all = std::filesystem::directory_iterator("/proc/self/fd");
    return std::size_t(std::distance(begin(all), end(all)));
}

void reset(tcp_stream& one) {
    linger const at_once{1, 0};
    ASSERT_EQ(setsockopt(one.native(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    one.close();
}

struct copying : testing::Test {
    void SetUp() override {
        coir::yield();
        splices = 0;
        spliced = 0;
        splice_refused = false;
    }
};

// client -> in.near | in.far -> copy -> out.near | out.far
std::uint64_t through(std::string const& sent, stream& from, tcp_stream& client, stream& to, tcp_stream& end) {
    auto writer = coir::spawn([&] {
        client.write_all(sent);
        client.shutdown_write();
    });
    auto mover = coir::spawn([&] {
        auto const moved = copy(from, to);
        to.shutdown_write();
        return moved;
    });
    EXPECT_TRUE(read_to_end(end) == sent);
    writer.get();
    return mover.get();
}

TEST_F(copying, between_sockets_the_kernel_moves_all_of_it) {
    std::string const sent = noise(5'000'000);
    auto in = connected(), out = connected();
    auto const open = descriptors();
    EXPECT_EQ(through(sent, in.far, in.near, out.near, out.far), sent.size());
    EXPECT_EQ(spliced, 2 * sent.size());
    EXPECT_EQ(descriptors(), open);
}

TEST_F(copying, between_unix_sockets_too) {
    auto [a, b] = coir::net::unix_stream::pair();
    auto [c, d] = coir::net::unix_stream::pair();
    std::string const sent = noise(1'000'000);
    auto writer = coir::spawn([&, &a = a] {
        a.write_all(sent);
        a.close();
    });
    auto mover = coir::spawn([&, &b = b, &c = c] {
        copy(b, c);
        c.close();
    });
    EXPECT_TRUE(read_to_end(d) == sent);
    EXPECT_EQ(spliced, 2 * sent.size());
}

TEST_F(copying, what_is_not_plain_goes_through_a_buffer) {
    std::string const sent = noise(3'000'000);
    for (bool first : {true, false}) {
        auto in = connected(), out = connected();
        not_plain from(std::move(first ? in.far : out.near));
        EXPECT_EQ(first ? through(sent, from, in.near, out.near, out.far)
                        : through(sent, in.far, in.near, from, out.far),
                  sent.size());
    }
    EXPECT_EQ(splices, 0);
}

TEST_F(copying, by_a_buffer_where_the_kernel_refuses_or_there_is_no_pipe) {
    std::string const sent = noise(300'000);
    splice_refused = true;
    auto in = connected(), out = connected();
    EXPECT_EQ(through(sent, in.far, in.near, out.near, out.far), sent.size());
    EXPECT_EQ(splices, 1);
    splice_refused = false;

    auto more_in = connected(), more_out = connected();
    rlimit original{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &original), 0);
    int const next = dup(0);
    close(next);
    rlimit const lowered{rlim_t(next) + 1, original.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
    auto const moved = through(sent, more_in.far, more_in.near, more_out.near, more_out.far);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &original), 0);
    EXPECT_EQ(moved, sent.size());
    EXPECT_EQ(splices, 1);
}

TEST_F(copying, at_most_so_many_bytes) {
    auto in = connected(), out = connected();
    in.near.write_all("0123456789");
    EXPECT_EQ(copy(in.far, out.near, {.most = 0}), 0u);
    EXPECT_EQ(copy(in.far, out.near, {.most = 4}), 4u);
    std::array<char, 4> four;
    out.far.read_exactly(four);
    EXPECT_EQ(std::string(four.data(), 4), "0123");
    in.far.read_exactly(four);
    EXPECT_EQ(std::string(four.data(), 4), "4567");
    not_plain to(std::move(out.near));
    EXPECT_EQ(copy(in.far, to, {.most = 1}), 1u);
    in.near.close();
    EXPECT_EQ(copy(in.far, to), 1u);
    to.close();
    EXPECT_EQ(read_to_end(out.far), "89");
}

TEST_F(copying, a_buffered_stream_is_spliced_when_what_it_had_is_through) {
    auto in = connected(), out = connected();
    std::string const body = noise(2'000'000);
    buffered_stream from(in.far);
    auto writer = coir::spawn([&] {
        in.near.write_all("head\n" + body);
        in.near.close();
    });
    EXPECT_EQ(from.read_line(), "head");
    std::size_t const had = from.peek().size();
    EXPECT_GT(had, 0u);
    auto mover = coir::spawn([&] {
        copy(from, out.near);
        out.near.close();
    });
    EXPECT_TRUE(read_to_end(out.far) == body);
    EXPECT_EQ(spliced, 2 * (body.size() - had));
}

TEST_F(copying, to_a_buffered_stream_is_flushed) {
    auto in = connected(), out = connected();
    buffered_stream to(out.near, {.write = 100'000});
    to.write_all("first ");
    in.near.write_all("then");
    in.near.shutdown_write();
    EXPECT_EQ(copy(in.far, to), 4u);
    std::array<char, 10> ten;
    out.far.read_exactly(ten);
    EXPECT_EQ(std::string(ten.data(), 10), "first then");
}

TEST_F(copying, has_a_deadline_and_a_limit_for_idling) {
    auto in = connected(), out = connected();
    failure const late = failure_of([&] { copy(in.far, out.near, {.until = 3ms}); });
    EXPECT_EQ(late.code, ETIMEDOUT);
    EXPECT_EQ(late.text, "read from " + in.far.peer_address().to_string() + ": Connection timed out");
    in.near.write_all("x");
    EXPECT_EQ(failure_of([&] { copy(in.far, out.near, {.idle = 3ms}); }).code, ETIMEDOUT);
    auto writer = coir::spawn([&] { in.near.write_all(std::string(64'000'000, 'x')); });
    failure const full = failure_of([&] { copy(in.far, out.near, {.idle = 20ms}); });
    EXPECT_EQ(full.code, ETIMEDOUT);
    EXPECT_TRUE(full.text.starts_with("write to ")) << full.text;
    writer.kill();
}

TEST_F(copying, a_peer_that_resets_and_one_that_is_gone) {
    std::signal(SIGPIPE, SIG_DFL); // it would end the test
    auto const open = descriptors();
    {
        auto in = connected(), out = connected();
        reset(in.near);
        EXPECT_EQ(failure_of([&] { copy(in.far, out.near); }).code, ECONNRESET);
    }
    {
        auto in = connected(), out = connected();
        reset(out.far);
        in.near.write_all("x");
        failure const first = failure_of([&] { copy(in.far, out.near); });
        EXPECT_TRUE(first.code == ECONNRESET || first.code == EPIPE) << first.text;
        in.near.write_all("x");
        EXPECT_EQ(failure_of([&] { copy(in.far, out.near); }).code, EPIPE);
        sigset_t pending;
        ASSERT_EQ(sigpending(&pending), 0);
        EXPECT_FALSE(sigismember(&pending, SIGPIPE));
    }
    EXPECT_EQ(descriptors(), open);
}

TEST_F(copying, one_that_is_killed_leaves_nothing) {
    auto in = connected(), out = connected();
    auto const open = descriptors();
    auto mover = coir::spawn([&] { copy(in.far, out.near); });
    coir::yield();
    EXPECT_GT(descriptors(), open) << "a pipe";
    EXPECT_TRUE(mover.kill());
    EXPECT_EQ(descriptors(), open);
    in.near.write_all("x");
    EXPECT_EQ(copy(in.far, out.near, {.most = 1}), 1u);
}

TEST_F(copying, others_have_their_turn) {
    auto in = connected(), out = connected();
    int turns = 0;
    auto ticking = coir::spawn([&] {
        for (;; ++turns) coir::yield();
    });
    through(noise(8'000'000), in.far, in.near, out.near, out.far);
    EXPECT_GE(turns, 7);
    ticking.kill();
}

TEST_F(copying, relay_both_ways_with_the_ends_passed_on) {
    auto client = connected(), server = connected();
    auto proxy = coir::spawn([&] { return relay(client.far, server.near); });
    std::string const asked = noise(1'000'000), answered = noise(2'000'000);
    auto answering = coir::spawn([&] {
        EXPECT_TRUE(read_to_end(server.far) == asked); // its end came
        server.far.write_all(answered);                // and the other way is open
        server.far.shutdown_write();
    });
    client.near.write_all(asked);
    client.near.shutdown_write();
    EXPECT_TRUE(read_to_end(client.near) == answered);
    relayed const moved = proxy.get();
    EXPECT_EQ(moved.there, asked.size());
    EXPECT_EQ(moved.back, answered.size());
    EXPECT_TRUE(client.far.is_open() && server.near.is_open());
}

TEST_F(copying, relay_does_not_end_with_the_first_end) {
    auto client = connected(), server = connected();
    auto proxy = coir::spawn([&] { return relay(client.far, server.near); });
    server.far.shutdown_write();
    std::array<char, 1> one;
    EXPECT_EQ(client.near.read_some(one), 0u);
    client.near.write_all("x");
    server.far.read_exactly(one);
    EXPECT_FALSE(proxy.ready());
    client.near.close();
    EXPECT_EQ(server.far.read_some(one), 0u);
    EXPECT_EQ(proxy.get().there, 1u);
}

TEST_F(copying, relay_fails_as_a_whole_and_leaves_no_fiber) {
    auto client = connected(), server = connected();
    auto const open = descriptors();
    auto const alive = coir::hub::current().alive();
    auto proxy = coir::spawn([&] { return failure_of([&] { relay(client.far, server.near); }); });
    coir::yield();
    reset(server.far);
    EXPECT_EQ(proxy.get().code, ECONNRESET);
    EXPECT_EQ(coir::hub::current().alive(), alive);
    EXPECT_EQ(descriptors(), open - 1);
}

TEST_F(copying, a_killed_relay_leaves_no_fiber_and_both_streams) {
    auto client = connected(), server = connected();
    auto const open = descriptors();
    auto const alive = coir::hub::current().alive();
    {
        auto proxy = coir::spawn([&] { relay(client.far, server.near); });
        coir::yield();
        coir::yield();
        EXPECT_GT(descriptors(), open);
        EXPECT_TRUE(proxy.kill());
    }
    EXPECT_EQ(coir::hub::current().alive(), alive);
    EXPECT_EQ(descriptors(), open);
    client.near.write_all("x");
    std::array<char, 1> one;
    EXPECT_EQ(client.far.read_some(one), 1u);
}

TEST_F(copying, relay_is_idle_when_neither_direction_moves) {
    auto client = connected(), server = connected();
    auto proxy = coir::spawn([&] {
        failure const error = failure_of([&] { relay(client.far, server.near, {.idle = 50ms}); });
        server.near.close();
        return error;
    });
    std::array<char, 1> one;
    coir::deadline const longer = 200ms;
    while (longer.ns() > coir::steady_now()) { // one way only, and never idle for long
        client.near.write_all("x");
        if (server.far.read_some(one) == 0) GTEST_SKIP() << "the machine stood still for 50 ms";
        coir::sleep(1ms);
    }
    EXPECT_EQ(proxy.get().code, ETIMEDOUT);
}

} // namespace
