// Calls that move bytes between two descriptors inside the kernel. It has no form of them that never waits: splice(2)'s
// SPLICE_F_NONBLOCK is about the pipe only, and O_NONBLOCK is not ours to set. So each is made when both ends are
// ready, and for no more than one that says so takes for sure.

#include "hub/offload.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/retry.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <memory>
#include <sys/ioctl.h>
#include <sys/stat.h>

namespace coir::monkey {
namespace {

bool is(int fd, file_kind what) noexcept { return describe(fd).kind.load(std::memory_order_relaxed) == what; }

bool is_nonblocking(int fd, direction way) noexcept { return patience_of(fd, describe(fd), way).nonblocking; }

bool can_go_on(int fd, short events) noexcept { return is(fd, file_kind::disk) || is_ready(fd, events); }

// Until `in` can be read from and `out` written to: 0, or -errno.
long both_ready(int in, int out) {
    waiting reads{in, describe(in), direction::read}, writes{out, describe(out), direction::write};
    for (;;) {
        long error = 0;
        if (!can_go_on(in, POLLIN))
            error = reads.once();
        else if (!can_go_on(out, POLLOUT))
            error = writes.once();
        else
            return 0;
        if (error) return error;
    }
}

// What one that is ready to be written to takes without waiting. Sockets: one buffer of the kernel's (net/core/sock.c
// and net/ipv4/tcp.c look for room only before each). A terminal may take less, and then blocks the thread.
std::size_t surely_taken(int out) noexcept {
    return is(out, file_kind::pipe) || is(out, file_kind::disk) ? std::size_t(INT_MAX) : PIPE_BUF;
}

bool is_empty(int pipe) noexcept {
    int count = 0;
    return kernel(SYS_ioctl, pipe, FIONREAD, &count) == 0 && count == 0;
}

bool is_same_file(int one, int other) noexcept {
    struct stat first, second;
    return kernel(SYS_fstat, one, &first) == 0 && kernel(SYS_fstat, other, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// What the kernel refuses before it looks whether there is anything to move (fs/splice.c, do_splice).
bool is_no_splice(int in, off_t const* in_offset, int out, off_t const* out_offset, unsigned flags) noexcept {
    constexpr unsigned known = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;
    long const from = kernel(SYS_fcntl, in, F_GETFL, 0), to = kernel(SYS_fcntl, out, F_GETFL, 0);
    if (flags & ~known || from < 0 || to < 0) return true;
    if ((from & O_ACCMODE) == O_WRONLY || (to & O_ACCMODE) == O_RDONLY) return true;
    if ((in_offset && !is(in, file_kind::disk)) || (out_offset && !is(out, file_kind::disk))) return true;
    return is(in, file_kind::pipe) && (is(out, file_kind::pipe) ? is_same_file(in, out) : bool(to & O_APPEND));
}

} // namespace

// `in` is a file, or what is like one (sendfile(2)): read here from the cache, or as read() does, and sent from a
// buffer. What the kernel refuses, it refuses before it moves anything.
long body::sendfile(int out, int in, off_t* offset, std::size_t count) {
    auto const by_kernel = [=] { return kernel(SYS_sendfile, out, in, offset, count); };
    if (count == 0 || is_nonblocking(out, direction::write)) return by_kernel();
    if (long const refused = kernel(SYS_sendfile, out, in, offset, 0); refused < 0) return refused;
    if (is(out, file_kind::disk)) return offload(by_kernel, "sendfile");
    if (kernel(SYS_lseek, in, 0, SEEK_CUR) < 0) return by_kernel();
    constexpr std::size_t piece = 64 * 1024, most = 0x7ffff000; // MAX_RW_COUNT
    auto const buffer = std::make_unique_for_overwrite<std::byte[]>(std::min(count, piece));
    off_t at = offset ? *offset : off_t(kernel(SYS_lseek, in, 0, SEEK_CUR));
    std::size_t total = 0;
    long result = 0;
    while (total < std::min(count, most)) {
        result = body::pread64(in, buffer.get(), std::min(count - total, piece), at);
        if (result <= 0) break;
        auto const wanted = std::size_t(result);
        result = body::write(out, buffer.get(), wanted);
        if (result <= 0) break;
        total += std::size_t(result);
        at += result;
        if (std::size_t(result) < wanted) break;
    }
    if (total == 0) return result;
    if (offset)
        *offset = at;
    else
        kernel(SYS_lseek, in, at, SEEK_SET);
    return long(total);
}

// Ends with what was moved when the length is reached or the pipe is empty, as the kernel's own (fs/splice.c).
long body::splice(int in, off_t* in_offset, int out, off_t* out_offset, std::size_t length, unsigned flags) {
    bool const in_is_pipe = is(in, file_kind::pipe);
    bool const out_is_pipe = is(out, file_kind::pipe);
    // One of two pipes that does not want to wait speaks for both (fs/splice.c); else each end for itself.
    bool const nonblocking =
        in_is_pipe && out_is_pipe && (is_nonblocking(in, direction::read) || is_nonblocking(out, direction::write));
    if (flags & SPLICE_F_NONBLOCK || length == 0 || nonblocking || (!in_is_pipe && !out_is_pipe) ||
        is_no_splice(in, in_offset, out, out_offset, flags))
        return kernel(SYS_splice, in, in_offset, out, out_offset, length, flags);
    std::size_t total = 0;
    for (;;) {
        if (total > 0 && (total == length || !in_is_pipe || is_empty(in))) return long(total);
        if (long const error = both_ready(in, out)) return total > 0 ? long(total) : error;
        long const result = kernel(SYS_splice, in, in_offset, out, out_offset,
                                   std::min(length - total, surely_taken(out)), flags | SPLICE_F_NONBLOCK);
        if (result == -EAGAIN) continue; // another was quicker
        if (result <= 0) return total > 0 ? long(total) : result;
        total += std::size_t(result);
    }
}

long body::tee(int in, int out, std::size_t length, unsigned flags) {
    for (;;) {
        long const result = kernel(SYS_tee, in, out, length, flags | SPLICE_F_NONBLOCK);
        if (result != -EAGAIN || flags & SPLICE_F_NONBLOCK) return result;
        if (long const error = both_ready(in, out)) return error;
    }
}

// The kernel asks the flag of the call only, not the pipe's O_NONBLOCK.
long body::vmsplice(int fd, iovec const* parts, std::size_t count, unsigned flags) {
    long const mode = kernel(SYS_fcntl, fd, F_GETFL, 0);
    auto const way = mode >= 0 && (mode & O_ACCMODE) != O_RDONLY ? direction::write : direction::read;
    ended_by_handlers or_a_handler;
    for (;;) {
        long const result = kernel(SYS_vmsplice, fd, parts, count, flags | SPLICE_F_NONBLOCK);
        if (result != -EAGAIN || flags & SPLICE_F_NONBLOCK) return result;
        notice_handlers();
        if (!or_a_handler.arm(handlers::without_restart)) return -EINTR;
        if (long const error = after(hub::wait_fd(fd, way, {}, closing::seen))) return error;
    }
}

// Between two files: as long as the disk takes.
long body::copy_file_range(int in, off_t* in_offset, int out, off_t* out_offset, std::size_t length, unsigned flags) {
    return offload([&] { return kernel(SYS_copy_file_range, in, in_offset, out, out_offset, length, flags); },
                   "copy_file_range");
}

} // namespace coir::monkey
