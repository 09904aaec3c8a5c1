#include "hub/channel.h"

#include "hub/hub.h"
#include "hub/scheduler.h"

namespace coir::detail {
namespace {

bool may_be_granted(waiter const& one, waiter_group const* own) noexcept {
    if (one.group) return one.group != own && one.group->would_take();
    return !one.who->on_this_thread() || (one.epoch == one.who->epoch && one.who->state == run_state::parked);
}

} // namespace

void channel_base::shutdown() noexcept {
    std::lock_guard held{lock_};
    shut_down_ = true;
    getters_.notify_all();
    putters_.notify_all();
}

bool channel_base::is_shut_down() const noexcept {
    std::lock_guard held{lock_};
    return shut_down_;
}

std::ptrdiff_t channel_base::balance() const noexcept {
    std::lock_guard held{lock_};
    return std::ptrdiff_t(putters_.count()) - std::ptrdiff_t(getters_.count());
}

waiter* channel_base::meet(wait_queue& others, waiter_group const* own) noexcept {
    for (;;) {
        waiter* const one = others.find([own](waiter const& each) { return may_be_granted(each, own); });
        if (!one) return nullptr;
        one->unlink();
        if (grant(*one)) return one;
    }
}

bool channel_base::somebody_in(wait_queue& others, waiter_group const* own) noexcept {
    return others.find([own](waiter const& each) { return may_be_granted(each, own); });
}

waiter* channel_base::line_up_and_meet(bool& lined_up) {
    context& self = context::current();
    lined_up = somebody_in(putters_, nullptr) && hub::in_fiber();
    if (lined_up) {
        self.become(run_state::ready);
        this_scheduler.ready.push(self);
    }
    return meet(putters_);
}

bool channel_base::wait(wait_queue& queue, waiter& one, std::unique_lock<thread_lock>& held, deadline until,
                        char const* what) {
    if (!queue.wait(one, held, until, what)) return false;
    if (one.slot) throw queue_shut_down();
    return true;
}

bool channel_base::claim(waiter& one) noexcept { return grant(one); }

bool channel_base::leave_case(waiter& one) noexcept {
    std::lock_guard held{lock_};
    if (one.queued()) one.unlink();
    return one.granted && !one.slot;
}

void channel_base::step_back(bool was_here) noexcept {
    if (was_here && hub::in_fiber()) coir::step_back();
}

void channel_base::step_aside() noexcept {
    context& self = *this_thread.current;
    context& next = next_to_run(this_scheduler);
    if (&next == &self)
        self.become(run_state::running);
    else
        switch_context(self, next);
}

} // namespace coir::detail
