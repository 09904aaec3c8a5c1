// What the shim knows of descriptors that other numbers and processes share, and of coir's own.

#include "hub/own_fd.h"
#include "hub/ring.h"
#include "tests/monkey/fixture.h"
#include "tests/rerun.h"

#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

// What fstat was to programs built before glibc 2.33; no header declares it any more.
extern "C" int fxstat_of_libc(int version, int fd, struct stat* about) asm("__fxstat");

namespace {

void set_nonblocking(int fd, bool on) { checked(fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0), "F_SETFL"); }

int read_error(int fd) {
    char byte;
    return read(fd, &byte, 1) < 0 ? errno : 0;
}

// A fiber has read from it before, so that what is known of it is known.
void use(fd_pair const& pair) {
    char byte;
    checked(int(write(pair.second, "x", 1)), "write");
    checked(int(read(pair.first, &byte, 1)), "read");
}

void waits_until_written(fd_pair const& pair) {
    auto reader = coir::spawn([&] { return read_error(pair.first); });
    until_parked(reader);
    EXPECT_EQ(write(pair.second, "x", 1), 1);
    EXPECT_EQ(reader.get(), 0);
}

void see_what_another_number_sets(fd_pair const& pair) {
    use(pair);
    for (int const other : {dup(pair.first), fcntl(pair.first, F_DUPFD, 100), dup2(pair.first, 101)}) {
        ASSERT_GE(other, 0);
        set_nonblocking(other, true);
        EXPECT_EQ(read_error(pair.first), EAGAIN);
        set_nonblocking(pair.first, false);
        auto reader = coir::spawn([&] { return read_error(other); });
        until_parked(reader);
        EXPECT_EQ(write(pair.second, "x", 1), 1);
        EXPECT_EQ(reader.get(), 0);
        close(other);
    }
    waits_until_written(pair);
}

// By system call: for a hook coir's own are not open.
std::vector<int> open_descriptors() {
    std::vector<int> all;
    for (int fd = 0; fd < 70'000; ++fd)
        if (syscall(SYS_fcntl, fd, F_GETFD) >= 0) all.push_back(fd);
    return all;
}

} // namespace

TEST(nonblocking, set_through_another_number) {
    see_what_another_number_sets(fd_pair::pipe());
    see_what_another_number_sets(fd_pair::sockets());
    see_what_another_number_sets(fd_pair::sockets(SOCK_DGRAM));
}

TEST(nonblocking, set_by_a_child) {
    fd_pair const pipe = fd_pair::pipe(), sockets = fd_pair::sockets();
    use(pipe);
    use(sockets);
    pid_t const child = fork();
    if (child == 0) {
        set_nonblocking(pipe.first, true);
        set_nonblocking(sockets.first, true);
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(read_error(pipe.first), EAGAIN);
    EXPECT_EQ(read_error(sockets.first), EAGAIN);
}

TEST(nonblocking, set_by_who_was_sent_the_descriptor) {
    fd_pair const sockets = fd_pair::sockets(), way = fd_pair::sockets();
    use(sockets);
    char byte = 'x';
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &sockets.first, sizeof(int));
    ASSERT_EQ(sendmsg(way.first, &message, 0), 1);
    ASSERT_EQ(recvmsg(way.second, &message, 0), 1);
    int arrived;
    memcpy(&arrived, CMSG_DATA(header), sizeof(int));
    set_nonblocking(arrived, true);
    EXPECT_EQ(read_error(sockets.first), EAGAIN);
    int const off = 0;
    ioctl(arrived, FIONBIO, &off);
    waits_until_written(sockets);
    close(arrived);
}

TEST(timeouts, set_through_another_number) {
    fd_pair const sockets = fd_pair::sockets();
    use(sockets);
    int const other = dup(sockets.first);
    timeval const limit{0, 1000};
    setsockopt(other, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(read_error(sockets.first), EAGAIN);
    close(other);
}

// libuv closes so. The loop goes on watching a number after a wait; unless it hears of the end, the next file of that
// number is never seen to become readable.
TEST(system_calls, that_end_a_descriptor_are_noticed) {
    for (long const way : {SYS_close, SYS_close_range, SYS_dup3}) {
        fd_pair other = fd_pair::pipe();
        for (int round = 0; round < 3; ++round) {
            fd_pair pair = fd_pair::pipe();
            waits_until_written(pair);
            auto reader = coir::spawn([&] { return read_error(pair.first); });
            until_parked(reader);
            if (way == SYS_close)
                EXPECT_EQ(syscall(way, pair.first), 0);
            else if (way == SYS_close_range)
                EXPECT_EQ(syscall(way, pair.first, pair.first, 0), 0);
            else
                EXPECT_EQ(syscall(way, other.first, pair.first, 0), pair.first);
            EXPECT_EQ(reader.get(), EBADF);
            if (way == SYS_dup3) {
                fd_pair same(pair.first, dup(other.second));
                waits_until_written(same);
                pair.first = -1;
                continue;
            }
            int const number = std::exchange(pair.first, -1);
            fd_pair const next = fd_pair::pipe();
            EXPECT_EQ(next.first, number); // the lowest that is free
            waits_until_written(next);
        }
    }
}

TEST(system_calls, that_change_a_descriptor_are_noticed) {
    fd_pair const pair = fd_pair::pipe();
    use(pair);
    int const other = int(syscall(SYS_dup, pair.first));
    ASSERT_GE(other, 0);
    EXPECT_EQ(syscall(SYS_fcntl, other, F_SETFL, O_NONBLOCK), 0);
    EXPECT_EQ(read_error(pair.first), EAGAIN);
    int off = 0;
    EXPECT_EQ(syscall(SYS_ioctl, pair.first, FIONBIO, &off), 0);
    waits_until_written(pair);
    EXPECT_EQ(syscall(SYS_close, other), 0);
}

TEST_ALONE(own_descriptors, lie_above_the_limit_and_take_none_of_the_programs) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &limit);
    auto const before = open_descriptors();
    int lowest = dup(0);
    close(lowest);
    coir::sleep(std::chrono::microseconds(1));
    int own = 0;
    for (int fd : open_descriptors()) {
        if (std::find(before.begin(), before.end(), fd) != before.end()) continue;
        EXPECT_GE(fd, 64);
        EXPECT_TRUE(coir::is_own_fd(fd));
        ++own;
    }
    EXPECT_EQ(own, 3);
    EXPECT_EQ(dup(0), lowest);
    std::vector<int> rest;
    for (int fd; (fd = dup(0)) >= 0;) rest.push_back(fd);
    int const count = int(rest.size());
    for (int fd : rest) close(fd); // UBSan's checks need some
    auto const below = std::count_if(before.begin(), before.end(), [](int fd) { return fd < 64; });
    EXPECT_EQ(count, 64 - below - 1);
    getrlimit(RLIMIT_NOFILE, &limit);
    EXPECT_EQ(limit.rlim_cur, 64u);
}

// A number that is not open any more is the program's again.
TEST_ALONE(own_descriptors, are_open) {
    coir::yield(); // there is a hub
    int own = coir::ring::here() ? 0 : 1;
    for (int fd = 0; fd < 70'000; ++fd) {
        if (!coir::is_own_fd(fd)) continue;
        ++own;
        EXPECT_GE(syscall(SYS_fcntl, fd, F_GETFD), 0) << fd;
    }
    EXPECT_GE(own, 4); // the hub's, and the ring's
}

TEST_ALONE(own_descriptors, can_be_made_when_the_program_may_open_no_more) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "UndefinedBehaviorSanitizer makes a pipe to look whether an object is of its type";
#endif
    rlimit before{}, limit{};
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    limit.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &limit);
    EXPECT_EQ(dup(0), -1);
    auto other = coir::spawn([] { coir::sleep(std::chrono::microseconds(1)); });
    other.join();
    EXPECT_EQ(dup(0), -1);
    setrlimit(RLIMIT_NOFILE, &before);
}

TEST_ALONE(own_descriptors, survive_a_program_that_closes_all_it_finds) {
    fd_pair pair = fd_pair::sockets();
    use(pair);
    coir::yield(); // there is a hub
    std::vector<int> own;
    for (int fd : open_descriptors())
        if (coir::is_own_fd(fd)) own.push_back(fd);
    ASSERT_EQ(own.size(), 3u);
    auto const still_works = [&] {
        waits_until_written(pair);
        usleep(1);
        for (int fd : own) EXPECT_TRUE(coir::is_own_fd(fd));
    };
    for (int fd = std::max(pair.first, pair.second) + 1; fd < 70'000; ++fd)
        EXPECT_TRUE(close(fd) == 0 || errno == EBADF);
    still_works();
    EXPECT_EQ(close_range(unsigned(pair.second) + 1, ~0u, 0), 0);
    still_works();
    closefrom(pair.second + 1);
    still_works();
    EXPECT_EQ(close_range(unsigned(own[0]), unsigned(own[0]), 0), 0);
    still_works();
    EXPECT_EQ(dup2(0, own[1]), -1);
    EXPECT_EQ(errno, EBADF);
    still_works();
    for (int fd : own) {
        struct stat about;
        struct stat64 about64;
        for (int result : {fstat(fd, &about), fstat64(fd, &about64), fcntl(fd, F_GETFD), fcntl(fd, F_GETFL),
                           fcntl(fd, F_SETFD, 0), fcntl(fd, F_DUPFD, 0), dup(fd), dup2(fd, fd)}) {
            EXPECT_EQ(result, -1) << fd;
            EXPECT_EQ(errno, EBADF);
        }
    }
    still_works();
    struct stat about, same;
    EXPECT_EQ(fstat(pair.first, &about), 0);
    EXPECT_TRUE(S_ISSOCK(about.st_mode));
    EXPECT_EQ(fxstat_of_libc(1, pair.first, &same), 0);
    EXPECT_EQ(about.st_ino, same.st_ino);
    EXPECT_EQ(fxstat_of_libc(1, own[0], &same), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(fxstat_of_libc(2, pair.first, &same), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(close_range(2, 1, 0), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST_ALONE(own_descriptors, of_a_child_are_its_own) {
    coir::yield(); // there is a hub
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    pid_t const child = fork();
    if (child == 0) {
        rlimit mine{};
        getrlimit(RLIMIT_NOFILE, &mine);
        usleep(1);
        closefrom(3);
        usleep(1);
        int own = 0;
        for (int fd : open_descriptors()) own += coir::is_own_fd(fd);
        _exit(own == 3 && mine.rlim_cur == limit.rlim_cur ? 5 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 5) << status;
}
