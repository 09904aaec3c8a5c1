// What the kernel does for a fiber without a thread of ours: io_uring(7). A hub makes its ring when it is first asked
// for. Reads of files that are not in the cache, connect, accept, and whatever else of a path or a file may wait for a
// disk or a peer goes through it; where the kernel or a sandbox allows no ring, offload() is the way.
//
// For the hub's own thread. Internal.
#pragma once

#include "hub/handlers.h"
#include "hub/loop.h"

#include <liburing.h>
#include <memory>

namespace coir {

class hub;

class COIR_API ring final : fd_waiter, waiter_group {
public:
    /// That of this thread's hub; null if it cannot have one: ENOSYS, EPERM (kernel.io_uring_disabled, a sandbox),
    /// ENOMEM; or with COIR_IO_URING=0.
    static ring* here();

    ~ring();
    ring(ring const&) = delete;

    /// How long a wait lasts, and what it is called in reports.
    struct how_to_wait {
        char const* what;
        std::int64_t on = -1;
        handlers ended_by = handlers::none;
        deadline until{};
    };
    /// **Parks**, unless it is done at once. Hands in what `prepare(io_uring_sqe*)` makes of an entry, and returns what
    /// the kernel says: a result, or -errno. It is cancelled by a kill, -ECANCELED, a handler, -EINTR, and the
    /// deadline, -ETIME, unless it is done by then. In any case the kernel does not touch what it was given any more.
    template <class Prepare>
    long perform(how_to_wait const& how, Prepare prepare) {
        io_uring_sqe entry{};
        prepare(&entry);
        return perform(entry, how);
    }

private:
    friend class hub;
    struct call;

    explicit ring(hub& home);
    long perform(io_uring_sqe const& entry, how_to_wait const& how);
    void hand_in(io_uring_sqe const& entry, call* of);
    void collect() noexcept;
    bool take(waiter& one) noexcept override;

    hub& home_;
    io_uring ring_{};
    bool watched_ = false;
};

} // namespace coir
