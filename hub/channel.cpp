#include "hub/channel.h"

#include "hub/hub.h"
#include "hub/scheduler.h"

namespace coir::detail {
namespace {

bool would_take(waiter_group const& one, waiter_group const* own) noexcept { return &one != own && one.would_take(); }

bool may_be_granted(waiter const& one, waiter_group const* own) noexcept {
    if (one.group) return would_take(*one.group, own);
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

waiter* channel_base::meet_one_of(wait_queue& others, waiter_group const* own) noexcept {
    waiter* met = nullptr;
    others.for_each([&](waiter& each) {
        if (each.group && !would_take(*each.group, own)) return true; // it stays, for the next
        each.unlink();
        if (grant(each)) met = &each;
        return !met;
    });
    return met;
}

bool channel_base::somebody_in(wait_queue& others, waiter_group const* own) noexcept {
    return others.find([own](waiter const& each) { return may_be_granted(each, own); });
}

waiter* channel_base::line_up_and_meet(bool& lined_up) {
    lined_up = false;
    if (putters_.empty()) return nullptr;
    // Where nobody else is ready the caller would only be before itself.
    lined_up = !this_scheduler.ready.empty() && somebody_in(putters_, nullptr) && hub::in_fiber();
    if (lined_up) {
        context& self = *this_thread.current;
        self.become(run_state::ready);
        this_scheduler.ready.push(self);
    }
    return meet_one_of(putters_, nullptr);
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
