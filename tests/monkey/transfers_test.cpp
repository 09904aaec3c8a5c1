#include "tests/monkey/fixture.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

namespace {

struct file {
    int fd;
    std::string content;
    explicit file(std::size_t size) {
        char path[] = "/tmp/coir_transfers_XXXXXX";
        fd = checked(mkstemp(path), "mkstemp");
        unlink(path);
        for (std::size_t i = 0; i < size; ++i) content += char('a' + i % 23);
        checked(int(write(fd, content.data(), size)), "write");
        checked(int(lseek(fd, 0, SEEK_SET)), "lseek");
    }
    ~file() { close(fd); }
};

std::string read_all(int fd) {
    std::string all;
    char part[5000];
    for (ssize_t got; (got = read(fd, part, sizeof part)) > 0;) all.append(part, std::size_t(got));
    return all;
}

constexpr std::size_t much = 3'000'000; // more than any buffer in between takes

} // namespace

TEST(sendfile, to_a_socket_and_a_pipe_that_a_fiber_reads_from) {
    for (auto const make : {+[] { return fd_pair::sockets(); }, +[] { return fd_pair::pipe(); }}) {
        fd_pair ends = make();
        file from{much};
        auto sender = coir::spawn([&] {
            ssize_t const sent = sendfile(ends.second, from.fd, nullptr, much + 5);
            ends.close_second();
            return sent;
        });
        until_parked(sender);
        EXPECT_EQ(read_all(ends.first), from.content);
        EXPECT_EQ(sender.get(), ssize_t(much));
        EXPECT_EQ(lseek(from.fd, 0, SEEK_CUR), off_t(much));
    }
}

TEST(sendfile, of_zeros_to_a_socket_that_a_fiber_reads_from) {
    fd_pair sockets = fd_pair::sockets();
    int const zeros = checked(open("/dev/zero", O_RDONLY), "open");
    auto sender = coir::spawn([&] {
        ssize_t const sent = sendfile(sockets.second, zeros, nullptr, much);
        sockets.close_second();
        return sent;
    });
    until_parked(sender);
    EXPECT_EQ(read_all(sockets.first), std::string(much, 0));
    EXPECT_EQ(sender.get(), ssize_t(much));
    close(zeros);
}

TEST(sendfile, from_an_offset) {
    fd_pair const sockets = fd_pair::sockets();
    file from{100};
    off_t offset = 90;
    EXPECT_EQ(sendfile(sockets.first, from.fd, &offset, 5), 5);
    EXPECT_EQ(offset, 95);
    EXPECT_EQ(lseek(from.fd, 0, SEEK_CUR), 0);
    EXPECT_EQ(sendfile(sockets.first, from.fd, &offset, 50), 5);
    EXPECT_EQ(sendfile(sockets.first, from.fd, &offset, 50), 0);
    char bytes[20];
    EXPECT_EQ(recv(sockets.second, bytes, sizeof bytes, 0), 10);
    EXPECT_EQ(std::string(bytes, 10), from.content.substr(90));
    EXPECT_EQ(sendfile(sockets.first, sockets.second, nullptr, 5), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(sendfile(sockets.first, -1, nullptr, 5), -1);
    EXPECT_EQ(errno, EBADF);
}

TEST(sendfile, what_was_sent_before_the_peer_went_counts) {
    fd_pair sockets = fd_pair::sockets();
    file from{much};
    signal(SIGPIPE, SIG_IGN);
    auto sender = coir::spawn([&] { return sendfile(sockets.first, from.fd, nullptr, much); });
    until_parked(sender);
    sockets.close_second();
    ssize_t const sent = sender.get();
    EXPECT_GT(sent, 0);
    EXPECT_LT(sent, ssize_t(much));
    EXPECT_EQ(lseek(from.fd, 0, SEEK_CUR), sent);
    EXPECT_EQ(sendfile(sockets.first, from.fd, nullptr, much), -1);
    EXPECT_EQ(errno, EPIPE);
    signal(SIGPIPE, SIG_DFL);
}

TEST(splice, from_a_socket_through_a_pipe_to_another) {
    fd_pair in = fd_pair::sockets(), pipe = fd_pair::pipe(), out = fd_pair::sockets();
    auto into_pipe = coir::spawn([&] {
        ssize_t total = 0;
        for (ssize_t got; (got = splice(in.first, nullptr, pipe.second, nullptr, 1 << 20, 0)) > 0;) total += got;
        pipe.close_second();
        return total;
    });
    auto out_of_pipe = coir::spawn([&] {
        ssize_t total = 0;
        for (ssize_t got; (got = splice(pipe.first, nullptr, out.second, nullptr, 1 << 20, 0)) > 0;) total += got;
        out.close_second();
        return total;
    });
    until_parked(into_pipe);
    until_parked(out_of_pipe);
    file from{much};
    auto writer = coir::spawn([&] {
        EXPECT_EQ(write(in.second, from.content.data(), much), ssize_t(much));
        in.close_second();
    });
    EXPECT_EQ(read_all(out.first), from.content);
    EXPECT_EQ(into_pipe.get(), ssize_t(much));
    EXPECT_EQ(out_of_pipe.get(), ssize_t(much));
}

TEST(splice, between_a_file_and_pipes) {
    file from{much}, to{0};
    fd_pair pipe = fd_pair::pipe();
    auto reader = coir::spawn([&] {
        off_t at = 0;
        for (ssize_t got; (got = splice(pipe.first, nullptr, to.fd, &at, much, 0)) > 0;) {}
        return at;
    });
    until_parked(reader);
    for (ssize_t got; (got = splice(from.fd, nullptr, pipe.second, nullptr, much, 0)) > 0;) {}
    pipe.close_second();
    EXPECT_EQ(reader.get(), off_t(much));
    EXPECT_EQ(read_all(to.fd), from.content);
}

TEST(splice, that_must_not_wait) {
    fd_pair const one = fd_pair::pipe(), other = fd_pair::pipe();
    EXPECT_EQ(splice(one.first, nullptr, other.second, nullptr, 10, SPLICE_F_NONBLOCK), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(tee(one.first, other.second, 10, SPLICE_F_NONBLOCK), -1);
    EXPECT_EQ(errno, EAGAIN);
    fcntl(one.first, F_SETFL, O_NONBLOCK);
    EXPECT_EQ(splice(one.first, nullptr, other.second, nullptr, 10, 0), -1);
    EXPECT_EQ(errno, EAGAIN);
    file const plain{10};
    EXPECT_EQ(splice(plain.fd, nullptr, plain.fd, nullptr, 10, 0), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST(tee, waits_for_something_and_leaves_it) {
    fd_pair const in = fd_pair::pipe(), out = fd_pair::pipe();
    auto copier = coir::spawn([&] { return tee(in.first, out.second, 100, 0); });
    until_parked(copier);
    EXPECT_EQ(write(in.second, "abc", 3), 3);
    EXPECT_EQ(copier.get(), 3);
    char bytes[4] = {};
    EXPECT_EQ(read(in.first, bytes, 3), 3);
    EXPECT_EQ(read(out.first, bytes, 3), 3);
    EXPECT_STREQ(bytes, "abc");
}

// Each would wait if the kernel took it.
TEST(splice, that_the_kernel_refuses) {
    fd_pair const pipe = fd_pair::pipe(), other = fd_pair::pipe(), sockets = fd_pair::sockets();
    file const plain{10};
    int const appended =
        checked(open(("/proc/self/fd/" + std::to_string(plain.fd)).c_str(), O_WRONLY | O_APPEND), "open");
    off_t offset = 0;
    struct {
        char const* what;
        int error, in, out;
        off_t* from = nullptr;
        unsigned flags = 0;
    } const refused[] = {
        {"the two ends of one pipe", EINVAL, pipe.first, pipe.second},
        {"to what is not open", EBADF, pipe.first, 1000},
        {"from what is not open", EBADF, 1000, pipe.second},
        {"from the end that is written to", EBADF, pipe.second, other.second},
        {"to the end that is read from", EBADF, pipe.first, other.first},
        {"from a socket to the end that is read from", EBADF, sockets.first, other.first},
        {"from a place in a pipe", ESPIPE, pipe.first, other.second, &offset},
        {"from a place in a socket", EINVAL, sockets.first, pipe.second, &offset},
        {"to a file that is appended to", EINVAL, pipe.first, appended},
        {"a flag that there is not", EINVAL, pipe.first, other.second, nullptr, 0x100},
        {"a flag that there is not, from a socket", EINVAL, sockets.first, other.second, nullptr, 0x100},
    };
    for (auto const& one : refused) {
        EXPECT_EQ(splice(one.in, one.from, one.out, nullptr, 10, one.flags), -1) << one.what;
        EXPECT_EQ(errno, one.error) << one.what;
    }
    close(appended);
}

// Whatever O_NONBLOCK says.
TEST(vmsplice, waits_for_room) {
    for (int const flags : {0, O_NONBLOCK}) {
        fd_pair const pipe = fd_pair::pipe();
        checked(fcntl(pipe.second, F_SETFL, flags), "F_SETFL");
        std::vector<char> const fill(std::size_t(fcntl(pipe.second, F_GETPIPE_SZ)), 'f');
        EXPECT_EQ(write(pipe.second, fill.data(), fill.size()), ssize_t(fill.size()));
        char text[] = "hello";
        iovec const part{text, 5};
        auto writer = coir::spawn([&] { return vmsplice(pipe.second, &part, 1, 0); });
        until_parked(writer);
        std::vector<char> got(fill.size());
        EXPECT_EQ(read(pipe.first, got.data(), got.size()), ssize_t(got.size()));
        EXPECT_EQ(writer.get(), 5);
    }
}

TEST(copy_file_range, copies) {
    file from{much}, to{0};
    off_t at = 5;
    EXPECT_EQ(copy_file_range(from.fd, &at, to.fd, nullptr, 100, 0), 100);
    EXPECT_EQ(at, 105);
    lseek(to.fd, 0, SEEK_SET);
    EXPECT_EQ(read_all(to.fd), from.content.substr(5, 100));
}

TEST(splice, to_a_nonblocking_socket_waits_for_the_pipe) {
    auto const pipe = fd_pair::pipe();
    auto const sockets = fd_pair::sockets(SOCK_STREAM | SOCK_NONBLOCK);
    auto mover = coir::spawn([&] { return splice(pipe.first, nullptr, sockets.first, nullptr, 100, 0); });
    until_parked(mover);
    EXPECT_EQ(write(pipe.second, "hello", 5), 5);
    EXPECT_EQ(mover.get(), 5);
}
