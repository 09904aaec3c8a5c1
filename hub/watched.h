// Which hubs have a watcher on which descriptor: how the end of a descriptor, seen on any thread, finds them all
// (hub::forget_fd). Process-wide; any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace coir {

class hub;

struct watched_fd {
    std::atomic<std::uint32_t> generation; // moves on when the descriptor is closed: older watchers are of another file
    std::atomic<std::uint64_t> hubs;       // the bits of those that watch it; cleared when it is closed
};

/// The record of `fd`. Throws std::bad_alloc.
watched_fd& watched(int fd);

/// A hub's place among the hubs of the process, from its making to its end. Each has a bit for the records; the
/// sixty-fourth and later ones share the last.
class hub_registration {
public:
    explicit hub_registration(hub& made);
    ~hub_registration();
    hub_registration(hub_registration const&) = delete;
    hub_registration& operator=(hub_registration const&) = delete;

    std::uint64_t bit() const noexcept { return bit_; }

private:
    hub& made_;
    std::uint64_t bit_;
};

/// In a forked child, of whose hubs only `left` is left.
void strike_other_hubs(hub* left) noexcept;

} // namespace coir
