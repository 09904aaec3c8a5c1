// read, write and their kin, on whatever the descriptor is.
//
// A socket is tried with MSG_DONTWAIT, everything else with RWF_NOWAIT: neither touches O_NONBLOCK, which belongs to
// the open file that other processes may share. Files that know no RWF_NOWAIT (terminals, some devices, pipes of old
// kernels) are asked with poll() first. What is on a disk is disk.cpp's.

#include "hub/own_fd.h"
#include "monkey/bodies.h"
#include "monkey/disk.h"
#include "monkey/kernel.h"
#include "monkey/lasting.h"
#include "monkey/memory.h"
#include "monkey/parts.h"
#include "monkey/retry.h"
#include "monkey/stream_calls.h"

#include <cerrno>
#include <climits>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

namespace coir::monkey {
namespace {

enum class read_ends { when_ready, at_once, by_itself };

// A terminal without lines ends a read as VMIN and VTIME say (termios(3)), and poll() tells of that only where neither
// a time nor fewer bytes than VMIN are asked for. The master's side has lines or not as the slave has, but is read by
// bytes.
read_ends how_a_read_ends(int fd, std::size_t wanted) noexcept {
    int const before = errno;
    unsigned number;
    termios how;
    bool const by_bytes =
        kernel(SYS_ioctl, fd, TIOCGPTN, &number) != 0 && tcgetattr(fd, &how) == 0 && !(how.c_lflag & ICANON);
    errno = before;
    if (!by_bytes) return read_ends::when_ready;
    if (how.c_cc[VMIN] == 0 && how.c_cc[VTIME] == 0) return read_ends::at_once;
    return how.c_cc[VTIME] > 0 || wanted < how.c_cc[VMIN] ? read_ends::by_itself : read_ends::when_ready;
}

// What the kernel says of a descriptor that the program made non-blocking is the program's: of a FIFO that nobody has
// open for writing poll() says nothing, but a read gives its end.
long read_now(int fd, descriptor const& about, iovec const* parts, std::size_t count) {
    long const result = kernel(SYS_preadv2, fd, parts, count, at_position, 0, RWF_NOWAIT);
    if (result != -EOPNOTSUPP) return result;
    auto const read = [&] { return kernel(SYS_readv, fd, parts, count); };
    if (patience_of(fd, about, direction::read).nonblocking) return read();
    if (about.kind.load(std::memory_order_relaxed) == file_kind::other)
        switch (how_a_read_ends(fd, bytes_in(parts, count))) {
        case read_ends::at_once: return read();
        case read_ends::by_itself: return lasting(read, "read of a terminal");
        case read_ends::when_ready: break;
        }
    return is_ready(fd, POLLIN) ? read() : -EAGAIN;
}

msghdr message_of(iovec const* parts, std::size_t count) noexcept {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = count;
    return message;
}

// One part is cheaper for the kernel without an array around it.
long receive_now(int fd, iovec const* parts, std::size_t count) noexcept {
    if (count == 1) return kernel(SYS_recvfrom, fd, parts->iov_base, parts->iov_len, MSG_DONTWAIT, nullptr, nullptr);
    msghdr message = message_of(parts, count);
    return kernel(SYS_recvmsg, fd, &message, MSG_DONTWAIT);
}

long send_now(int fd, iovec const* parts, std::size_t count, bool again) noexcept {
    int const flags = MSG_DONTWAIT | (again ? MSG_NOSIGNAL : 0);
    if (count == 1) return kernel(SYS_sendto, fd, parts->iov_base, parts->iov_len, flags, nullptr, 0);
    msghdr const message = message_of(parts, count);
    return kernel(SYS_sendmsg, fd, &message, flags);
}

long read_socket(int fd, descriptor& about, iovec const* parts, std::size_t count) {
    return receive_once(fd, about, bytes_in(parts, count), true, [&] { return receive_now(fd, parts, count); });
}

// The slave of a pseudoterminal has no name any more when its master has been closed (drivers/tty/pty.c).
bool master_is_gone(int fd) noexcept {
    struct stat about;
    return kernel(SYS_fstat, fd, &about) == 0 && S_ISCHR(about.st_mode) && about.st_nlink == 0;
}

// Who waits for a terminal that loses its master is told EIO, and only who comes later that it is at its end.
long read_other(int fd, descriptor const& about, iovec const* parts, std::size_t count) {
    int attempts = 0;
    long const result = waiting{fd, about, direction::read}.retry([&] {
        ++attempts;
        return read_now(fd, about, parts, count);
    });
    return result == 0 && attempts > 1 && master_is_gone(fd) ? -EIO : result;
}

long read_parts(int fd, iovec const* parts, std::size_t count) {
    descriptor& about = describe(fd);
    switch (about.kind.load(std::memory_order_relaxed)) {
    case file_kind::disk: return read_disk(fd, about, parts, count);
    case file_kind::stream:
    case file_kind::packets:
        if (bytes_in(parts, count) > 0) return read_socket(fd, about, parts, count);
        break; // reading nothing never waits
    case file_kind::pipe:
    case file_kind::other: return read_other(fd, about, parts, count);
    case file_kind::unknown:
    case file_kind::none: break;
    }
    return kernel(SYS_readv, fd, parts, count);
}

// One attempt to write without blocking. Where RWF_NOWAIT is unknown, a poll that says "writable" promises PIPE_BUF
// bytes to a pipe and nothing certain to a terminal or an eventfd: those are written to by a thread that can be
// interrupted.
long write_now(int fd, file_kind kind, iovec const* parts, std::size_t count, bool again) {
    if (kind == file_kind::stream || kind == file_kind::packets) return send_now(fd, parts, count, again);
    long const result = kernel(SYS_pwritev2, fd, parts, count, at_position, 0, RWF_NOWAIT);
    if (result != -EOPNOTSUPP) return result;
    if (!is_ready(fd, POLLOUT)) return -EAGAIN;
    if (kind == file_kind::pipe) {
        if (bytes_in(parts, count) <= PIPE_BUF) return kernel(SYS_writev, fd, parts, count);
        return kernel(SYS_write, fd, parts->iov_base, std::min<std::size_t>(parts->iov_len, PIPE_BUF));
    }
    return lasting([&] { return kernel(SYS_writev, fd, parts, count); }, "write to a device");
}

long write_all(int fd, descriptor const& about, iovec const* parts, std::size_t count) {
    file_kind const kind = about.kind.load(std::memory_order_relaxed);
    return send_all(fd, about, parts, count, [&](iovec const* rest, std::size_t of_those, bool again) {
        return write_now(fd, kind, rest, of_those, again);
    });
}

// A hub is told of what other threads send it by a write of libev's, to one of coir's own descriptors, which never
// blocks: there the fiber may hold a thread_lock, and must not park.
long write_parts(int fd, iovec const* parts, std::size_t count) {
    descriptor& about = describe(fd);
    switch (about.kind.load(std::memory_order_relaxed)) {
    case file_kind::other:
        if (is_own_fd(fd)) break;
        [[fallthrough]];
    case file_kind::stream:
    case file_kind::packets:
    case file_kind::pipe: return write_all(fd, about, parts, count);
    case file_kind::disk: return write_disk(fd, about, parts, count);
    case file_kind::unknown:
    case file_kind::none: break;
    }
    return kernel(SYS_writev, fd, parts, count);
}

// Else the kernel says what is wrong.
bool is_array(iovec const* parts, int count) noexcept {
    return is_count_of_parts(count) && is_memory(parts, std::size_t(count) * sizeof *parts);
}

} // namespace

long body::read(int fd, void* buffer, size_t size) {
    iovec const whole{buffer, size};
    return read_parts(fd, &whole, 1);
}

long body::readv(int fd, iovec const* parts, int count) {
    if (!is_array(parts, count)) return kernel(SYS_readv, fd, parts, count);
    return read_parts(fd, parts, std::size_t(count));
}

long body::write(int fd, void const* buffer, size_t size) {
    iovec const whole{const_cast<void*>(buffer), size};
    return write_parts(fd, &whole, 1);
}

// The two of libc that are a read and a write of a number (sysdeps/unix/sysv/linux/eventfd_read.c, eventfd_write.c).
long body::eventfd_read(int fd, eventfd_t* number) {
    long const result = body::read(fd, number, sizeof *number);
    return result < 0 ? result : result == sizeof *number ? 0 : -EIO;
}

long body::eventfd_write(int fd, eventfd_t number) {
    long const result = body::write(fd, &number, sizeof number);
    return result < 0 ? result : result == sizeof number ? 0 : -EIO;
}

// Of no bytes a write() is an empty packet, a writev() nothing (fs/read_write.c).
long body::writev(int fd, iovec const* parts, int count) {
    if (!is_array(parts, count) || bytes_in(parts, std::size_t(count)) == 0)
        return kernel(SYS_writev, fd, parts, count);
    return write_parts(fd, parts, std::size_t(count));
}

} // namespace coir::monkey
