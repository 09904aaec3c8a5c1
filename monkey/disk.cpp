#include "monkey/disk.h"

#include "hub/offload.h"
#include "hub/ring.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/parts.h"
#include "monkey/retry.h"

#include <cerrno>
#include <linux/fs.h>

namespace coir::monkey {
namespace {

long read_outside_the_cache(int fd, descriptor& about, iovec const* parts, std::size_t count, off_t offset, int flags) {
    if (ring* const kernels = ring::here()) {
        bool waited = true;
        long const result = kernels->perform(
            {.what = "read of file", .on = fd, .waited = &waited, .with_others = true}, [&](io_uring_sqe* entry) {
                io_uring_prep_readv2(entry, fd, parts, unsigned(count), std::uint64_t(offset), flags);
            });
        about.out_of_cache.store(waited, std::memory_order_relaxed);
        return result;
    }
    return offload([&] { return kernel(SYS_preadv2, fd, parts, count, offset, 0, flags); }, "read of a file");
}

long write_to_the_disk(int fd, iovec const* parts, std::size_t count, off_t offset, int flags) {
    if (ring* const kernels = ring::here())
        return kernels->perform({"write to file", fd}, [&](io_uring_sqe* entry) {
            io_uring_prep_writev2(entry, fd, parts, unsigned(count), std::uint64_t(offset), flags);
        });
    return offload([&] { return kernel(SYS_pwritev2, fd, parts, count, offset, 0, flags); }, "write to a file");
}

bool is_on_disk(descriptor const& about) noexcept {
    return about.kind.load(std::memory_order_relaxed) == file_kind::disk;
}

// The kernel's own answers for what has no position, and to what asks not to wait.
bool is_for_the_kernel(descriptor const& about, off_t offset, int flags) noexcept {
    return flags & RWF_NOWAIT || offset < at_position || (offset != at_position && !is_on_disk(about));
}

} // namespace

// A regular file gives all that was asked for, or all there is: what is cached at once, the rest from the disk. Where a
// read that may wait ends, the kernel ended it: files of /proc give a record at a time, or wait for the next one.
//
// Where the last read had to wait the next is expected to, and is not tried first.
long read_disk(int fd, descriptor& about, iovec const* parts, std::size_t count, off_t offset, int flags) {
    remaining_parts rest{parts, count};
    long total = 0;
    for (;;) {
        std::size_t const wanted = rest.bytes();
        off_t const position = offset == at_position ? at_position : offset + total;
        long result = -EAGAIN;
        if (!about.out_of_cache.load(std::memory_order_relaxed))
            result = kernel(SYS_preadv2, fd, rest.first(), rest.count(), position, 0, flags | RWF_NOWAIT);
        bool const waited = result == -EAGAIN || result == -EOPNOTSUPP;
        if (waited) result = read_outside_the_cache(fd, about, rest.first(), rest.count(), position, flags);
        if (result <= 0) return total ? total : result;
        total += result;
        if (waited || std::size_t(result) == wanted) return total;
        rest.advance(std::size_t(result));
    }
}

long write_disk(int fd, descriptor const& about, iovec const* parts, std::size_t count, off_t offset, int flags) {
    if (about.written_through.load(std::memory_order_relaxed) || flags & (RWF_DSYNC | RWF_SYNC))
        return write_to_the_disk(fd, parts, count, offset, flags);
    if (count != 1 || flags) return kernel(SYS_pwritev2, fd, parts, count, offset, 0, flags);
    if (offset == at_position) return kernel(SYS_write, fd, parts->iov_base, parts->iov_len);
    return kernel(SYS_pwrite64, fd, parts->iov_base, parts->iov_len, offset);
}

long body::pread64(int fd, void* buffer, size_t size, off_t offset) {
    iovec const whole{buffer, size};
    return body::preadv(fd, &whole, 1, offset);
}

long body::pwrite64(int fd, void const* buffer, size_t size, off_t offset) {
    iovec const whole{const_cast<void*>(buffer), size};
    return body::pwritev(fd, &whole, 1, offset);
}

long body::preadv(int fd, iovec const* parts, int count, off_t offset) {
    return offset < 0 ? -EINVAL : body::preadv2(fd, parts, count, offset, 0);
}

long body::pwritev(int fd, iovec const* parts, int count, off_t offset) {
    return offset < 0 ? -EINVAL : body::pwritev2(fd, parts, count, offset, 0);
}

// At the position of a socket or a pipe it is readv: the flags of today mean nothing to those (fs/read_write.c).
long body::preadv2(int fd, iovec const* parts, int count, off_t offset, int flags) {
    if (!is_count_of_parts(count)) return -EINVAL;
    descriptor& about = describe(fd);
    if (is_for_the_kernel(about, offset, flags)) return kernel(SYS_preadv2, fd, parts, count, offset, 0, flags);
    if (is_on_disk(about)) return read_disk(fd, about, parts, std::size_t(count), offset, flags);
    return body::readv(fd, parts, count);
}

long body::pwritev2(int fd, iovec const* parts, int count, off_t offset, int flags) {
    if (!is_count_of_parts(count)) return -EINVAL;
    descriptor const& about = describe(fd);
    if (is_for_the_kernel(about, offset, flags)) return kernel(SYS_pwritev2, fd, parts, count, offset, 0, flags);
    if (is_on_disk(about)) return write_disk(fd, about, parts, std::size_t(count), offset, flags);
    return body::writev(fd, parts, count);
}

} // namespace coir::monkey
