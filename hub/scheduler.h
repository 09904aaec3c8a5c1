// The hot half of a hub, one per thread: who runs next, and the one way to stop and the one way to go on. Internal.
//
// Everything that waits in coir is park() on one side and wake() on the other.
#pragma once

#include "fiber/switch.h"
#include "hub/deadline.h"
#include "hub/ready_queue.h"
#include "hub/waiter.h"

#include <atomic>

namespace coir {

class hub;

// Trivially constructible, initial-exec: all zero until the thread's hub is made.
struct scheduler {
    ready_queue ready;
    context* loop; // the hub's own context, which polls
    hub* owner;
    int budget; // switches left before the loop gets its turn, so that I/O and timers never starve
};
extern COIR_API constinit thread_local scheduler this_scheduler __attribute__((tls_model("initial-exec")));

/// Some thread of the process makes, has or had a hub: from then on the shim keeps its books. Any thread.
extern COIR_API constinit std::atomic<bool> hub_was_made;

/// Some thread of the process has, or had, an io_uring. Any thread.
extern COIR_API constinit std::atomic<bool> ring_was_made;

inline context& next_to_run(scheduler& here) noexcept {
    if (here.ready.empty() || --here.budget < 0) return *here.loop;
    return here.ready.pop();
}

/// The running fiber, which is about to wait; makes the thread's hub if it has none. Throws std::logic_error in a hub's
/// own callbacks, which cannot wait, and what hub::current throws.
COIR_API context& fiber_that_cannot_wait_yet();
inline context& fiber_that_waits() {
    context* const self = this_thread.current;
    if (!this_scheduler.owner || self == this_scheduler.loop) [[unlikely]]
        return fiber_that_cannot_wait_yet();
    return *self;
}

/// Stops the running fiber until wake() names it, whatever interrupts it: for waits that cannot be left. The caller has
/// queued a waiter with the fiber's epoch somewhere.
inline wake_reason park_through(context& self, char const* what, std::int64_t on = -1) noexcept {
    self.waits_for = what;
    self.waits_on = on;
    self.become(run_state::parked);
    switch_context(self, next_to_run(this_scheduler));
    return self.reason;
}

/// The same, until `until` at the latest.
COIR_API wake_reason park_through(context& self, char const* what, std::int64_t on, deadline until);

/// **Parks.** Lets every other fiber that can run have its turn, as yield(), but leaves what interrupts it to the next
/// wait.
COIR_API void step_back() noexcept;

/// As park_through, but `cancelled` at once if an interruption waits for the fiber already. If the fiber was told so
/// before, and goes on waiting instead of throwing it, the others have their turn first: it may be C code that tries
/// again for ever.
inline wake_reason park(context& self, char const* what, std::int64_t on = -1) noexcept {
    if (self.interrupted()) [[unlikely]] {
        ++self.epoch; // no wake was used up, but one may be under way
        if (std::exchange(self.reason, wake_reason::cancelled) == wake_reason::cancelled) step_back();
        return wake_reason::cancelled;
    }
    return park_through(self, what, on);
}

COIR_API wake_reason park(context& self, char const* what, std::int64_t on, deadline until);

inline void make_ready(context& parked, wake_reason why) {
    ++parked.epoch;
    parked.reason = why;
    parked.become(run_state::ready);
    this_scheduler.ready.push(parked);
}

/// Lets the fiber of `one` go on. False, and nothing happens, if that wait is over already. For the fiber's own thread.
inline bool wake(waiter const& one, wake_reason why) {
    if (one.who->epoch != one.epoch || one.who->state != run_state::parked) return false;
    make_ready(*one.who, why);
    return true;
}

/// The same, but leaves it to the caller to let the fiber run.
inline bool wake_in_place(waiter const& one) noexcept {
    context& who = *one.who;
    if (who.epoch != one.epoch || who.state != run_state::parked) return false;
    ++who.epoch;
    who.reason = wake_reason::ready;
    who.become(run_state::ready);
    return true;
}

/// The same from another thread: when `home` runs, if the fiber still is in the park of `epoch` then. The caller sees
/// to it that the fiber is alive.
COIR_API void wake_elsewhere(context& who, hub& home, std::uint32_t epoch) noexcept;

/// Grants `one`, which the caller took out of its queue and whose lock it holds. False if that wait is over: take the
/// next. Any thread.
inline bool grant(waiter& one) noexcept {
    if (one.group) [[unlikely]] {
        one.granted = true; // before: a callback that is taken may have run, on another thread, and be gone
        return one.group->take(one) || (one.granted = false);
    }
    if (one.who->on_this_thread()) {
        if (!wake(one, wake_reason::ready)) return false;
        one.granted = true;
    } else {
        one.granted = true;
        wake_elsewhere(*one.who, *one.home, one.epoch);
    }
    return true;
}

} // namespace coir
