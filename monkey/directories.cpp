// Reading directories: libc asks the kernel for many entries at once, which may have to come from a disk or a server,
// and hands them out one by one. A worker thread makes the calls that ask.

#include "monkey/bodies.h"
#include "monkey/descriptors.h"
#include "monkey/lookup.h"
#include "monkey/real.h"

#include <cerrno>
#include <cstring>

namespace coir::monkey {
namespace {

// What glibc's DIR begins with (sysdeps/unix/sysv/linux/dirstream.h).
struct directory_stream {
    int fd;
    int lock;
    std::size_t allocation;
    std::size_t size;   // of the entries that it holds
    std::size_t offset; // of the next that it hands out
};

directory_stream look_at(DIR* directory) noexcept {
    directory_stream now;
    std::memcpy(&now, static_cast<void*>(directory), sizeof now);
    return now;
}

// Whether this libc's is such: looked at in one that is opened for the purpose.
bool is_layout_known() noexcept {
    static bool const known = [] {
        DIR* const root = real.opendir("/");
        if (!root) return false;
        auto const before = look_at(root);
        auto const* const first = real.readdir64(root);
        auto const after = look_at(root);
        bool const as_expected = first && before.fd == dirfd(root) && before.size == 0 && before.offset == 0 &&
                                 after.offset == first->d_reclen && after.size >= after.offset;
        real.closedir(root);
        return as_expected;
    }();
    return known;
}

bool has_entries(DIR* directory) noexcept {
    if (!is_layout_known()) return false;
    auto const now = look_at(directory);
    return now.offset < now.size;
}

template <class Call>
auto read_entry(DIR* directory, Call call) noexcept {
    return has_entries(directory) ? call() : by_worker(call, "readdir");
}

} // namespace

long body::readdir64(DIR* directory) {
    return reinterpret_cast<long>(read_entry(directory, [=] { return real.readdir64(directory); }));
}

long body::readdir64_r(DIR* directory, dirent64* entry, dirent64** found) {
    return read_entry(directory, [=] { return real.readdir64_r(directory, entry, found); });
}

long body::closedir(DIR* directory) {
    if (directory) ends(dirfd(directory));
    return real.closedir(directory) == 0 ? 0 : -errno;
}

} // namespace coir::monkey
