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

/// Some thread of the process has, or had, a hub: from then on the shim keeps its books. Any thread.
extern COIR_API constinit std::atomic<bool> hub_was_made;

inline context& next_to_run(scheduler& here) noexcept {
    if (here.ready.empty() || --here.budget < 0) return *here.loop;
    return here.ready.pop();
}

/// Stops the running fiber until wake() names it. The caller has queued a waiter with the fiber's epoch somewhere.
inline wake_reason park(context& self, char const* what, std::int64_t on = -1) noexcept {
    self.waits_for = what;
    self.waits_on = on;
    self.become(run_state::parked);
    switch_context(self, next_to_run(this_scheduler));
    return self.reason;
}

/// The same, until `until` at the latest.
wake_reason park(context& self, char const* what, std::int64_t on, deadline until);

inline void make_ready(context& parked, wake_reason why) {
    ++parked.epoch;
    parked.reason = why;
    parked.become(run_state::ready);
    this_scheduler.ready.push(parked);
}

/// Lets the fiber of `one` go on. False, and nothing happens, if that wait is over already.
inline bool wake(waiter const& one, wake_reason why) {
    if (one.who->epoch != one.epoch || one.who->state != run_state::parked) return false;
    make_ready(*one.who, why);
    return true;
}

} // namespace coir
