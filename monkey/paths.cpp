#include "monkey/paths.h"

#include "hub/ring.h"
#include "monkey/bodies.h"
#include "monkey/descriptors.h"
#include "monkey/kernel.h"
#include "monkey/lasting.h"
#include "monkey/real.h"
#include "monkey/signals.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

namespace coir::monkey {
namespace {

// A descriptor that stands for the path only, or -errno: -EAGAIN if the kernel would have to wait for it.
long look_up(int at, char const* path, bool follow) noexcept {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC | (follow ? 0u : unsigned{O_NOFOLLOW});
    how.resolve = RESOLVE_CACHED;
    return kernel(SYS_openat2, at, path, &how, sizeof how);
}

// Opening it waits for nothing but, perhaps, the disk.
bool is_fifo(int at, char const* path) noexcept {
    struct stat about;
    return kernel(SYS_newfstatat, at, path, &about, 0) == 0 && S_ISFIFO(about.st_mode);
}

long open_without_ring(int at, char const* path, int flags, mode_t mode) {
    auto const call = [&] { return kernel(SYS_openat, at, path, flags, mode); };
    if (!is_cached(at, path)) return by_worker(call, "open");
    if (!(flags & (O_NONBLOCK | O_PATH)) && is_fifo(at, path)) return lasting(call, "open of a FIFO");
    return call();
}

} // namespace

bool is_cached(int at, char const* path, bool follow) noexcept {
    long const found = look_up(at, path, follow);
    if (found >= 0) kernel(SYS_close, found);
    return found != -EAGAIN;
}

// The kernel's ring tries it from the cache, and goes on by itself where that is not enough or the other end of a FIFO is
// waited for.
long body::openat(int at, char const* path, int flags, mode_t mode) {
    long opened;
    if (ring* const kernels = ring::here()) {
        notice_handlers();
        opened = kernels->perform({"open", -1, handlers::without_restart},
                                  [&](io_uring_sqe* entry) { io_uring_prep_openat(entry, at, path, flags, mode); });
    } else {
        opened = open_without_ring(at, path, flags, mode);
    }
    if (opened >= 0) made(int(opened));
    return opened;
}

// The modes of libc's own (libio/fileops.c, _IO_new_file_fopen), which knows one more: a character set, left to it.
long body::fopen(char const* path, char const* mode) {
    if (std::strchr(mode, ',')) return reinterpret_cast<long>(by_worker([&] { return real.fopen(path, mode); }, "fopen"));
    int flags;
    switch (mode[0]) {
    case 'r': flags = O_RDONLY; break;
    case 'w': flags = O_WRONLY | O_CREAT | O_TRUNC; break;
    case 'a': flags = O_WRONLY | O_CREAT | O_APPEND; break;
    default: return reinterpret_cast<long>(real.fopen(path, mode)); // which says what is wrong
    }
    for (char const* each = mode + 1; *each && each < mode + 7; ++each)
        switch (*each) {
        case '+': flags = (flags & ~O_ACCMODE) | O_RDWR; break;
        case 'x': flags |= O_EXCL; break;
        case 'e': flags |= O_CLOEXEC; break;
        default: break;
        }
    long const fd = body::openat(AT_FDCWD, path, flags, 0666);
    if (fd < 0) return fd;
    FILE* const made = fdopen(int(fd), mode);
    if (made) return reinterpret_cast<long>(made);
    int const error = errno;
    kernel(SYS_close, fd);
    return -error;
}

long body::opendir(char const* path) {
    long const fd = body::openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0) return fd;
    DIR* const made = fdopendir(int(fd));
    if (made) return reinterpret_cast<long>(made);
    int const error = errno;
    kernel(SYS_close, fd);
    return -error;
}

} // namespace coir::monkey
