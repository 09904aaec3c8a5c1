// Files on a disk: poll() calls them ready at all times, and they may still wait for it. What the page cache has is
// read at once; for the rest the fiber waits while the kernel's io_uring reads it, or a worker thread where that is not
// allowed. What is written goes to the page cache, and is only waited for where the file was opened with O_SYNC,
// O_DSYNC or O_DIRECT, or the call says so.
#pragma once

#include "monkey/descriptors.h"

#include <climits>
#include <cstddef>
#include <sys/uio.h>

namespace coir::monkey {

/// The file's own position, as read and write use it, in place of an offset.
constexpr off_t at_position = -1;

inline bool is_count_of_parts(int count) noexcept { return count >= 0 && count <= IOV_MAX; }

/// **Parks.** preadv2(2), with `flags` but RWF_NOWAIT, of a file of the kind `disk`.
long read_disk(int fd, descriptor& about, iovec const* parts, std::size_t count, off_t offset = at_position,
               int flags = 0);

/// **Parks.** The same of pwritev2(2).
long write_disk(int fd, descriptor const& about, iovec const* parts, std::size_t count, off_t offset = at_position,
                int flags = 0);

} // namespace coir::monkey
