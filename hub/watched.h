// Which hubs have a watcher on which descriptor: how the end of a descriptor, seen on any thread, finds them all
// (hub::forget_fd). Process-wide; any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace coir {

struct watched_fd {
    std::atomic<std::uint32_t> generation; // moves on when the descriptor is closed: older watchers are of another file
    std::atomic<std::uint64_t> hubs;       // the bits of those that watch it; cleared when it is closed
};

/// The records of `count` descriptors from `first` on. Throws std::bad_alloc.
watched_fd* watched_range(int first, std::size_t count);

} // namespace coir
