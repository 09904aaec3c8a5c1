#include "tests/net/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <gtest/gtest.h>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using coir::net::address;
using coir::net::buffered_stream;
using coir::net::stream;

namespace {

// Gives what is in `input`, so many bytes at a time, and then what `end` says; keeps what it is given.
struct scripted final : stream {
    std::string input;
    std::size_t given = 0; // of it
    std::size_t at_once = 1;
    int end = 0; // an errno; 0: the end of the stream
    std::deque<std::string> written;
    std::size_t takes = 1 << 30; // at a time
    bool ended = false;
    coir::net::address peer = "127.0.0.1:7";
    coir::net::socket plain_one;

    explicit scripted(std::string text = {}, std::size_t give = 1) : input(std::move(text)), at_once(give) {}
    void go_on_with(std::string text) {
        input = std::move(text);
        given = 0;
    }
    std::size_t left() const { return input.size() - given; }
    void shutdown_write(coir::deadline) override { ended = true; }
    void close() noexcept override { ended = true; }
    bool is_open() const noexcept override { return !ended; }
    address const& peer_address() const noexcept override { return peer; }
    coir::net::socket* plain() noexcept override { return &plain_one; }

private:
    std::size_t receive(std::span<iovec const> into, coir::deadline) override {
        if (left() == 0 && end) throw std::system_error(end, std::generic_category(), "scripted");
        std::size_t const size = std::min({left(), at_once, into.front().iov_len});
        std::memcpy(into.front().iov_base, input.data() + given, size);
        given += size;
        return size;
    }
    std::size_t send(std::span<iovec const> what, coir::deadline) override {
        if (takes == 0) throw std::system_error(ETIMEDOUT, std::generic_category(), "scripted");
        std::size_t const size = std::min(what.front().iov_len, takes);
        written.emplace_back(static_cast<char const*>(what.front().iov_base), size);
        return size;
    }
};

std::vector<std::string> lines_of(std::string const& text, std::size_t at_once, coir::net::buffer_sizes sizes = {}) {
    scripted below(text, at_once);
    buffered_stream over(below, sizes);
    std::vector<std::string> all;
    while (auto line = over.read_line()) all.push_back(*line);
    EXPECT_FALSE(over.read_line()) << "the end stays the end";
    return all;
}

TEST(buffered, lines_however_they_come) {
    std::vector<std::string> const wanted{"one", "", "three\rthree", "", "five\r", "behind"};
    std::string const text = "one\r\n\nthree\rthree\n\r\nfive\r\r\nbehind";
    for (std::size_t at_once : {1, 2, 3, 4, 5, 7, 100})
        for (std::size_t room : {1, 2, 5, 16384}) EXPECT_EQ(lines_of(text, at_once, {.read = room}), wanted) << at_once;
    EXPECT_EQ(lines_of("x\n", 1), std::vector<std::string>{"x"});
    EXPECT_EQ(lines_of("", 1), std::vector<std::string>{});
    EXPECT_EQ(lines_of("\r", 1), std::vector<std::string>{"\r"});
}

TEST(buffered, many_long_lines_through_a_small_buffer) {
    std::string text;
    std::vector<std::string> wanted;
    for (std::size_t i = 0; i < 300; ++i) {
        wanted.emplace_back(i * 37 % 5000, char('a' + i % 26));
        text += wanted.back() + (i % 2 ? "\n" : "\r\n");
    }
    for (std::size_t at_once : {1u, 13u, 4096u}) EXPECT_EQ(lines_of(text, at_once, {.read = 64}), wanted);
}

TEST(buffered, a_range_for_over_lines) {
    scripted below("a\nb\r\nc", 2);
    buffered_stream over(below);
    std::string all;
    for (std::string_view line : over.lines()) all += std::string(line) + ".";
    EXPECT_EQ(all, "a.b.c.");
    for (std::string_view line : over.lines()) ADD_FAILURE() << line;
}

TEST(buffered, a_line_over_its_limit_is_an_error_that_names_it_and_stays) {
    for (char const* end : {"\n", "\r\n"}) {
        scripted below("12345" + std::string(end) + "123456" + end + "x" + end, 1);
        buffered_stream over(below);
        EXPECT_EQ(over.read_line(5), "12345");
        for (int again = 0; again < 2; ++again) {
            failure const error = failure_of([&] { over.read_line(5); });
            EXPECT_EQ(error.code, EMSGSIZE);
            EXPECT_EQ(error.text, "read a line from 127.0.0.1:7, of which the limit is 5 bytes: Message too long");
        }
        EXPECT_EQ(over.read_line(6), "123456");
        EXPECT_EQ(over.read_line(1), "x");
    }
    scripted endless(std::string(1'000'000, 'x'), 1000);
    buffered_stream over(endless);
    EXPECT_EQ(failure_of([&] { over.read_line(10'000); }).code, EMSGSIZE);
    EXPECT_GT(endless.left(), 980'000u) << "it was read on";
}

TEST(buffered, up_to_a_delimiter) {
    for (std::size_t at_once : {1, 2, 3, 50}) {
        scripted below("a: b\r\n\r\nbody==part", at_once);
        buffered_stream over(below);
        EXPECT_EQ(over.read_until("\r\n\r\n"), "a: b\r\n\r\n");
        EXPECT_EQ(failure_of([&] { over.read_until("==", 5); }).code, EMSGSIZE);
        EXPECT_EQ(over.read_until("==", 6), "body==");
        try {
            over.read_until("==");
            FAIL();
        } catch (coir::net::end_of_stream const& error) {
            EXPECT_STREQ(error.what(), "read from 127.0.0.1:7: it ended after 4 bytes without the delimiter");
        }
        EXPECT_EQ(over.read_line(), "part");
    }
}

TEST(buffered, nothing_is_lost_where_a_wait_ends) {
    scripted below("half a li", 4);
    below.end = ETIMEDOUT;
    buffered_stream over(below);
    EXPECT_EQ(failure_of([&] { over.read_line(); }).code, ETIMEDOUT);
    below.go_on_with("ne\nand");
    EXPECT_EQ(over.read_line(), "half a line");
    EXPECT_EQ(failure_of([&] { over.read_until("!"); }).code, ETIMEDOUT);
    EXPECT_EQ(failure_of([&] { over.peek(100); }).code, ETIMEDOUT);
    below.go_on_with(" more");
    below.end = 0;
    EXPECT_EQ(over.read_line(), "and more");
}

TEST(buffered, a_timeout_and_a_kill_in_mid_line) {
    auto [near, far] = connected();
    buffered_stream over(near);
    far.write_all("hel");
    EXPECT_FALSE(coir::with_timeout(2ms, [&] { over.read_line(); }));
    EXPECT_EQ(failure_of([&] { over.read_line(100, 2ms); }).code, ETIMEDOUT);
    auto reader = coir::spawn([&] { over.read_line(); });
    coir::yield();
    EXPECT_TRUE(reader.kill());
    far.write_all("lo\n");
    EXPECT_EQ(over.read_line(), "hello");
}

TEST(buffered, peeks_skips_and_reads_on) {
    scripted below("abcdefgh", 3);
    buffered_stream over(below);
    EXPECT_EQ(over.peek(), "abc");
    EXPECT_EQ(over.peek(4), "abcdef");
    over.skip(1);
    std::array<char, 3> three;
    EXPECT_EQ(over.read_some(three), 3u);
    EXPECT_EQ(std::string(three.data(), 3), "bcd");
    EXPECT_EQ(over.read_some(std::span<char>{}), 0u);
    EXPECT_EQ(over.peek(100), "efgh");
    over.skip(100);
    EXPECT_EQ(over.peek(), "");
    EXPECT_EQ(over.read_some(three), 0u);

    scripted more(std::string(100, 'x') + "yz", 1000);
    buffered_stream small(more, {.read = 10});
    std::string much(100, ' ');
    small.peek();
    small.read_exactly(much);
    EXPECT_EQ(much, std::string(100, 'x'));
    EXPECT_EQ(small.read_line(), "yz");
}

TEST(buffered, small_writes_are_sent_together) {
    scripted below;
    buffered_stream over(below, {.write = 8});
    over.write_all("abc");
    over.write_all("defgh");
    EXPECT_TRUE(below.written.empty()) << "it is just full";
    over.write_all("i");
    EXPECT_EQ(below.written, (std::deque<std::string>{"abcdefgh"}));
    over.flush();
    EXPECT_EQ(below.written.back(), "i");
    over.write_all("jk");
    over.write_all("much more than that");
    EXPECT_EQ(below.written, (std::deque<std::string>{"abcdefgh", "i", "jk", "much more than that"}));
    std::array<std::string_view, 3> const parts{"1", "", "2345678"};
    over.write_all(parts);
    over.shutdown_write();
    EXPECT_EQ(below.written.back(), "12345678");
    EXPECT_TRUE(below.ended);
    scripted direct;
    buffered_stream without(direct, {.write = 0});
    without.write_all("x");
    EXPECT_EQ(direct.written.back(), "x");
}

TEST(buffered, what_was_asked_is_sent_before_the_answer_is_waited_for) {
    scripted below("answer\nanother\n", 100);
    buffered_stream over(below);
    over.write_all("question\n");
    EXPECT_EQ(over.read_line(), "answer");
    EXPECT_EQ(below.written, (std::deque<std::string>{"question\n"}));
    over.write_all("next\n");
    EXPECT_EQ(over.read_line(), "another");
    EXPECT_EQ(below.written.size(), 1u) << "there was no need to wait";
    coir::spawn([&] { over.write_all("of another fiber\n"); }).get();
    EXPECT_EQ(below.written.size(), 1u);
    EXPECT_FALSE(over.read_line());
    EXPECT_EQ(below.written.size(), 1u) << "which may not be done";
    over.flush();
    EXPECT_EQ(below.written.back(), "next\nof another fiber\n");
}

TEST(buffered, an_interrupted_flush_goes_on_where_it_was) {
    scripted below;
    buffered_stream over(below, {.write = 8});
    over.write_all("abcd");
    over.write_all("efgh");
    below.takes = 0;
    EXPECT_EQ(failure_of([&] { over.write_all("ij"); }).code, ETIMEDOUT);
    EXPECT_EQ(failure_of([&] { over.flush(); }).code, ETIMEDOUT);
    below.takes = 3;
    over.write_all("ij");
    over.flush();
    EXPECT_EQ(below.written, (std::deque<std::string>{"abc", "def", "gh", "ij"}));
}

TEST(buffered, is_plain_while_nothing_is_in_it) {
    scripted below("abc", 100);
    buffered_stream over(below);
    EXPECT_EQ(over.plain(), &below.plain_one);
    over.peek();
    EXPECT_EQ(over.plain(), nullptr);
    over.skip(3);
    EXPECT_EQ(over.plain(), &below.plain_one);
    over.write_all("x");
    EXPECT_EQ(over.plain(), nullptr);
    over.flush();
    EXPECT_EQ(over.plain(), &below.plain_one);
}

TEST(buffered, owns_a_stream_or_refers_to_one) {
    auto [near, far] = connected();
    std::array<char, 1> one;
    {
        buffered_stream refers(near);
        EXPECT_EQ(refers.peer_address(), near.peer_address());
        EXPECT_EQ(&refers.over(), &near);
    }
    EXPECT_TRUE(near.is_open());
    { buffered_stream owns(std::move(near)); }
    EXPECT_EQ(far.read_some(one), 0u);
    auto both = connected();
    buffered_stream closes(both.near);
    closes.close();
    EXPECT_FALSE(both.near.is_open());
    EXPECT_EQ(failure_of([&] { closes.read_line(); }).code, EBADF);
}

TEST(buffered, two_fibers_read_and_write_at_once) {
    auto [near, far] = connected();
    buffered_stream one(near, {.write = 100}), other(far, {.write = 100});
    constexpr int count = 20'000;
    auto const write = [](buffered_stream& to) {
        for (int i = 0; i < count; ++i) to.write_all(std::to_string(i) + "\n");
        to.shutdown_write();
    };
    auto const read = [](buffered_stream& from) {
        int next = 0;
        for (std::string_view line : from.lines()) EXPECT_EQ(line, std::to_string(next++));
        return next;
    };
    auto first = coir::spawn(write, std::ref(one)), second = coir::spawn(write, std::ref(other));
    auto third = coir::spawn(read, std::ref(one)), fourth = coir::spawn(read, std::ref(other));
    first.get();
    second.get();
    EXPECT_EQ(third.get(), count);
    EXPECT_EQ(fourth.get(), count);
}

} // namespace
