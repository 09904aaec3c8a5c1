// The rules of a socket: who may wait, and what becomes of those who wait when it goes.

#include "tests/net/connection.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;
using coir::net::tcp_stream;

namespace {

// A call of the program's that is interrupted as often as `interruptions` says: libcoir's calls of recv come
// here.
int interruptions = 0;
int receives = 0;

} // namespace

extern "C" ssize_t recv(int fd, void* into, size_t size, int flags) {
    ++receives;
    if (interruptions > 0) {
        --interruptions;
        errno = EINTR;
        return -1;
    }
    return recvfrom(fd, into, size, flags, nullptr, nullptr);
}

namespace {

bool parked_on(int fd) {
    return coir::hub::current().report().find("waits for read of fd " + std::to_string(fd) + "\n") != std::string::npos;
}

// A fiber that reads from `from`, and is waiting by the time this returns.
template <class Stream>
auto reading(Stream& from, std::string name = {}) {
    int const fd = from.native();
    auto reader = coir::spawn({.name = std::move(name), .stack_size = 0}, [&from] {
        std::array<char, 100> buffer;
        std::string text;
        failure const error = failure_of([&] { text.assign(buffer.data(), from.read_some(buffer)); });
        return std::pair(error, text);
    });
    coir::yield();
    EXPECT_TRUE(parked_on(fd));
    return reader;
}

TEST(socket, is_nonblocking_and_close_on_exec_from_birth) {
    auto [near, far] = connected();
    coir::net::tcp_listener const listener("127.0.0.1:0");
    for (int fd : {near.native(), far.native(), listener.native()}) {
        EXPECT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
        EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
}

TEST(socket, interrupted_calls_are_made_again) {
    auto [near, far] = connected();
    far.write_all("x");
    interruptions = 3;
    char one;
    EXPECT_EQ(near.read_some({&one, 1}), 1u);
    EXPECT_EQ(interruptions, 0);
}

TEST(socket, waits_before_it_reads_from_a_drained_stream) {
    auto [near, far] = connected();
    std::array<char, 4> buffer;
    far.write_all("abcdef");
    receives = 0;
    EXPECT_EQ(near.read_some(buffer), 4u); // all that was asked for: there may be more
    EXPECT_EQ(near.read_some(buffer), 2u); // that was all
    EXPECT_EQ(receives, 2);
    auto reader = reading(near);
    EXPECT_EQ(receives, 2);
    far.write_all("g");
    EXPECT_EQ(reader.get().second, "g");
    EXPECT_EQ(receives, 3);
}

TEST(socket, reads_what_came_before_a_deadline_that_has_passed) {
    auto [near, far] = connected();
    std::array<char, 4> buffer;
    bool ended = false;
    auto other = coir::spawn([&] { // keeps the hub from looking at descriptors every time it looks at timers
        while (!ended) coir::yield();
    });
    for (int round = 0; round < 1000; ++round) { // from the second on, the stream is known to be drained
        far.write_all("ab");
        EXPECT_EQ(near.read_some(buffer, 0s), 2u);
    }
    ended = true;
    other.join();
    EXPECT_EQ(failure_of([&, &near = near] { near.read_some(buffer, 0s); }).code, ETIMEDOUT);
}

TEST(socket, second_reader_is_refused_by_name) {
    auto [near, far] = connected();
    auto first = reading(near, "first");
    auto second = coir::spawn({.name = "second", .stack_size = 0}, [&near = near] {
        char one;
        near.read_some({&one, 1});
    });
    try {
        second.get();
        FAIL() << "it was let in";
    } catch (std::logic_error const& error) {
        EXPECT_EQ(error.what(),
                  "read from " + near.peer_address().to_string() + ": second may not, while first waits for the same");
    }
    far.write_all("x"); // the first is none the worse, and the way is free afterwards
    EXPECT_EQ(first.get().second, "x");
    EXPECT_TRUE(first.get().first.text.empty());
    auto third = reading(near);
    far.write_all("y");
    EXPECT_EQ(third.get().second, "y");
}

TEST(socket, one_reader_and_one_writer_at_once) {
    auto [near, far] = connected();
    auto reader = reading(near);
    std::string const much(8'000'000, 'w');
    auto writer = coir::spawn([&, &near = near] { near.write_all(much); });
    coir::yield(); // the writer has filled the buffers by now
    ASSERT_FALSE(writer.ready());
    far.write_all("x");
    EXPECT_EQ(reader.get().second, "x");
    std::string all(much.size(), ' ');
    far.read_exactly(all);
    EXPECT_EQ(all, much);
    writer.get();
}

TEST(socket, close_wakes_the_reader) {
    auto [near, far] = connected();
    auto reader = reading(near);
    std::string const peer = near.peer_address().to_string();
    near.close();
    EXPECT_EQ(reader.get().first.code, EBADF);
    EXPECT_EQ(reader.get().first.text, "read from " + peer + ": Bad file descriptor");
    EXPECT_FALSE(near.is_open());
    char one;
    EXPECT_EQ(failure_of([&, &near = near] { near.read_some({&one, 1}); }).code, EBADF);
}

TEST(socket, destruction_wakes_the_reader) {
    auto [near, far] = connected();
    auto owned = std::make_unique<tcp_stream>(std::move(near));
    auto reader = reading(*owned);
    std::string const peer = owned->peer_address().to_string();
    owned.reset();
    EXPECT_EQ(reader.get().first.code, EBADF);
    EXPECT_EQ(reader.get().first.text, "read from " + peer + ": Bad file descriptor");
}

TEST(socket, moving_away_wakes_the_reader_and_keeps_the_connection) {
    auto [near, far] = connected();
    auto reader = reading(near);
    tcp_stream elsewhere = std::move(near);
    EXPECT_EQ(reader.get().first.code, EBADF);
    auto other = reading(elsewhere);
    far.write_all("x");
    EXPECT_EQ(other.get().second, "x");
}

TEST(socket, released_descriptor_is_left_open_and_unwatched) {
    auto [near, far] = connected();
    auto reader = reading(near);
    int const fd = near.release();
    EXPECT_EQ(reader.get().first.code, EBADF);
    EXPECT_EQ(near.release(), -1);
    tcp_stream adopted(coir::net::socket(fd, far.local_address()));
    far.write_all("x");
    char one;
    EXPECT_EQ(adopted.read_some({&one, 1}), 1u);
}

// Both are woken in one round of the loop; the one that runs first closes the other's connection under it.
TEST(socket, closed_between_wake_and_run) {
    auto [a, a_far] = connected();
    auto [b, b_far] = connected();
    auto read_and_close_other = [](tcp_stream& own, tcp_stream& other) {
        char one;
        return failure_of([&] {
                   own.read_some({&one, 1});
                   other.close();
               })
            .code;
    };
    auto first = coir::spawn(read_and_close_other, std::ref(a), std::ref(b));
    auto second = coir::spawn(read_and_close_other, std::ref(b), std::ref(a));
    coir::yield();
    a_far.write_all("x");
    b_far.write_all("x");
    EXPECT_EQ(first.get() + second.get(), EBADF) << first.get() << " " << second.get();
}

// The same, but the object holds another connection by the time the fiber runs: its data is not the fiber's.
TEST(socket, replaced_between_wake_and_run) {
    auto [a, a_far] = connected();
    auto [b, b_far] = connected();
    auto [fresh, fresh_far] = connected();
    fresh_far.write_all("z");
    auto read_and_replace_other = [&fresh = fresh](tcp_stream& own, tcp_stream& other) {
        char one;
        return failure_of([&] {
                   own.read_some({&one, 1});
                   other = std::move(fresh);
               })
            .code;
    };
    auto first = coir::spawn(read_and_replace_other, std::ref(a), std::ref(b));
    auto second = coir::spawn(read_and_replace_other, std::ref(b), std::ref(a));
    coir::yield();
    a_far.write_all("x");
    b_far.write_all("x");
    EXPECT_EQ(first.get() + second.get(), EBADF);
    char one = 0;
    (first.get() ? a : b).read_some({&one, 1});
    EXPECT_EQ(one, 'z');
}

TEST(socket, number_is_used_again) {
    std::optional<int> number;
    for (int round = 0; round < 5; ++round) {
        auto [near, far] = connected();
        EXPECT_EQ(near.native(), number.value_or(near.native()));
        number = near.native();
        auto reader = reading(near); // its registration stays in the loop until the close
        far.write_all(std::to_string(round));
        EXPECT_EQ(reader.get().second, std::to_string(round));
    }
}

// The old file lives on in a duplicate, and stays readable: it must not be taken for the new one.
TEST(socket, number_is_used_again_while_the_old_file_lives_on) {
    coir::net::tcp_listener listener("127.0.0.1:0");
    auto [near, far] = connected();
    int const number = near.native();
    auto reader = reading(near);
    far.write_all("old");
    EXPECT_EQ(reader.get().second, "old");
    int const duplicate = dup(number);
    near.close();
    far.write_all("more");
    auto again = tcp_stream::connect(listener.local_address());
    auto again_far = listener.accept();
    ASSERT_EQ(again.native(), number);
    char one;
    EXPECT_EQ(failure_of([&] { again.read_some({&one, 1}, 5ms); }).code, ETIMEDOUT);
    again_far.write_all("n");
    EXPECT_EQ(again.read_some({&one, 1}), 1u);
    EXPECT_EQ(one, 'n');
    close(duplicate);
}

} // namespace
