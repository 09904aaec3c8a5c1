#include "monkey/descriptors.h"

#include "hub/hub.h"
#include "hub/per_fd.h"
#include "monkey/kernel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

namespace coir::monkey {
namespace {

constinit per_fd<descriptor> descriptors;

// What is said of a number that cannot be described: negative, or no memory for its entry.
descriptor& nowhere(file_kind kind) noexcept {
    static thread_local descriptor entry;
    entry.kind.store(kind, std::memory_order_relaxed);
    return entry;
}

std::int64_t limit_of(int fd, int option) noexcept {
    timeval limit{};
    socklen_t size = sizeof limit;
    if (kernel(SYS_getsockopt, fd, SOL_SOCKET, option, &limit, &size) != 0) return 0;
    return limit.tv_sec * 1'000'000'000ll + limit.tv_usec * 1000ll;
}

file_kind kind_of_socket(int fd) noexcept {
    int type = 0;
    socklen_t size = sizeof type;
    kernel(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return type == SOCK_STREAM ? file_kind::stream : file_kind::packets;
}

file_kind kind_of(int fd) noexcept {
    struct stat about;
    if (fstat(fd, &about) != 0) return file_kind::none;
    switch (about.st_mode & S_IFMT) {
    case S_IFSOCK: return kind_of_socket(fd);
    case S_IFIFO: return file_kind::pipe;
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK: return file_kind::disk;
    default: return file_kind::other;
    }
}

void fill_in(descriptor& entry, int fd) noexcept {
    file_kind const kind = kind_of(fd);
    if (kind == file_kind::none) return; // stays unknown: the number may be a file the next time
    long const flags = kernel(SYS_fcntl, fd, F_GETFL, 0);
    entry.nonblocking.store(flags >= 0 && (flags & O_NONBLOCK), std::memory_order_relaxed);
    entry.drained.store(false, std::memory_order_relaxed);
    bool const is_socket = kind == file_kind::stream || kind == file_kind::packets;
    entry.receive_limit = is_socket ? limit_of(fd, SO_RCVTIMEO) : 0;
    entry.send_limit = is_socket ? limit_of(fd, SO_SNDTIMEO) : 0;
    entry.kind.store(kind, std::memory_order_release);
}

} // namespace

descriptor& describe(int fd) noexcept {
    if (fd < 0) return nowhere(file_kind::none);
    descriptor* const entry = descriptors.make(fd);
    if (!entry) {
        descriptor& passing = nowhere(file_kind::unknown);
        fill_in(passing, fd);
        return passing;
    }
    if (entry->kind.load(std::memory_order_acquire) == file_kind::unknown) [[unlikely]] {
        fill_in(*entry, fd);
        if (entry->kind.load(std::memory_order_relaxed) == file_kind::unknown) return nowhere(file_kind::none);
    }
    return *entry;
}

void forget(int fd, bool ends) noexcept {
    if (ends) hub::forget_fd(fd);
    if (descriptor* entry = descriptors.find(fd)) entry->kind.store(file_kind::unknown, std::memory_order_release);
}

void forget_range(unsigned first, unsigned last) noexcept {
    descriptors.for_each(first, last, [](int fd) { forget(fd, true); });
}

} // namespace coir::monkey
