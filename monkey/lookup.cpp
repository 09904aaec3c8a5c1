#include "monkey/lookup.h"

#include "hub/ring.h"
#include "monkey/bodies.h"
#include "monkey/descriptors.h"
#include "monkey/kernel.h"
#include "monkey/lasting.h"
#include "monkey/real.h"
#include "monkey/signals.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

namespace coir::monkey {
namespace {

// What is looked up there is made up when it is asked for, never cached at first; and /proc/thread-self is the
// caller's.
bool is_below_proc(char const* path) noexcept { return std::strncmp(path, "/proc/", 6) == 0; }

// A descriptor that stands for the path only, or -errno: -EAGAIN if the kernel would have to wait for it. Then the path
// can be read here, too.
long look_up(int at, char const* path, bool follow, int more = 0) noexcept {
    open_how how{};
    how.flags = unsigned(O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW) | more);
    how.resolve = RESOLVE_CACHED;
    long const found = kernel(SYS_openat2, at, path, &how, sizeof how);
    if (found != -EAGAIN || !is_below_proc(path)) return found;
    return kernel(SYS_openat, at, path, how.flags);
}

// The directory that the last name of `path` is in. What a name that is to be made may still wait for is a block of it.
bool is_parent_cached(int at, char const* path) noexcept {
    char parent[PATH_MAX];
    std::size_t length = strnlen(path, sizeof parent);
    if (length == sizeof parent) return true; // ENAMETOOLONG
    while (length > 1 && path[length - 1] == '/') --length;
    while (length > 0 && path[length - 1] != '/') --length;
    if (length == 0) return true; // `at` itself
    std::memcpy(parent, path, length);
    parent[length] = 0;
    return is_cached(at, parent);
}

// What is freed when such a file is emptied or removed takes time.
constexpr off_t large = 1 << 20;

bool is_large(struct stat const& about) noexcept { return S_ISREG(about.st_mode) && about.st_size > large; }

// What opening a file waits for, beside the processor.
enum class opening { nothing, a_disk, the_other_end };

opening what_open_waits_for(int at, char const* path, int flags) noexcept {
    if (flags & (O_PATH | O_DIRECTORY | O_NONBLOCK) && !(flags & (O_CREAT | O_TRUNC))) return opening::a_disk;
    bool const follow = !(flags & O_NOFOLLOW);
    struct stat about {};
    long const found = look_up(at, path, follow);
    bool const makes = found == -EAGAIN && flags & O_CREAT && is_parent_cached(at, path);
    if (found >= 0) {
        kernel(SYS_fstat, found, &about);
        kernel(SYS_close, found);
    } else if (makes) {
        kernel(SYS_newfstatat, at, path, &about, follow ? 0 : AT_SYMLINK_NOFOLLOW);
    } else if (found == -EAGAIN) {
        by_worker([&] { return kernel(SYS_newfstatat, at, path, &about, follow ? 0 : AT_SYMLINK_NOFOLLOW); }, "open");
    }
    if (S_ISFIFO(about.st_mode) && !(flags & O_NONBLOCK)) return opening::the_other_end;
    return (found == -EAGAIN && !makes) || (flags & O_TRUNC && is_large(about)) ? opening::a_disk : opening::nothing;
}

} // namespace

// As a directory: what is none is refused when it has been looked up, and costs no descriptor.
bool is_cached(int at, char const* path, bool follow) noexcept {
    long const found = look_up(at, path, follow, O_DIRECTORY);
    if (found >= 0) kernel(SYS_close, found);
    return found != -EAGAIN;
}

bool is_removed_at_once(int at, char const* path) noexcept {
    struct stat about {};
    long const found = look_up(at, path, false);
    if (found >= 0) {
        kernel(SYS_fstat, found, &about);
        kernel(SYS_close, found);
    }
    return found != -EAGAIN && !is_large(about);
}

bool is_made_at_once(int at, char const* path) noexcept {
    return is_cached(at, path, false) ? is_removed_at_once(at, path) : is_parent_cached(at, path);
}

// The ring makes the call from the cache if it can, and goes on by itself otherwise. Its first try would open a FIFO as
// O_NONBLOCK does (io_uring/openclose.c): for those it makes none. It has the credentials of who asks.
long body::openat(int at, char const* path, int flags, mode_t mode) {
    auto const call = [&] { return kernel(SYS_openat, at, path, flags, mode); };
    opening const wait = what_open_waits_for(at, path, flags);
    bool const waits_for_a_process = wait == opening::the_other_end;
    long opened;
    if (wait == opening::nothing) {
        opened = call();
    } else if (wait == opening::a_disk && calls_are_this_threads()) {
        opened = call();
    } else if (ring* const kernels = ring::here()) {
        notice_handlers();
        opened = kernels->perform({"open", -1, waits_for_a_process ? handlers::without_restart : handlers::none},
                                  [&](io_uring_sqe* entry) {
                                      io_uring_prep_openat(entry, at, path, flags, mode);
                                      if (waits_for_a_process) io_uring_sqe_set_flags(entry, IOSQE_ASYNC);
                                  });
    } else {
        opened = !waits_for_a_process       ? by_worker(call, "open")
                 : calls_are_this_threads() ? call()
                                            : lasting(call, "open of a FIFO");
    }
    if (opened >= 0) made(int(opened));
    return opened;
}

// The modes of libc's own (libio/fileops.c, _IO_new_file_fopen), which knows one more: a character set, left to it.
long body::fopen(char const* path, char const* mode) {
    if (std::strchr(mode, ','))
        return reinterpret_cast<long>(by_worker([&] { return real.fopen(path, mode); }, "fopen"));
    int flags;
    switch (mode[0]) {
    case 'r': flags = O_RDONLY; break;
    case 'w': flags = O_WRONLY | O_CREAT | O_TRUNC; break;
    case 'a': flags = O_WRONLY | O_CREAT | O_APPEND; break;
    default: return reinterpret_cast<long>(real.fopen(path, mode)); // which says what is wrong
    }
    for (char const* each = mode + 1; *each && each < mode + 7; ++each) switch (*each) {
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
