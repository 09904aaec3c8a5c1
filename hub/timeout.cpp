#include "hub/timeout.h"

#include "hub/hub.h"
#include "hub/scheduler.h"

#include <cstdio>

namespace coir {

timeout::alarm::alarm(timeout& of) noexcept
    : timer([](timer& due) noexcept {
          auto& passed = static_cast<alarm&>(due);
          passed.whole.expired_ = true;
          interrupt(*passed.whole.fiber_, passed);
      }),
      whole(of) {}

std::exception_ptr timeout::alarm::take() noexcept {
    if (error) return error;
    char text[64];
    std::snprintf(text, sizeof text, "timed out after %.6g s", double(whole.limit_) / 1e9);
    return std::make_exception_ptr(timed_out(text, &whole));
}

void timeout::start(deadline until) {
    fiber_ = &fiber_that_waits();
    expired_ = false;
    if (until.is_never()) return;
    limit_ = until.ns() - steady_now();
    alarm_.survives_fork_in = fiber_;
    this_scheduler.owner->timers().set(alarm_, until.ns());
}

void timeout::cancel() noexcept {
    if (alarm_.set()) this_scheduler.owner->timers().cancel(alarm_);
    if (alarm_.queued()) withdraw(alarm_);
}

} // namespace coir
