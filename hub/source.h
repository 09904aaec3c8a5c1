// What can be waited for from outside: the end of a fiber, an event, a semaphore. It has a lock, a queue of those who
// wait, and knows whether it is ready; wait(), iwait() and select() need no more.
#pragma once

#include "hub/waiter.h"

namespace coir {

struct COIR_API source {
    thread_lock mutable lock; // for what is derived, too
    wait_queue waiting;

    source() = default;
    source(source const&) = delete;
    source& operator=(source const&) = delete;

    /// Whether who asks now would not have to wait. The caller holds the lock, unless it only wants to know.
    virtual bool is_ready() const noexcept = 0;

    /// Where it is counted, a reference. Others must outlive those who wait.
    virtual void retain_source() noexcept {}
    virtual void release_source() noexcept {}

protected:
    ~source() = default;
};

} // namespace coir
