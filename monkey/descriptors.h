// What the shim knows of each descriptor: what kind of file it is, and whether the program made it non-blocking.
//
// A cache of facts that the kernel holds: filled in at a descriptor's first use by a fiber, dropped by every hooked
// call that ends or changes it. It grows with the numbers in use; any thread may look.
//
// Not seen, and so believed wrongly until the descriptor is closed: O_NONBLOCK set through another process's copy of
// the same open file.
#pragma once

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

struct descriptor {
    std::atomic<file_kind> kind{file_kind::unknown};
    std::atomic<bool> nonblocking{false}; // O_NONBLOCK is set: the program's doing, it wants EAGAIN
    std::atomic<bool> drained{false};     // the last read on this stream took all there was: wait before the next
    std::int64_t receive_limit{0};        // SO_RCVTIMEO and SO_SNDTIMEO in ns, 0: none
    std::int64_t send_limit{0};
};

/// The entry of `fd`, filled in. Costs system calls only the first time. `fd` may be any number: one that is not open
/// is of kind none.
descriptor& describe(int fd) noexcept;

/// The descriptor is about to be closed, replaced or changed: the facts go. Waits for it are woken if `ends`.
void forget(int fd, bool ends) noexcept;

/// The same for every number from `first` to `last`, both included.
void forget_range(unsigned first, unsigned last) noexcept;

} // namespace coir::monkey
