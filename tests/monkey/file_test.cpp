#include "tests/monkey/fixture.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/ioctl.h>

namespace {

auto spawn_reader(int fd) {
    return coir::spawn([fd] {
        char byte;
        auto const n = read(fd, &byte, 1);
        return std::pair(n, n < 0 ? errno : 0);
    });
}
std::pair<ssize_t, int> const bad_descriptor{-1, EBADF};

} // namespace

TEST(file, fsync_lets_others_run) {
    char path[] = "/tmp/coir-file-test-XXXXXX";
    int const fd = checked(mkstemp(path), "mkstemp");
    unlink(path);
    ASSERT_EQ(write(fd, "x", 1), 1);
    bool other_ran = false;
    auto other = coir::spawn([&] { other_ran = true; });
    EXPECT_EQ(fsync(fd), 0);
    EXPECT_TRUE(other_ran);
    EXPECT_EQ(fdatasync(fd), 0);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(fsync(fd), -1);
    EXPECT_EQ(errno, EBADF);
}

TEST(file, every_way_to_close_wakes_the_reader) {
    auto const fclose_it = [](int fd) {
        FILE* stream = fdopen(fd, "r");
        ASSERT_NE(stream, nullptr);
        EXPECT_EQ(fclose(stream), 0);
    };
    auto const dup3_over_it = [](int fd) { EXPECT_EQ(dup3(2, fd, O_CLOEXEC), fd); };
    auto const close_its_range = [](int fd) { EXPECT_EQ(close_range(unsigned(fd), unsigned(fd), 0), 0); };
    for (auto const& end : std::initializer_list<void (*)(int)>{fclose_it, dup3_over_it, close_its_range}) {
        auto ends = fd_pair::pipe();
        auto reader = spawn_reader(ends.first);
        until_parked(reader);
        end(ends.first);
        EXPECT_EQ(reader.get(), bad_descriptor);
    }
}

TEST(file, close_range_that_only_marks_leaves_waiters_alone) {
    auto ends = fd_pair::pipe();
    auto reader = spawn_reader(ends.first);
    until_parked(reader);
    EXPECT_EQ(close_range(unsigned(ends.first), unsigned(ends.first), CLOSE_RANGE_CLOEXEC), 0);
    until_parked(reader);
    EXPECT_EQ(write(ends.second, "x", 1), 1);
    EXPECT_EQ(reader.get(), std::pair(ssize_t(1), 0));
}

TEST(file, dup2_onto_itself_changes_nothing) {
    auto ends = fd_pair::pipe();
    auto reader = spawn_reader(ends.first);
    until_parked(reader);
    EXPECT_EQ(dup2(ends.first, ends.first), ends.first);
    until_parked(reader);
    EXPECT_EQ(write(ends.second, "x", 1), 1);
    EXPECT_EQ(reader.get(), std::pair(ssize_t(1), 0));
}

TEST(file, FIONBIO_is_the_program_s_O_NONBLOCK) {
    auto ends = fd_pair::sockets();
    coir::hub::current();
    char byte;
    EXPECT_EQ(recv(ends.first, &byte, 1, MSG_DONTWAIT), -1);
    int on = 1, off = 0;
    ASSERT_EQ(ioctl(ends.first, FIONBIO, &on), 0);
    EXPECT_EQ(read(ends.first, &byte, 1), -1);
    EXPECT_EQ(errno, EAGAIN);
    ASSERT_EQ(ioctl(ends.first, FIONBIO, &off), 0);
    auto reader = spawn_reader(ends.first);
    until_parked(reader);
    EXPECT_EQ(write(ends.second, "x", 1), 1);
    EXPECT_EQ(reader.get(), std::pair(ssize_t(1), 0));
}

TEST(file, ioctl_and_fcntl_pass_their_argument) {
    auto ends = fd_pair::pipe();
    coir::hub::current();
    EXPECT_EQ(write(ends.second, "four", 4), 4);
    int waiting = 0;
    EXPECT_EQ(ioctl(ends.first, FIONREAD, &waiting), 0);
    EXPECT_EQ(waiting, 4);
    int const copy = fcntl(ends.first, F_DUPFD_CLOEXEC, 100);
    EXPECT_GE(copy, 100);
    EXPECT_EQ(close(copy), 0);
}

TEST(file, what_fails_to_replace_a_descriptor_wakes_nobody) {
    auto const ends = fd_pair::pipe();
    auto reader = spawn_reader(ends.first);
    until_parked(reader);
    EXPECT_EQ(dup2(1 << 19, ends.first), -1);
    EXPECT_EQ(dup3(ends.second, ends.first, O_APPEND), -1);
    EXPECT_EQ(close_range(unsigned(ends.first), unsigned(ends.first), 1 << 20), -1);
    until_parked(reader);
    EXPECT_EQ(write(ends.second, "x", 1), 1);
    EXPECT_EQ(reader.get(), std::pair(ssize_t(1), 0));
}

TEST(file, a_process_group_that_owns_a_descriptor_is_told) {
    auto const ends = fd_pair::sockets();
    coir::hub::current();
    checked(fcntl(ends.first, F_SETOWN, -getpgrp()), "F_SETOWN");
    errno = 0;
    EXPECT_EQ(fcntl(ends.first, F_GETOWN), -getpgrp());
    EXPECT_EQ(errno, 0);
    EXPECT_EQ(fcntl(-1, F_GETOWN), -1);
    EXPECT_EQ(errno, EBADF);
}
