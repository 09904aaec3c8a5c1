#include "tests/net/connection.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;
using coir::net::address;
using coir::net::unix_listener;
using coir::net::unix_packet_listener;
using coir::net::unix_packets;
using coir::net::unix_stream;

namespace {

std::span<std::byte const> bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

// A directory of the test's own.
struct directory {
    std::string name = "/tmp/coir-unix-XXXXXX";
    directory() {
        if (!mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
    }
    ~directory() { std::filesystem::remove_all(name); }
    address operator/(char const* file) const { return address::unix_socket(name + "/" + file); }
};

std::string read_one(unix_stream& from) {
    std::array<char, 100> buffer;
    return {buffer.data(), from.read_some(buffer)};
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

} // namespace

TEST(unix_stream, by_a_path_and_by_an_abstract_name) {
    directory const here;
    for (address const& where : {here / "s", address("unix:")}) {
        unix_listener listener(where);
        address const reached = listener.local_address();
        EXPECT_EQ(reached.unix_name().empty(), false);
        auto near = coir::spawn([&] { return unix_stream::connect(reached); });
        unix_stream far = listener.accept();
        near.get().write_all("hello");
        EXPECT_EQ(read_one(far), "hello");
        EXPECT_EQ(near.get().peer_address(), reached);
        EXPECT_EQ(far.peer_address().to_string(), "unix:");
        EXPECT_EQ(far.credentials().process, getpid());
        EXPECT_EQ(far.credentials().user, geteuid());
        near.get().close();
        EXPECT_EQ(read_one(far), "");
    }
}

TEST(unix_stream, connect_says_with_what) {
    directory const here;
    failure const missing = failure_of([&] { unix_stream::connect(here / "none"); });
    EXPECT_EQ(missing.code, ENOENT);
    EXPECT_NE(missing.text.find("connect unix:" + here.name + "/none: "), std::string::npos) << missing.text;
    unix_packet_listener const packets(here / "packets");
    EXPECT_EQ(failure_of([&] { unix_stream::connect(here / "packets"); }).code, EPROTOTYPE);
}

TEST(unix_stream, connect_waits_while_the_backlog_is_full) {
    unix_listener listener("unix:", {.backlog = 0});
    address const where = listener.local_address();
    unix_stream const first = unix_stream::connect(where);
    EXPECT_EQ(failure_of([&] { unix_stream::connect(where, 1ms); }).code, ETIMEDOUT);
    auto second = coir::spawn([&] { return unix_stream::connect(where).is_open(); });
    coir::yield();
    EXPECT_FALSE(second.ready());
    listener.accept();
    EXPECT_TRUE(second.get());
}

TEST(unix_stream, the_address_may_go_while_it_is_connected_to) {
    unix_listener listener("unix:", {.backlog = 0});
    unix_stream const first = unix_stream::connect(listener.local_address());
    auto to = std::make_unique<address>(listener.local_address());
    auto second = coir::spawn([&] { return unix_stream::connect(*to).is_open(); });
    coir::yield(); // it waits
    EXPECT_FALSE(second.ready());
    to.reset();
    listener.accept();
    EXPECT_TRUE(second.get());
}

TEST(unix_listener, replaces_what_nobody_listens_at_and_nothing_else) {
    directory const here;
    address const where = here / "s";
    { unix_listener const gone(where); }
    unix_listener listener(where);
    failure const taken = failure_of([&] { unix_listener second(where); });
    EXPECT_EQ(taken.code, EADDRINUSE);
    EXPECT_NE(taken.text.find("listen on " + where.to_string() + ": "), std::string::npos) << taken.text;
    EXPECT_EQ(failure_of([&] { unix_packet_listener other(where); }).code, EADDRINUSE) << "of another type";
    auto near = coir::spawn([&] { return unix_stream::connect(where).is_open(); });
    listener.accept();
    listener.accept(); // the question whether somebody listens
    EXPECT_TRUE(near.get());

    address const file = here / "file";
    std::filesystem::create_directory(file.unix_name());
    EXPECT_EQ(failure_of([&] { unix_listener on(file); }).code, EADDRINUSE);
    EXPECT_TRUE(std::filesystem::is_directory(file.unix_name()));
}

TEST(unix_stream, passes_descriptors) {
    auto [near, far] = unix_stream::pair();
    int pipes[2];
    ASSERT_EQ(pipe(pipes), 0);
    near.write_with(pipes, bytes("two"));
    near.write_all(" more");
    std::array<std::byte, 100> buffer;
    coir::net::received const got = far.read_with(buffer);
    ASSERT_EQ(got.descriptors.size(), 2u);
    EXPECT_EQ(got.size, 3u) << "the kernel does not join what descriptors came with and what came later";
    EXPECT_FALSE(got.truncated);
    EXPECT_EQ(fcntl(got.descriptors[0].native(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(write(got.descriptors[1].native(), "x", 1), 1);
    char byte;
    EXPECT_EQ(read(pipes[0], &byte, 1), 1);
    EXPECT_EQ(far.read_with(buffer).descriptors.size(), 0u);
    close(pipes[0]);
    close(pipes[1]);
}

TEST(unix_stream, descriptors_close_with_their_owners) {
    auto [near, far] = unix_stream::pair();
    int const own = dup(0);
    std::array<std::byte, 1> buffer;
    int number;
    near.write_with({&own, 1}, bytes("x"));
    {
        coir::net::received const got = far.read_with(buffer);
        number = got.descriptors.at(0).native();
        EXPECT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
    EXPECT_TRUE(is_open(own));
    close(own);
}

TEST(unix_stream, descriptors_without_room_are_told_of) {
    auto [near, far] = unix_stream::pair();
    std::array<int, 3> const three{0, 0, 0};
    near.write_with(three, bytes("x"));
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    int const next = dup(0);
    close(next);
    rlimit const one_more{rlim_t(next) + 1, before.rlim_max};
    std::array<std::byte, 1> buffer;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &one_more), 0);
    coir::net::received const got = far.read_with(buffer);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(got.truncated);
    EXPECT_EQ(got.size, 1u);
    EXPECT_EQ(got.descriptors.size(), 1u);
    EXPECT_EQ(failure_of([&near = near] { near.write_with(std::vector<int>(254), bytes("x")); }).code, EINVAL);
    EXPECT_EQ(failure_of([&near = near] { near.write_with({}, {}); }).code, EINVAL);
}

TEST(unix_packets, keep_their_bounds) {
    unix_packet_listener listener("unix:");
    auto connecting = coir::spawn([&] { return unix_packets::connect(listener.local_address()); });
    unix_packets far = listener.accept();
    unix_packets near = std::move(connecting).get();
    std::array<std::byte, 4> buffer;
    near.send(bytes("one"));
    near.send(bytes("three"), std::array{0});
    EXPECT_EQ(far.receive(buffer).size, 3u);
    coir::net::received const cut = far.receive(buffer);
    EXPECT_TRUE(cut.truncated && cut.size == 4 && cut.descriptors.size() == 1);
    EXPECT_EQ(failure_of([&] { far.receive(buffer, 1ms); }).code, ETIMEDOUT);
    near.close();
    EXPECT_EQ(far.receive(buffer).size, 0u);
    EXPECT_EQ(far.credentials().group, getegid());
}

TEST(unix_packets, of_a_pair_wait_for_each_other) {
    auto [near, far] = unix_packets::pair();
    std::string log;
    auto reader = coir::spawn([&log, &far = far] {
        std::array<std::byte, 4> buffer;
        while (auto const n = far.receive(buffer).size) log += std::to_string(n);
    });
    coir::yield();
    std::string const packet = "xyz";
    for (std::size_t size : {3, 1, 2}) near.send(bytes(packet).first(size));
    near.close();
    reader.join();
    EXPECT_EQ(log, "312");
    EXPECT_EQ(failure_of([&far = far] { far.send(bytes("x")); }).code, EPIPE);
}
