// A file to a stream: by sendfile(2) what is in the page cache, and the rest without blocking the thread.
//
// For the stream's thread. The caller is its writing fiber.
#pragma once

#include "fiber/export.h"
#include "net/copy.h"
#include "net/stream.h"

#include <cstdint>

namespace coir::net {

/// **Parks.** Sends what the file `fd` holds from `offset` on, in bytes, to its end or `how.most` bytes of it; returns
/// how many that were. The file's own position is neither used nor changed; `to` is flushed and stays open. Others have
/// their turn at least every megabyte. `fd` is a regular file or a disk, std::system_error(EINVAL) otherwise. Throws as
/// stream::write_some does, with ETIMEDOUT for either limit, and "read file 7 for 127.0.0.1:80: Input/output error".
///
/// What the page cache holds goes to a plain socket by sendfile. Whether it does is asked of cachestat(2), Linux 6.5,
/// which tells it to who may write to the file or owns it; elsewhere what is cached is read and written. What is not is
/// read by io_uring, or by a thread of offload(). Pages that are dropped in between block the thread for as long as the
/// disk takes.
COIR_API std::uint64_t send_file(stream& to, int fd, std::uint64_t offset = 0, copy_options how = {});

} // namespace coir::net
