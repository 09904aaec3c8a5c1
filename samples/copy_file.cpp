#include "copy_file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

constexpr off_t piece = 4 << 20; // bytes, after each of which progress is told

[[noreturn]] void fail(char const* what) { throw std::system_error(errno, std::generic_category(), what); }

struct source {
    int const fd;
    struct stat about;

    explicit source(std::filesystem::path const& from) : fd(::open(from.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) {
        if (fd < 0) fail("open");
        if (::fstat(fd, &about) != 0) {
            ::close(fd);
            fail("stat");
        }
    }
    source(source const&) = delete;
    ~source() { ::close(fd); }
};

class part_file {
public:
    explicit part_file(std::filesystem::path const& target)
        : target_(target), name_(target.parent_path() / ".copy_folder-XXXXXX"),
          fd_(::mkostemp(name_.data(), O_CLOEXEC)) {
        if (fd_ < 0) fail("create");
    }
    part_file(part_file const&) = delete;
    ~part_file() {
        if (fd_ >= 0) ::close(fd_);
        if (!kept_) ::unlink(name_.c_str());
    }
    int fd() const noexcept { return fd_; }

    void keep() {
        if (::close(std::exchange(fd_, -1)) != 0) fail("write"); // a full quota may show only here
        if (::rename(name_.c_str(), target_.c_str()) != 0) fail("rename");
        kept_ = true;
    }

private:
    std::filesystem::path target_;
    std::string name_;
    int fd_;
    bool kept_ = false;
};

// For file systems that cannot do it between them.
ssize_t copy_through_memory(int from, int to, off_t at, std::size_t size) {
    std::vector<char> buffer(std::min<std::size_t>(size, 256 * 1024));
    ssize_t const got = ::pread(from, buffer.data(), buffer.size(), at);
    for (ssize_t done = 0; done < got;) {
        ssize_t const n = ::pwrite(to, buffer.data() + done, std::size_t(got - done), at + done);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) done += n;
    }
    return got;
}

// How many bytes of so many it were; 0 at the end of the file.
off_t copy_some(int from, int to, off_t at, off_t size) {
    for (;;) {
        off_t there = at, here = at;
        ssize_t n = ::copy_file_range(from, &there, to, &here, std::size_t(size), 0);
        if (n < 0 && (errno == EXDEV || errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS))
            n = copy_through_memory(from, to, at, std::size_t(size));
        if (n >= 0) return n;
        if (errno != EINTR) fail("copy");
    }
}

} // namespace

std::uint64_t copy_file(std::filesystem::path const& from, std::filesystem::path const& to, bool syncs,
                        copy_progress const& progress) {
    source const in{from};
    part_file out{to};
    off_t hole = 0; // where the next one begins
    for (off_t at; (at = ::lseek(in.fd, hole, SEEK_DATA)) >= 0;) {
        hole = ::lseek(in.fd, at, SEEK_HOLE); // the end of the file is one
        while (at < hole) {
            off_t const n = copy_some(in.fd, out.fd(), at, std::min(hole - at, piece));
            if (n == 0) break; // it has become shorter meanwhile
            at += n;
            if (progress) progress(std::uint64_t(at), std::uint64_t(in.about.st_size));
        }
    }
    if (errno != ENXIO) fail("seek"); // which says that there is nothing behind
    off_t const size = ::lseek(in.fd, 0, SEEK_END);
    if (::ftruncate(out.fd(), size) != 0) fail("truncate");
    keep_mode_and_times(out.fd(), in.about);
    if (syncs && ::fsync(out.fd()) != 0) fail("fsync");
    out.keep();
    return std::uint64_t(size);
}

void keep_mode_and_times(int fd, struct stat const& of) {
    timespec const times[] = {of.st_atim, of.st_mtim};
    if (::fchmod(fd, of.st_mode & 01777) != 0) fail("chmod");
    if (::futimens(fd, times) != 0) fail("set the times");
}
