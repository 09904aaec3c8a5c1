#include "tests/net/connection.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

using namespace std::chrono_literals;
using coir::net::send_file;
using coir::net::stream;
using coir::net::tcp_stream;

namespace {

constexpr long cachestat_number = 451;

std::size_t by_sendfile = 0;
int cachestat_error = 0;     // what it fails with
bool nothing_cached = false; // reads that may not wait find nothing
int in_vain = 0;             // how many did

} // namespace

// libcoir's calls come here: what is in the cache, and what the kernel offers, is the test's to say.
extern "C" ssize_t sendfile(int out, int in, off_t* offset, std::size_t count) {
    ssize_t const moved = syscall(SYS_sendfile, out, in, offset, count);
    if (moved > 0) by_sendfile += std::size_t(moved);
    return moved;
}

extern "C" ssize_t preadv2(int fd, iovec const* parts, int count, off_t offset, int flags) {
    if (nothing_cached && flags & RWF_NOWAIT) {
        errno = EAGAIN;
        ++in_vain;
        return -1;
    }
    return syscall(SYS_preadv2, fd, parts, count, offset, 0, flags);
}

extern "C" long syscall(long number, ...) {
    static auto const real = reinterpret_cast<decltype(&syscall)>(dlsym(RTLD_NEXT, "syscall"));
    va_list rest;
    va_start(rest, number);
    std::array<long, 6> all;
    for (long& each : all) each = va_arg(rest, long);
    va_end(rest);
    if (number == cachestat_number && cachestat_error) {
        errno = cachestat_error;
        return -1;
    }
    return real(number, all[0], all[1], all[2], all[3], all[4], all[5]);
}

namespace {

// A file of the test's own, which is in the cache.
struct file {
    std::string name = "/var/tmp/coir-send-XXXXXX"; // /tmp may be a tmpfs
    int fd = mkstemp(name.data());
    explicit file(std::string const& what) {
        for (std::size_t done = 0; done < what.size();) done += std::size_t(write(fd, &what[done], what.size() - done));
    }
    ~file() {
        close(fd);
        unlink(name.c_str());
    }
};

bool has_cachestat(int fd) {
    std::array<std::uint64_t, 2> const range{0, 1};
    std::array<std::uint64_t, 5> answer;
    return syscall(cachestat_number, fd, range.data(), answer.data(), 0) == 0;
}

std::string received(tcp_stream& from, std::size_t size) {
    std::string all(size, ' ');
    from.read_exactly(std::span<char>(all));
    return all;
}

std::size_t descriptors() {
    auto const all = std::filesystem::directory_iterator("/proc/self/fd");
    return std::size_t(std::distance(begin(all), end(all)));
}

struct sending : testing::Test {
    void SetUp() override {
        coir::yield();
        by_sendfile = 0;
        in_vain = 0;
        cachestat_error = 0;
        nothing_cached = false;
    }
    void TearDown() override { SetUp(); }
};

// What of `what` arrives when it is sent from `offset` on.
void send_and_compare(std::string const& what, std::uint64_t offset, coir::net::copy_options how = {}) {
    file const from(what);
    auto [near, far] = connected();
    std::string const wanted = offset > what.size() ? "" : what.substr(offset, how.most);
    auto sender = coir::spawn([&, &near = near] { return send_file(near, from.fd, offset, how); });
    EXPECT_TRUE(received(far, wanted.size()) == wanted);
    EXPECT_EQ(sender.get(), wanted.size());
    EXPECT_EQ(lseek(from.fd, 0, SEEK_CUR), off_t(what.size())) << "its own position is left alone";
}

TEST_F(sending, what_is_cached_goes_by_sendfile) {
    std::string const what = noise(3'000'000);
    send_and_compare(what, 0);
    file const any("x");
    if (!has_cachestat(any.fd)) GTEST_SKIP() << "no cachestat here";
    EXPECT_EQ(by_sendfile, what.size());
}

TEST_F(sending, any_part_of_it) {
    std::string const what = noise(1'000'000);
    for (std::uint64_t offset : {0, 1, 4095, 4096, 999'999, 1'000'000, 1'000'001})
        for (std::uint64_t most : {0ul, 1ul, 5000ul, 300'000ul, ~0ul}) send_and_compare(what, offset, {.most = most});
    send_and_compare("", 0);
}

TEST_F(sending, without_cachestat_it_is_read_and_written) {
    for (int const error : {ENOSYS, EPERM, EOPNOTSUPP}) {
        cachestat_error = error;
        send_and_compare(noise(1'000'000), 17);
    }
    EXPECT_EQ(by_sendfile, 0u);
}

TEST_F(sending, what_is_not_cached_is_read_while_others_run) {
    nothing_cached = true;
    int turns = 0;
    auto ticking = coir::spawn([&] {
        for (;; ++turns) coir::yield();
    });
    send_and_compare(noise(1'000'000), 3);
    EXPECT_GE(in_vain, 8) << "pieces of 128 KiB";
    EXPECT_GE(turns, in_vain / 2);
    EXPECT_EQ(by_sendfile, 0u);
    ticking.kill();
}

TEST_F(sending, a_file_that_has_left_the_cache) {
    std::string const what = noise(4'000'000);
    file const from(what);
    ASSERT_EQ(fsync(from.fd), 0);
    ASSERT_EQ(posix_fadvise(from.fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    auto [near, far] = connected();
    auto sender = coir::spawn([&, &near = near] { return send_file(near, from.fd); });
    EXPECT_TRUE(received(far, what.size()) == what);
    EXPECT_EQ(sender.get(), what.size());
}

TEST_F(sending, to_a_stream_that_is_not_plain) {
    std::string const what = noise(500'000);
    file const from(what);
    auto both = connected();
    coir::net::buffered_stream to(both.near);
    to.write_all("head ");
    auto sender = coir::spawn([&] { return send_file(to, from.fd); });
    EXPECT_TRUE(received(both.far, what.size() + 5) == "head " + what);
    EXPECT_EQ(sender.get(), what.size());
}

TEST_F(sending, files_without_a_size_and_what_is_no_file) {
    auto [near, far] = connected();
    int const version = open("/proc/version", O_RDONLY);
    ASSERT_GE(version, 0);
    auto const sent = send_file(near, version);
    EXPECT_GT(sent, 10u);
    EXPECT_TRUE(received(far, sent).starts_with("Linux version "));
    close(version);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    failure const none = failure_of([&, &near = near] { send_file(near, ends[0]); });
    EXPECT_EQ(none.code, EINVAL);
    EXPECT_EQ(none.text, "read file " + std::to_string(ends[0]) + " for " + near.peer_address().to_string() +
                             ": Invalid argument");
    close(ends[0]);
    close(ends[1]);
    EXPECT_EQ(failure_of([&near = near] { send_file(near, -1); }).code, EBADF);
    file const closed("x");
    int const write_only = open(closed.name.c_str(), O_WRONLY);
    EXPECT_EQ(failure_of([&, &near = near] { send_file(near, write_only); }).code, EBADF);
    close(write_only);
}

TEST_F(sending, a_file_that_shrinks_meanwhile) {
    std::string const what = noise(8'000'000);
    file const from(what);
    auto [near, far] = connected();
    auto sender = coir::spawn([&, &near = near] {
        auto const sent = send_file(near, from.fd);
        near.shutdown_write();
        return sent;
    });
    coir::yield(); // it waits for the peer now
    ASSERT_EQ(ftruncate(from.fd, 0), 0);
    std::uint64_t came = 0;
    std::vector<char> buffer(100'000);
    while (auto n = far.read_some(buffer)) came += n;
    EXPECT_EQ(sender.get(), came);
    EXPECT_LT(came, what.size());
}

TEST_F(sending, has_limits_and_can_be_killed) {
    file const from(noise(64'000'000));
    auto [near, far] = connected();
    auto const open = descriptors();
    EXPECT_EQ(failure_of([&, &near = near] { send_file(near, from.fd, 0, {.until = 20ms}); }).code, ETIMEDOUT);
    EXPECT_EQ(failure_of([&, &near = near] { send_file(near, from.fd, 0, {.idle = 5ms}); }).code, ETIMEDOUT);
    auto sender = coir::spawn([&, &near = near] { send_file(near, from.fd); });
    coir::yield();
    EXPECT_TRUE(sender.kill());
    nothing_cached = true;
    auto both = connected();
    auto reader = coir::spawn([&] { send_file(both.near, from.fd); });
    coir::yield(); // it waits for the disk
    EXPECT_TRUE(reader.kill());
    EXPECT_EQ(descriptors(), open + 2);
}

TEST_F(sending, a_peer_that_is_gone) {
    std::signal(SIGPIPE, SIG_DFL);
    file const from(noise(1'000'000));
    auto [near, far] = connected();
    linger const at_once{1, 0};
    ASSERT_EQ(setsockopt(far.native(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    far.close();
    int const first = failure_of([&, &near = near] { send_file(near, from.fd); }).code;
    EXPECT_TRUE(first == ECONNRESET || first == EPIPE) << first;
    EXPECT_EQ(failure_of([&, &near = near] { send_file(near, from.fd); }).code, EPIPE);
    sigset_t pending;
    ASSERT_EQ(sigpending(&pending), 0);
    EXPECT_FALSE(sigismember(&pending, SIGPIPE));
}

} // namespace
