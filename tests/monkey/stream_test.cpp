#include "tests/monkey/fixture.h"

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <pty.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::string pattern(std::size_t size) {
    std::string made(size, '\0');
    for (std::size_t i = 0; i < size; ++i) made[i] = char('a' + i * 7 % 26);
    return made;
}

std::string read_to_end(int fd, std::size_t at_a_time = 4096) {
    std::string all;
    std::vector<char> buffer(at_a_time);
    for (ssize_t n; (n = read(fd, buffer.data(), buffer.size())) > 0;) all.append(buffer.data(), std::size_t(n));
    return all;
}

int file_with(std::string const& content) {
    char path[] = "/tmp/coir-stream-test-XXXXXX";
    int const fd = checked(mkstemp(path), "mkstemp");
    unlink(path);
    EXPECT_EQ(write(fd, content.data(), content.size()), ssize_t(content.size()));
    EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

class on_each_kind : public testing::TestWithParam<bool> {
protected:
    static fd_pair make() { return GetParam() ? fd_pair::pipe() : fd_pair::sockets(); }
};

} // namespace

INSTANTIATE_TEST_SUITE_P(stream, on_each_kind, testing::Bool(),
                         [](auto const& kind) { return kind.param ? "pipe" : "socket"; });

TEST_P(on_each_kind, read_waits_for_a_writer) {
    auto ends = make();
    auto reader = coir::spawn([&] {
        char buffer[16];
        auto const n = read(ends.first, buffer, sizeof buffer);
        return std::string(buffer, n > 0 ? std::size_t(n) : 0);
    });
    until_parked(reader);
    EXPECT_EQ(write(ends.second, "hello", 5), 5);
    EXPECT_EQ(reader.get(), "hello");
}

TEST_P(on_each_kind, a_large_write_returns_when_all_is_written) {
    auto ends = make();
    std::string const sent = pattern(3'000'001);
    auto writer = coir::spawn([&] {
        auto const n = write(ends.second, sent.data(), sent.size());
        ends.close_second();
        return n;
    });
    until_parked(writer);
    EXPECT_EQ(read_to_end(ends.first, 5000), sent);
    EXPECT_EQ(writer.get(), ssize_t(sent.size()));
}

TEST_P(on_each_kind, writev_and_readv_carry_all_parts_in_order) {
    auto ends = make();
    std::string const sent = pattern(2'000'000);
    auto writer = coir::spawn([&] {
        std::vector<iovec> parts;
        for (std::size_t at = 0, size = 1; at < sent.size();
             at += size, size = std::min<std::size_t>(size * 3, 300'000))
            parts.push_back({const_cast<char*>(sent.data()) + at, std::min(size, sent.size() - at)});
        auto const n = writev(ends.second, parts.data(), int(parts.size()));
        ends.close_second();
        return n;
    });
    std::string got;
    char small[3], large[10'000];
    iovec parts[2] = {{small, sizeof small}, {large, sizeof large}};
    for (ssize_t n; (n = readv(ends.first, parts, 2)) > 0;) {
        got.append(small, std::min<std::size_t>(std::size_t(n), sizeof small));
        if (std::size_t(n) > sizeof small) got.append(large, std::size_t(n) - sizeof small);
    }
    EXPECT_EQ(got, sent);
    EXPECT_EQ(writer.get(), ssize_t(sent.size()));
}

TEST_P(on_each_kind, reading_nothing_never_waits) {
    auto ends = make();
    coir::hub::current();
    char byte;
    EXPECT_EQ(read(ends.first, &byte, 0), 0);
}

TEST_P(on_each_kind, a_non_blocking_descriptor_keeps_its_EAGAIN) {
    auto ends = make();
    coir::hub::current();
    char byte;
    ASSERT_EQ(fcntl(ends.first, F_SETFL, O_NONBLOCK), 0);
    EXPECT_EQ(read(ends.first, &byte, 1), -1);
    EXPECT_EQ(errno, EAGAIN);
    ASSERT_EQ(fcntl(ends.first, F_SETFL, 0), 0);
    auto reader = coir::spawn([&] { return read(ends.first, &byte, 1); });
    until_parked(reader);
    EXPECT_EQ(write(ends.second, "x", 1), 1);
    EXPECT_EQ(reader.get(), 1);
}

TEST_P(on_each_kind, the_program_never_finds_O_NONBLOCK_set) {
    auto ends = make();
    auto reader = coir::spawn([&] {
        char byte;
        return read(ends.first, &byte, 1);
    });
    until_parked(reader);
    EXPECT_EQ(fcntl(ends.first, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(fcntl(ends.second, F_GETFL) & O_NONBLOCK, 0);
    ends.close_second();
    EXPECT_EQ(reader.get(), 0);
}

TEST_P(on_each_kind, close_by_another_fiber_wakes_the_reader) {
    auto ends = make();
    auto reader = coir::spawn([&] {
        char byte;
        auto const n = read(ends.first, &byte, 1);
        return std::pair(n, errno);
    });
    until_parked(reader);
    ends.close_first();
    EXPECT_EQ(reader.get(), std::pair(ssize_t(-1), EBADF));
}

TEST_P(on_each_kind, dup2_over_it_wakes_the_reader_and_the_number_works_as_the_new_file) {
    auto ends = make(), other = make();
    auto const read_one = [&] {
        char byte = 0;
        auto const n = read(ends.first, &byte, 1);
        return std::pair(n, n < 0 ? errno : int(byte));
    };
    auto reader = coir::spawn(read_one);
    until_parked(reader);
    ASSERT_EQ(dup2(other.first, ends.first), ends.first);
    EXPECT_EQ(reader.get(), std::pair(ssize_t(-1), EBADF));
    auto again = coir::spawn(read_one);
    until_parked(again);
    EXPECT_EQ(write(other.second, "n", 1), 1);
    EXPECT_EQ(again.get(), std::pair(ssize_t(1), int('n')));
}

TEST_P(on_each_kind, two_readers_of_one_descriptor_each_get_their_part) {
    auto ends = make();
    auto const read_one = [&] {
        char byte = 0;
        return read(ends.first, &byte, 1) == 1 ? byte : '?';
    };
    auto one = coir::spawn(read_one), two = coir::spawn(read_one);
    until_parked(one);
    EXPECT_EQ(write(ends.second, "ab", 2), 2);
    std::string got{one.get(), two.get()};
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, "ab");
}

TEST(stream, writes_of_up_to_PIPE_BUF_stay_whole) {
    auto ends = fd_pair::pipe();
    std::vector<coir::fiber<void>> writers;
    for (char letter = 'a'; letter <= 'h'; ++letter)
        writers.push_back(coir::spawn([&ends, letter] {
            std::string const record(PIPE_BUF, letter);
            for (int i = 0; i < 20; ++i) ASSERT_EQ(write(ends.second, record.data(), record.size()), PIPE_BUF);
        }));
    std::string record(PIPE_BUF, '\0');
    for (int i = 0; i < 8 * 20; ++i) {
        std::size_t got = 0;
        while (got < PIPE_BUF) {
            auto const n = read(ends.first, record.data() + got, PIPE_BUF - got);
            ASSERT_GT(n, 0);
            got += std::size_t(n);
        }
        ASSERT_EQ(record.find_first_not_of(record[0]), std::string::npos) << "records were mixed";
    }
    coir::joinall(writers);
}

TEST(stream, SIGPIPE_and_EPIPE_come_as_from_libc) {
    auto ends = fd_pair::pipe();
    coir::hub::current();
    ends.close_first();
    static int signals;
    signals = 0;
    auto const before = signal(SIGPIPE, [](int) { ++signals; });
    EXPECT_EQ(write(ends.second, "x", 1), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(signals, 1);
    signal(SIGPIPE, before);
}

TEST(stream, files_are_read_in_full) {
    coir::hub::current();
    std::string const content = pattern(1'000'003);
    int const fd = file_with(content);
    std::string got(content.size() + 100, '\0');
    EXPECT_EQ(read(fd, got.data(), got.size()), ssize_t(content.size()));
    got.resize(content.size());
    EXPECT_EQ(got, content);
    EXPECT_EQ(read(fd, got.data(), 1), 0);
    EXPECT_EQ(pread(fd, got.data(), 10, 26), 10);
    EXPECT_EQ(got.substr(0, 10), content.substr(26, 10));
    char a[5], b[5];
    iovec parts[2] = {{a, 5}, {b, 5}};
    EXPECT_EQ(preadv(fd, parts, 2, 26), 10);
    EXPECT_EQ(std::string(a, 5) + std::string(b, 5), content.substr(26, 10));
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), off_t(content.size())) << "pread moved the position";
    EXPECT_EQ(close(fd), 0);
}

TEST(stream, a_file_that_is_not_cached_is_read_in_full_too) {
    coir::hub::current();
    std::string const content = pattern(700'001);
    int const fd = file_with(content);
    ASSERT_EQ(fsync(fd), 0);
    ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    std::string got(content.size(), '\0');
    EXPECT_EQ(read(fd, got.data(), got.size()), ssize_t(content.size()));
    EXPECT_EQ(got, content);
    EXPECT_EQ(close(fd), 0);
}

TEST(stream, errors_are_libc_s) {
    coir::hub::current();
    char byte;
    EXPECT_EQ(read(-1, &byte, 1), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(write(987654, &byte, 1), -1);
    EXPECT_EQ(errno, EBADF);
    int const directory = open("/", O_RDONLY);
    EXPECT_EQ(read(directory, &byte, 1), -1);
    EXPECT_EQ(errno, EISDIR);
    EXPECT_EQ(close(directory), 0);
    auto ends = fd_pair::pipe();
    EXPECT_EQ(pread(ends.first, &byte, 1, 0), -1);
    EXPECT_EQ(errno, ESPIPE);
    iovec const parts{&byte, 1};
    int volatile too_few = -1;
    EXPECT_EQ(readv(ends.first, &parts, too_few), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST(stream, an_eventfd_is_waited_for) {
    int const fd = eventfd(0, 0);
    auto reader = coir::spawn([fd] {
        std::uint64_t count = 0;
        EXPECT_EQ(read(fd, &count, sizeof count), 8);
        return count;
    });
    until_parked(reader);
    std::uint64_t const three = 3;
    EXPECT_EQ(write(fd, &three, sizeof three), 8);
    EXPECT_EQ(reader.get(), 3u);
    close(fd);
}

TEST(stream, a_terminal_is_waited_for) {
    int master, slave;
    if (openpty(&master, &slave, nullptr, nullptr, nullptr) != 0)
        GTEST_SKIP() << "there are no terminals here, as in a chroot without /dev/pts: " << strerror(errno);
    auto reader = coir::spawn([slave] {
        char line[64];
        auto const n = read(slave, line, sizeof line);
        return std::string(line, n > 0 ? std::size_t(n) : 0);
    });
    until_parked(reader);
    EXPECT_EQ(write(master, "line\n", 5), 5);
    EXPECT_EQ(reader.get(), "line\n");
    EXPECT_EQ(write(slave, "out\n", 4), 4);
    char echo[64];
    std::string got;
    while (got.find("out") == std::string::npos) {
        auto const n = read(master, echo, sizeof echo);
        ASSERT_GT(n, 0);
        got.append(echo, std::size_t(n));
    }
    close(master);
    close(slave);
}

TEST(stream, eventfd_read_and_write_wait) {
    int const fd = checked(eventfd(0, 0), "eventfd");
    auto reader = coir::spawn([fd] {
        eventfd_t number = 0;
        return std::pair(eventfd_read(fd, &number), number);
    });
    until_parked(reader);
    EXPECT_EQ(eventfd_write(fd, 7), 0);
    EXPECT_EQ(reader.get(), std::pair(0, eventfd_t(7)));
    EXPECT_EQ(eventfd_write(fd, UINT64_MAX), -1);
    EXPECT_EQ(errno, EINVAL);
    close(fd);
    EXPECT_EQ(eventfd_write(fd, 1), -1);
    EXPECT_EQ(errno, EBADF);
}

namespace {

struct terminal {
    int master = -1, slave = -1;
    terminal(cc_t least, cc_t time) {
        checked(openpty(&master, &slave, nullptr, nullptr, nullptr), "openpty");
        termios how;
        tcgetattr(slave, &how);
        cfmakeraw(&how);
        how.c_cc[VMIN] = least;
        how.c_cc[VTIME] = time;
        tcsetattr(slave, TCSANOW, &how);
    }
    terminal(terminal const&) = delete;
    static bool there() {
        return access("/dev/ptmx", F_OK) == 0 && access("/dev/pts/ptmx", F_OK) == 0;
    } // not in a chroot
    ~terminal() {
        close(slave);
        close(master);
    }
};

// In a fiber, beside one that ticks as long as it waits.
ssize_t read_beside_another(int fd, std::size_t size) {
    bool over = false;
    auto beside = coir::spawn([&] {
        while (!over) coir::sleep(1ms);
    });
    auto reader = coir::spawn([&] {
        char buffer[16];
        auto const count = read(fd, buffer, size);
        over = true;
        return count;
    });
    auto const count = reader.get();
    beside.join();
    return count;
}

} // namespace

TEST(stream, a_terminal_without_bytes_ends_the_read_after_its_time) {
    if (!terminal::there()) GTEST_SKIP() << "there are no terminals here";
    terminal const with{0, 1}, without{0, 0};
    EXPECT_EQ(read_beside_another(with.slave, 16), 0);
    EXPECT_EQ(read_beside_another(without.slave, 16), 0);
}

TEST(stream, fewer_bytes_than_a_terminal_waits_for_end_a_read_of_as_few) {
    if (!terminal::there()) GTEST_SKIP() << "there are no terminals here";
    terminal const three{3, 0};
    EXPECT_EQ(write(three.master, "x", 1), 1);
    EXPECT_EQ(read_beside_another(three.slave, 1), 1);
    auto reader = coir::spawn([&] {
        char buffer[16];
        return read(three.slave, buffer, sizeof buffer);
    });
    EXPECT_EQ(write(three.master, "ab", 2), 2);
    until_parked(reader);
    EXPECT_EQ(write(three.master, "c", 1), 1);
    EXPECT_EQ(reader.get(), 3);
}

TEST(stream, a_terminal_between_bytes_waits_its_time_without_blocking_the_thread) {
    if (!terminal::there()) GTEST_SKIP() << "there are no terminals here";
    terminal const two{2, 1};
    auto reader = coir::spawn([&] { return read_beside_another(two.slave, 16); });
    until_parked(reader);
    EXPECT_EQ(write(two.master, "x", 1), 1);
    EXPECT_EQ(reader.get(), 1);
}

TEST(stream, a_nonblocking_FIFO_that_nobody_writes_to_is_at_its_end) {
    char directory[] = "/tmp/coir-stream-test-XXXXXX";
    ASSERT_TRUE(mkdtemp(directory));
    auto const path = std::string(directory) + "/fifo";
    checked(mkfifo(path.c_str(), 0600), "mkfifo");
    coir::spawn([&] {
        int const reads = open(path.c_str(), O_RDONLY | O_NONBLOCK);
        char byte;
        EXPECT_EQ(read(reads, &byte, 1), 0);
        int const writes = open(path.c_str(), O_WRONLY);
        EXPECT_EQ(read(reads, &byte, 1), -1);
        EXPECT_EQ(errno, EAGAIN);
        close(writes);
        EXPECT_EQ(read(reads, &byte, 1), 0);
        close(reads);
    }).join();
    unlink(path.c_str());
    rmdir(directory);
}

TEST(stream, who_waits_for_a_terminal_without_a_master_is_told_EIO) {
    if (!terminal::there()) GTEST_SKIP() << "there are no terminals here";
    signal(SIGHUP, SIG_IGN);
    terminal ends{1, 0};
    auto reader = coir::spawn([&] {
        char byte;
        return read(ends.slave, &byte, 1) == -1 ? errno : 0;
    });
    until_parked(reader);
    close(std::exchange(ends.master, -1));
    EXPECT_EQ(reader.get(), EIO);
    char byte;
    EXPECT_EQ(read(ends.slave, &byte, 1), 0);
}

TEST(stream, calls_by_number_wait_as_those_by_name) {
    auto ends = fd_pair::sockets();
    char byte = 0;
    for (long const number : {SYS_read, SYS_recvfrom}) {
        auto reader = coir::spawn([&] { return syscall(number, ends.first, &byte, 1L, 0L, 0L, 0L); });
        until_parked(reader);
        EXPECT_EQ(write(ends.second, "x", 1), 1);
        EXPECT_EQ(reader.get(), 1);
        EXPECT_EQ(byte, 'x');
    }
    auto failing = coir::spawn([] { return syscall(SYS_read, -1, nullptr, 1L) == -1 ? errno : 0; });
    EXPECT_EQ(failing.get(), EBADF);
}

// Who waits for a stream is told of a peer that goes by what the write returns, and not by a signal before its next.
TEST(stream, a_peer_that_goes_during_a_write_raises_no_SIGPIPE) {
    auto ends = fd_pair::sockets();
    static int signals;
    signals = 0;
    auto const before = signal(SIGPIPE, [](int) { ++signals; });
    std::string const much(4 << 20, 'x');
    auto writer = coir::spawn([&] { return write(ends.first, much.data(), much.size()); });
    until_parked(writer);
    char some[1000];
    EXPECT_EQ(read(ends.second, some, sizeof some), ssize_t(sizeof some));
    ends.close_second();
    ssize_t const written = writer.get();
    EXPECT_GT(written, 0);
    EXPECT_LT(written, ssize_t(much.size()));
    EXPECT_EQ(signals, 0);
    EXPECT_EQ(write(ends.first, "x", 1), -1);
    EXPECT_EQ(signals, 1);
    signal(SIGPIPE, before);
}

TEST(stream, what_is_no_memory_is_EFAULT) {
    auto const ends = fd_pair::sockets();
    coir::hub::current();
    auto* volatile nowhere = reinterpret_cast<iovec*>(8);
    EXPECT_EQ(readv(ends.first, nowhere, 1), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(writev(ends.first, nowhere, 1), -1);
    EXPECT_EQ(errno, EFAULT);
}

TEST(stream, writev_of_nothing_sends_no_packet) {
    auto const ends = fd_pair::sockets(SOCK_DGRAM);
    coir::hub::current();
    char byte = 0;
    iovec const nothing{&byte, 0};
    EXPECT_EQ(writev(ends.first, &nothing, 1), 0);
    EXPECT_EQ(recv(ends.second, &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
}

// An eventfd is writable while there is room for one; a number that has none waits in the kernel.
TEST(stream, a_kill_ends_a_write_to_a_device) {
    int const event = checked(eventfd(1, 0), "eventfd");
    long result = 0;
    auto writer = coir::spawn([&] { result = eventfd_write(event, 0xfffffffffffffffe); });
    until_parked(writer);
    writer.kill();
    EXPECT_EQ(result, -1);
    close(event);
}

TEST(stream, a_read_of_proc_ends_where_the_kernel_ends_it) {
    auto const first_read = [] {
        int const file = checked(open("/proc/self/smaps", O_RDONLY), "open");
        std::vector<char> room(1 << 20);
        ssize_t const got = read(file, room.data(), room.size());
        close(file);
        return got;
    };
    EXPECT_LE(coir::spawn(first_read).get(), sysconf(_SC_PAGESIZE));
}
