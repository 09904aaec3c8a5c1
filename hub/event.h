// An event: a flag that fibers wait for. Any number of fibers, of any threads, wait until someone sets it, and go on in
// the order in which they came.
//
// It must outlive those who wait, and may be destroyed by one of them as soon as its wait has returned. Any thread.
#pragma once

#include "hub/select_case.h"
#include "hub/source.h"

namespace coir {

/// A flag that fibers wait for. Any thread. gevent: Event.
class COIR_API event : public linkable<event> {
public:
    /// Sets the flag and wakes all who wait. They find it was set even if it is cleared before they run.
    void set() noexcept;
    /// From here on, who comes has to wait.
    void clear() noexcept;
    /// The flag, as it was a moment ago.
    bool is_set() const noexcept;
    /// The same.
    bool ready() const noexcept { return is_set(); }

    /// **Parks** until the flag is set, true, or `until` has passed, false. If it is set already, fibers of this thread
    /// that it has woken and that have yet to run go first. Throws what interrupts the caller, and would_block_forever.
    bool wait(deadline until = {});

    /// For select(): the flag is set.
    source_case on_set() noexcept { return source_case(*this, "event"); }

private:
    bool is_ready() const noexcept override { return set_; }
    // Under the lock.
    bool set_ = false;
    std::uint64_t woken_on_ = 0; // the number of the thread on which set() last woke some …
    std::uint64_t woken_to_ = 0; // … and the ready queue's pushed() then
};

} // namespace coir
