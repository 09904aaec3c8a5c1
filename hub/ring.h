// What the kernel does for a fiber without a thread of ours: io_uring(7). A hub makes its ring when it is first asked
// for. Reads of files that are not in the cache, connect, accept, and whatever else of a path or a file may wait for a
// disk or a peer goes through it; where the kernel or a sandbox allows no ring, offload() is the way.
//
// What fibers ask for is handed in at once, or, where that may be, once per turn of the hub, for all of them with one
// system call.
//
// For the hub's own thread. Internal.
#pragma once

#include "hub/handlers.h"
#include "hub/loop.h"

#include <liburing.h>
#include <memory>

namespace coir {

class hub;
class receive_buffers;

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
        bool* waited = nullptr;   ///< is told whether the kernel had to wait for it
        bool with_others = false; ///< others that can run may hand in theirs with it. The kernel looks at what it names
                                  ///< only then: it must be a descriptor whose end hub::forget_fd is told before
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

    /// What an entry's completions (io_uring_cqe) are told to.
    struct request {
        virtual void completed(int result, unsigned flags) noexcept = 0;

    protected:
        ~request() = default;
    };
    /// Queues `entry`, which the next run() hands in; null: its completion is told to nobody. False if the kernel takes
    /// none at the moment.
    bool enqueue(io_uring_sqe const& entry, request* of) noexcept;
    /// Hands in what is queued, and tells nothing.
    void hand_in() noexcept;
    /// There is something to hand in or to tell.
    bool has_work() const noexcept;
    /// Hands in what is queued and tells what is done. There may be more work then: what the kernel refuses for now
    /// (EAGAIN, EBUSY: no memory, too much under way) stays queued, and those who were told have their turn first.
    void run() noexcept;

    /// No receiver is given anything more; what came for them stays with them.
    void stop_receivers() noexcept;
    /// In a forked child, before anything else is asked of it: the ring is the parent's.
    void is_the_parents() noexcept { parents_ = true; }

    /// Those that receivers share; null if the kernel cannot: before Linux 6.1, or no memory.
    std::shared_ptr<receive_buffers> const& buffers();
    hub& home() const noexcept { return home_; }

private:
    struct call;

    explicit ring(hub& home);
    void open();
    long perform(io_uring_sqe const& entry, how_to_wait const& how);
    void collect() noexcept;
    bool tell_next() noexcept;
    bool take(waiter& one) noexcept override;

    hub& home_;
    io_uring ring_{};
    int event_fd_ = -1; // where the kernel's work for us waits until we ask for it: it tells that there is some
    bool watched_ = false;
    bool parents_ = false; // this is a child that it was forked with
    bool at_once_ = false; // what is told of was done when it was handed in
    std::shared_ptr<receive_buffers> buffers_;
    bool has_no_buffers_ = false;
};

} // namespace coir
