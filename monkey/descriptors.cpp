#include "monkey/descriptors.h"

#include "hub/hub.h"
#include "monkey/kernel.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <new>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

namespace coir::monkey {
namespace {

// Two levels, because numbers can be large and are mostly small. The directory covers every int and costs address
// space only; chunks are made when first needed and stay.
constexpr unsigned chunk_bits = 14;
constexpr unsigned chunk_size = 1u << chunk_bits;
constinit std::atomic<descriptor*> directory[(1u << 31) / chunk_size];

descriptor* find(int fd) noexcept {
    if (fd < 0) return nullptr;
    descriptor* const chunk = directory[unsigned(fd) / chunk_size].load(std::memory_order_acquire);
    return chunk ? &chunk[unsigned(fd) % chunk_size] : nullptr;
}

// What is said of a number that cannot be described: negative, or no memory for its chunk.
descriptor& nowhere(file_kind kind) noexcept {
    static thread_local descriptor entry;
    entry.kind.store(kind, std::memory_order_relaxed);
    return entry;
}

descriptor* make(int fd) noexcept {
    if (descriptor* present = find(fd)) return present;
    auto& slot = directory[unsigned(fd) / chunk_size];
    // All zero bits are a descriptor of kind unknown, so the pages stay untouched until they are used.
    auto* fresh = static_cast<descriptor*>(std::calloc(chunk_size, sizeof(descriptor)));
    if (!fresh) return nullptr;
    descriptor* present = nullptr;
    if (!slot.compare_exchange_strong(present, fresh, std::memory_order_acq_rel)) std::free(fresh);
    return find(fd);
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
    descriptor* const entry = make(fd);
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
    if (descriptor* entry = find(fd)) entry->kind.store(file_kind::unknown, std::memory_order_release);
}

void forget_range(unsigned first, unsigned last) noexcept {
    for (std::uint64_t fd = first; fd <= last && fd < 1u << 31;) {
        std::uint64_t const next = (fd / chunk_size + 1) * chunk_size;
        if (directory[fd / chunk_size].load(std::memory_order_acquire))
            for (; fd < next && fd <= last; ++fd) forget(int(fd), true);
        fd = next;
    }
}

} // namespace coir::monkey
