#include "monkey/descriptors.h"

#include "fiber/at_fork.h"
#include "hub/hub.h"
#include "hub/per_fd.h"
#include "monkey/kernel.h"

#include <algorithm>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

namespace coir::monkey {
namespace {

constinit per_fd<descriptor> descriptors;
constinit std::atomic<std::uint32_t> times_shared{1};

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

bool asks_to_linger(int fd) noexcept {
    linger how{};
    socklen_t size = sizeof how;
    return kernel(SYS_getsockopt, fd, SOL_SOCKET, SO_LINGER, &how, &size) == 0 && how.l_onoff && how.l_linger > 0;
}

// O_NONBLOCK and the like; none if it is not open.
int flags_of(int fd) noexcept { return std::max(0, int(kernel(SYS_fcntl, fd, F_GETFL, 0))); }

bool is_nonblocking(int fd) noexcept { return flags_of(fd) & O_NONBLOCK; }

file_kind kind_of_socket(int fd) noexcept {
    int type = 0;
    socklen_t size = sizeof type;
    kernel(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return type == SOCK_STREAM ? file_kind::stream : file_kind::packets;
}

file_kind kind_of(int fd) noexcept {
    struct stat about;
    if (kernel(SYS_fstat, fd, &about) != 0) return file_kind::none;
    switch (about.st_mode & S_IFMT) {
    case S_IFSOCK: return kind_of_socket(fd);
    case S_IFIFO: return file_kind::pipe;
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK: return file_kind::disk;
    default: return file_kind::other;
    }
}

// What was read before a change is not to outlive it: changes() moves the version on before it drops the kind, and here
// the version is looked at after the kind is there.
void fill_in(descriptor& entry, int fd) noexcept {
    std::uint32_t const version = entry.version.load();
    file_kind const kind = kind_of(fd);
    if (kind == file_kind::none) return; // stays unknown: the number may be a file the next time
    int const flags = flags_of(fd);
    entry.nonblocking.store(flags & O_NONBLOCK, std::memory_order_relaxed);
    entry.written_through.store(flags & (O_SYNC | O_DSYNC | O_DIRECT), std::memory_order_relaxed);
    entry.drained.store(false, std::memory_order_relaxed);
    entry.out_of_cache.store(false, std::memory_order_relaxed);
    entry.lingers.store(kind == file_kind::stream && asks_to_linger(fd), std::memory_order_relaxed);
    bool const is_socket = kind == file_kind::stream || kind == file_kind::packets;
    entry.receive_limit.store(is_socket ? limit_of(fd, SO_RCVTIMEO) : 0, std::memory_order_relaxed);
    entry.send_limit.store(is_socket ? limit_of(fd, SO_SNDTIMEO) : 0, std::memory_order_relaxed);
    entry.kind.store(kind);
    if (entry.version.load() != version) entry.kind.store(file_kind::unknown);
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
        if (entry->kind.load(std::memory_order_relaxed) == file_kind::unknown) { // not open, or just changed
            descriptor& passing = nowhere(file_kind::unknown);
            fill_in(passing, fd);
            return passing.kind.load(std::memory_order_relaxed) == file_kind::unknown ? nowhere(file_kind::none)
                                                                                      : passing;
        }
    }
    return *entry;
}

bool alone(descriptor const& about) noexcept {
    return about.alone_since.load(std::memory_order_relaxed) == times_shared.load(std::memory_order_relaxed);
}

patience patience_of(int fd, descriptor const& about, direction way) noexcept {
    bool const reads = way == direction::read;
    if (alone(about))
        return {about.nonblocking.load(std::memory_order_relaxed),
                (reads ? about.receive_limit : about.send_limit).load(std::memory_order_relaxed)};
    return {is_nonblocking(fd), about.is_socket() ? limit_of(fd, reads ? SO_RCVTIMEO : SO_SNDTIMEO) : 0};
}

COIR_AT_FORK(forks) = {at_fork::order::others, &shared_all, nullptr, nullptr};

void made(int fd) noexcept {
    fork_table::look_after();
    ends(fd); // in case the end of the file that had the number was not seen
    if (descriptor* const entry = descriptors.make(fd)) entry->alone_since.store(times_shared.load());
}

void shared(int fd) noexcept {
    if (descriptor* const entry = descriptors.find(fd)) entry->alone_since.store(0);
}

// Modulo 2^32, and never 0.
void shared_all() noexcept {
    if (++times_shared == 0) ++times_shared;
}

void ends(int fd) noexcept {
    hub::forget_fd(fd);
    changes(fd);
    shared(fd);
}

void ends_range(unsigned first, unsigned last) noexcept {
    descriptors.for_each(first, last, [](int fd) { ends(fd); });
}

void changes(int fd) noexcept {
    descriptor* const entry = descriptors.find(fd);
    if (!entry) return;
    ++entry->version;
    entry->kind.store(file_kind::unknown);
}

bool lingers(int fd) noexcept {
    descriptor const* const entry = descriptors.find(fd);
    if (!entry || entry->kind.load(std::memory_order_acquire) == file_kind::unknown) return asks_to_linger(fd);
    return entry->lingers.load(std::memory_order_relaxed);
}

} // namespace coir::monkey
