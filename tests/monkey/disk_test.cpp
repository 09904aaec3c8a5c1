#include "tests/monkey/fixture.h"

#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/uio.h>
#include <vector>

namespace {

struct open_file {
    int fd;
    explicit open_file(int flags = 0) {
        char path[] = "/tmp/coir-disk-test-XXXXXX";
        fd = checked(mkostemp(path, flags), "mkostemp");
        unlink(path);
    }
    ~open_file() { close(fd); }
    open_file(open_file const&) = delete;

    std::string text() const {
        std::string all(100, 0);
        all.resize(std::size_t(pread(fd, all.data(), all.size(), 0)));
        return all;
    }
};

iovec part(char const* text) { return {const_cast<char*>(text), std::char_traits<char>::length(text)}; }

} // namespace

TEST(disk, what_is_written_at_a_place_is_there_and_the_position_stays) {
    open_file const file;
    iovec const two[] = {part("cd"), part("ef")};
    EXPECT_EQ(pwrite(file.fd, "ab", 2, 0), 2);
    EXPECT_EQ(pwritev(file.fd, two, 2, 2), 4);
    EXPECT_EQ(pwritev2(file.fd, two, 2, 6, RWF_DSYNC), 4);
    EXPECT_EQ(lseek(file.fd, 0, SEEK_CUR), 0);
    EXPECT_EQ(file.text(), "abcdefcdef");
    char a[3]{}, b[3]{};
    iovec const into[] = {{a, 2}, {b, 2}};
    EXPECT_EQ(preadv2(file.fd, into, 2, 4, 0), 4);
    EXPECT_EQ(std::string(a) + b, "efcd");
}

TEST(disk, without_a_place_the_position_moves) {
    open_file const file;
    iovec const one = part("abc");
    EXPECT_EQ(pwritev2(file.fd, &one, 1, -1, 0), 3);
    EXPECT_EQ(pwritev2(file.fd, &one, 1, -1, RWF_SYNC), 3);
    EXPECT_EQ(lseek(file.fd, 0, SEEK_CUR), 6);
    EXPECT_EQ(pwritev2(file.fd, &one, 1, 0, RWF_APPEND), 3);
    EXPECT_EQ(file.text(), "abcabcabc");
    lseek(file.fd, 1, SEEK_SET);
    char text[5]{};
    iovec const into{text, 2};
    EXPECT_EQ(preadv2(file.fd, &into, 1, -1, 0), 2);
    EXPECT_EQ(preadv2(file.fd, &into, 1, -1, RWF_NOWAIT), 2);
    EXPECT_EQ(lseek(file.fd, 0, SEEK_CUR), 5);
}

TEST(disk, a_write_that_waits_for_the_disk_lets_others_run) {
    iovec const one = part("abc");
    open_file const file, synchronous{O_DSYNC};
    EXPECT_TRUE(lets_others_run([&] { EXPECT_EQ(pwrite(synchronous.fd, "abc", 3, 3), 3); }));
    EXPECT_EQ(lseek(synchronous.fd, 0, SEEK_CUR), 0);
    EXPECT_TRUE(lets_others_run([&] {
        lseek(synchronous.fd, 0, SEEK_SET);
        EXPECT_EQ(write(synchronous.fd, "abc", 3), 3);
    }));
    EXPECT_TRUE(lets_others_run([&] { EXPECT_EQ(pwritev2(file.fd, &one, 1, 0, RWF_DSYNC), 3); }));
    EXPECT_FALSE(lets_others_run([&] { EXPECT_EQ(pwrite(file.fd, "abc", 3, 3), 3); }, 1));
    EXPECT_EQ(synchronous.text(), "abcabc");
    EXPECT_EQ(file.text(), "abcabc");
}

TEST(disk, at_the_position_of_a_pipe_it_waits) {
    auto ends = fd_pair::pipe();
    char text[4]{};
    iovec const into{text, 3}, from = part("abc");
    auto reader = coir::spawn([&] { return preadv2(ends.first, &into, 1, -1, 0); });
    until_parked(reader);
    EXPECT_EQ(pwritev2(ends.second, &from, 1, -1, 0), 3);
    EXPECT_EQ(reader.get(), 3);
    EXPECT_STREQ(text, "abc");
    EXPECT_EQ(preadv2(ends.first, &into, 1, -1, RWF_NOWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
}

TEST(disk, errors_are_the_kernels) {
    auto ends = fd_pair::pipe();
    open_file const file;
    char byte = 'x';
    iovec const one{&byte, 1};
    std::vector<iovec> const too_many(IOV_MAX + 1, one);
    EXPECT_EQ(pwrite(ends.second, &byte, 1, 0), -1);
    EXPECT_EQ(errno, ESPIPE);
    EXPECT_EQ(pwrite(file.fd, &byte, 1, -1), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(pwritev(file.fd, too_many.data(), IOV_MAX + 1, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(preadv2(file.fd, &one, 1, -2, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(preadv2(file.fd, &one, 1, 0, 1 << 30), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
    EXPECT_EQ(pread(-1, &byte, 1, 0), -1);
    EXPECT_EQ(errno, EBADF);
    int const read_only = checked(open("/etc/passwd", O_RDONLY), "open");
    EXPECT_EQ(pwrite(read_only, &byte, 1, 0), -1);
    EXPECT_EQ(errno, EBADF);
    close(read_only);
}
