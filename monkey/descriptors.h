// What the shim knows of each descriptor: what kind of file it is, and whether and how long the program lets it wait.
//
// A cache of facts that the kernel holds: filled in at a descriptor's first use by a fiber, dropped by every hooked
// call that ends or changes it. O_NONBLOCK and the timeouts belong to the open file, which another number or another
// process may have, too: what only this number can change is believed, for all others the kernel is asked before each
// wait. The cache grows with the numbers in use; any thread may look.
#pragma once

#include "hub/loop.h"

#include <atomic>
#include <cstdint>

namespace coir::monkey {

enum class file_kind : std::uint8_t {
    unknown, ///< not looked at yet
    none,    ///< not an open descriptor
    stream,  ///< a socket whose messages have no bounds: SOCK_STREAM
    packets, ///< any other socket
    pipe,    ///< also a FIFO
    disk,    ///< a regular file, a directory or a block device: poll() calls it ready at all times
    other,   ///< terminals, other character devices, eventfd, timerfd, epoll, …
};

/// How a call may wait on a descriptor.
struct patience {
    bool nonblocking = false; ///< not at all: O_NONBLOCK is the program's doing, it wants EAGAIN
    std::int64_t limit = 0;   ///< ns: SO_RCVTIMEO or SO_SNDTIMEO; 0: none
};

struct descriptor {
    std::atomic<file_kind> kind{file_kind::unknown};
    std::atomic<bool> nonblocking{false};
    std::atomic<bool> drained{false};         // the last read on this stream took all there was: wait before the next
    std::atomic<bool> lingers{false};         // SO_LINGER with a time: closing it waits
    std::atomic<bool> written_through{false}; // O_SYNC, O_DSYNC, O_DIRECT: a write waits for the disk
    std::atomic<bool> out_of_cache{false};    // the last read of this file waited for the disk
    std::atomic<std::uint32_t> alone_since{
        0}; // no other number or process had it when so many had been shared; 0: may have
    std::atomic<std::int64_t> receive_limit{0};
    std::atomic<std::int64_t> send_limit{0};
    std::atomic<std::uint32_t> version{0}; // moves on whenever the facts go: who looks meanwhile looks again

    bool is_socket() const noexcept {
        auto const now = kind.load(std::memory_order_relaxed);
        return now == file_kind::stream || now == file_kind::packets;
    }
};

/// No other number and no other process has the file.
bool alone(descriptor const& about) noexcept;

/// The entry of `fd`, filled in. Costs system calls only the first time. `fd` may be any number: one that is not open
/// is of kind none.
descriptor& describe(int fd) noexcept;

/// How a call in the direction `way` may wait on `fd` now. Costs system calls unless the file is this number's alone.
patience patience_of(int fd, descriptor const& about, direction way) noexcept;

/// The program has just made `fd`: a file that nobody else has.
void made(int fd) noexcept;
/// Another number, or another process, has the same file from now on.
void shared(int fd) noexcept;
/// The same for every descriptor: a child inherits them.
void shared_all() noexcept;

/// The descriptor is about to be closed or replaced: waits for it are woken, the facts go. coir's own are not to be.
void ends(int fd) noexcept;
/// The same for every number from `first` to `last`, both included.
void ends_range(unsigned first, unsigned last) noexcept;
/// It has just been changed: the facts go, also those that another thread is about to note.
void changes(int fd) noexcept;

/// Closing `fd` may wait until what was sent has arrived (socket(7), SO_LINGER). Costs a system call for what no fiber
/// has used.
bool lingers(int fd) noexcept;

} // namespace coir::monkey
