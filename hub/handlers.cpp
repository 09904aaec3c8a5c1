#include "hub/handlers.h"

#include "hub/hub.h"
#include "hub/scheduler.h"

namespace coir {

bool ended_by_handlers::arm(handlers which) {
    context& self = fiber_that_waits();
    hub& here = hub::current();
    bool const first = !who;
    if (first) {
        who = &self;
        which_ = which;
        seen_ = here.handlers_run(which);
    }
    epoch = self.epoch;
    if (!queued()) here.until_handlers().push(*this);
    return first || here.handlers_run(which_) == seen_;
}

wake_reason wait_for_handler(char const* what) {
    ended_by_handlers or_a_handler;
    or_a_handler.arm(handlers::any);
    hub& here = hub::current();
    counting const expected{here, here.expected_posts()};
    return park(fiber_that_waits(), what);
}

// In a handler, at any moment of this thread: nothing but atomics, and the loop's way to be told.
void handler_runs(bool restarts) noexcept {
    if (hub* const here = this_scheduler.owner) here->note_handler(restarts);
}

void hub::note_handler(bool restarts) noexcept {
    handlers_run_[std::size_t(handlers::any)].fetch_add(1, std::memory_order_relaxed);
    if (!restarts) handlers_run_[std::size_t(handlers::without_restart)].fetch_add(1, std::memory_order_relaxed);
    if (loop_) loop_->interrupt(); // not while a forked child makes a new one
}

void hub::end_waits_by_handlers() noexcept {
    handlers_known_ = handlers_run(handlers::any);
    wait_queue go_on;
    while (!until_handlers_.empty()) {
        auto& one = static_cast<ended_by_handlers&>(until_handlers_.pop());
        if (one.seen_ == handlers_run(one.which_) || !wake(one, wake_reason::interrupted)) go_on.push(one);
    }
    while (!go_on.empty()) until_handlers_.push(go_on.pop());
}

} // namespace coir
