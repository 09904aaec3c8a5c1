// Bytes from one stream to another, without a look at them: between plain sockets the kernel moves them (splice(2)),
// otherwise they go through a buffer. And both ways at once, as a proxy does.
//
// For the streams' thread. The caller is the reading fiber of the one and the writing fiber of the other.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/stream.h"

#include <chrono>
#include <cstdint>
#include <limits>

namespace coir::net {

/// How much is moved, and how long that may take.
struct copy_options {
    std::uint64_t most = std::numeric_limits<std::uint64_t>::max();  ///< bytes
    deadline until{};                                                ///< for the whole
    std::chrono::nanoseconds idle = std::chrono::nanoseconds::max(); ///< … and for each wait in which nothing moves
};

/// **Parks.** Moves what comes from `from` to `to`, until it ends or `how.most` bytes are moved; returns how many were.
/// `to` is flushed and stays open. Others have their turn at least every megabyte. Throws as stream::read_some and
/// write_some do, with ETIMEDOUT for either limit; what was on the way then is lost. Where there are no descriptors for
/// a pipe, the bytes go through a buffer. For the streams' thread.
COIR_API std::uint64_t copy(stream& from, stream& to, copy_options how = {});

/// How much a relay has moved, in bytes.
struct relayed {
    std::uint64_t there = 0; ///< from the first to the second
    std::uint64_t back = 0;  ///< from the second to the first
};

/// **Parks.** Moves what comes from either to the other, and where one ends ends the other's stream
/// (stream::shutdown_write), until both have ended. `how.idle` counts while nothing moves in either direction,
/// `how.most` for each. Throws what copy() throws, of the direction that failed first, when the other one has been
/// given up, too. Neither stream is closed. For the streams' thread.
COIR_API relayed relay(stream& one, stream& other, copy_options how = {});

} // namespace coir::net
