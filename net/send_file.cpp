#include "net/send_file.h"

#include "hub/hub.h"
#include "hub/offload.h"
#include "hub/ring.h"
#include "net/moving.h"
#include "net/socket.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>

namespace coir::net {
namespace {

constexpr std::size_t piece_size = 256 * 1024;  // that is asked about and sent at once
constexpr std::size_t buffer_size = 128 * 1024; // the usual readahead

// Linux 6.5, of which Debian 12's headers know nothing (include/uapi/linux/mman.h).
constexpr long cachestat_number = 451;
struct cachestat_range {
    std::uint64_t offset, length;
};
struct cachestat_answer {
    std::uint64_t cached, dirty, writeback, evicted, recently_evicted; // pages
};

class file_course {
public:
    file_course(stream& to, int fd, std::uint64_t offset, copy_options const& how) noexcept
        : to_(to), fd_(fd), at_(offset), left_(how.most), idle_(how.idle), patience_(how.until, idle_),
          until_(how.until) {}

    std::uint64_t run() {
        std::uint64_t const begin = at_;
        learn_size();
        while (left_ > 0) {
            if (at_ >= size_) learn_size(); // it may have grown
            std::size_t const piece = std::size_t(std::min<std::uint64_t>({left_, piece_size, room_to_end()}));
            if (!(to_.plain() && is_cached(piece) ? send_piece(piece) : read_and_write(piece))) break;
        }
        patience_.of([&](deadline until) { return to_.flush(until), std::size_t{0}; });
        return at_ - begin;
    }

private:
    void learn_size() {
        struct stat about {};
        if (::fstat(fd_, &about) != 0) fail(errno);
        if (!S_ISREG(about.st_mode) && !S_ISBLK(about.st_mode)) fail(EINVAL);
        size_ = S_ISREG(about.st_mode) ? std::uint64_t(about.st_size) : UINT64_MAX;
    }

    // A file of /proc has none, and yet something in it.
    std::uint64_t room_to_end() const noexcept { return at_ < size_ ? size_ - at_ : buffer_size; }

    // cachestat counts pages that are on their way from the disk, too. Of those the first or the last byte cannot be
    // read yet: they are read ahead in order, in windows of 128 KiB and more.
    bool is_cached(std::size_t piece) {
        if (no_cachestat_ || no_sendfile_ || at_ >= size_) return false;
        cachestat_range const range{at_, piece};
        cachestat_answer answer{};
        if (::syscall(cachestat_number, fd_, &range, &answer, 0) != 0) {
            no_cachestat_ = true;
            return false;
        }
        static std::uint64_t const page = std::uint64_t(::sysconf(_SC_PAGESIZE));
        std::uint64_t const pages = (at_ + piece - 1) / page - at_ / page + 1;
        return answer.cached >= pages && byte_is_there(at_) && byte_is_there(at_ + piece - 1);
    }

    bool byte_is_there(std::uint64_t at) const noexcept {
        std::byte one;
        iovec const into{&one, 1};
        return ::preadv2(fd_, &into, 1, off_t(at), RWF_NOWAIT) == 1;
    }

    bool send_piece(std::size_t piece) {
        off_t from = off_t(at_);
        bool refused = false;
        std::size_t const sent = patience_.of([&](deadline until) {
            return std::size_t(to_.plain()->attempt(moving_out, until, [&](int socket) {
                ssize_t const result = without_sigpipe([&] { return ::sendfile(socket, fd_, &from, piece); });
                refused = result < 0 && (errno == EINVAL || errno == ENOSYS); // a file system that cannot
                return refused ? 0 : result;
            }));
        });
        no_sendfile_ = refused;
        return advance(sent) || refused;
    }

    bool read_and_write(std::size_t piece) {
        if (!buffer_) buffer_ = std::make_unique_for_overwrite<std::byte[]>(buffer_size);
        std::span<std::byte const> held(buffer_.get(), read(std::min(piece, buffer_size)));
        bool const more = !held.empty();
        while (!held.empty()) {
            std::size_t const sent = patience_.of([&](deadline until) { return to_.write_some(held, until); });
            held = held.subspan(sent);
            advance(sent);
        }
        return more;
    }

    // What is cached at once; else what the kernel or a thread reads while others run.
    std::size_t read(std::size_t size) {
        iovec const into{buffer_.get(), size};
        ssize_t got = ::preadv2(fd_, &into, 1, off_t(at_), RWF_NOWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EOPNOTSUPP)) got = read_outside_the_cache(into);
        if (got < 0) fail(errno);
        return std::size_t(got);
    }

    ssize_t read_outside_the_cache(iovec const& into) {
        ring* const kernels = ring::here();
        if (!kernels) return offload([&] { return ::pread(fd_, into.iov_base, into.iov_len, off_t(at_)); }, "read");
        long const got = kernels->perform({"read of file", fd_, handlers::none, until_},
                                          [&](io_uring_sqe* entry) { io_uring_prep_readv(entry, fd_, &into, 1, at_); });
        if (got >= 0) return got;
        if (got == -ECANCELED) interruption_point();
        errno = got == -ETIME ? ETIMEDOUT : int(-got);
        return -1;
    }

    std::size_t advance(std::size_t by) noexcept {
        at_ += by;
        left_ -= by;
        return by;
    }

    [[noreturn]] void fail(int error) const {
        throw std::system_error(error, std::generic_category(),
                                "read file " + std::to_string(fd_) + " for " + to_.peer_address().to_string());
    }

    stream& to_;
    int const fd_;
    std::uint64_t at_;
    std::uint64_t left_;
    std::uint64_t size_ = 0; // of the file, when it was last asked
    idle_limit idle_;
    patience patience_;
    deadline const until_;
    bool no_cachestat_ = false; // of this file, or at all
    bool no_sendfile_ = false;
    std::unique_ptr<std::byte[]> buffer_;
};

} // namespace

std::uint64_t send_file(stream& to, int fd, std::uint64_t offset, copy_options how) {
    return file_course(to, fd, offset, how).run();
}

} // namespace coir::net
