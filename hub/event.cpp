#include "hub/event.h"

#include "hub/hub.h"
#include "hub/scheduler.h"

#include <mutex>

namespace coir {

void event::set() noexcept {
    std::lock_guard held{lock};
    set_ = true;
    if (waiting.empty()) return;
    waiting.notify_all();
    woken_on_ = this_thread.number;
    woken_to_ = this_scheduler.ready.pushed();
}

void event::clear() noexcept {
    std::lock_guard held{lock};
    set_ = false;
}

bool event::is_set() const noexcept {
    std::lock_guard held{lock};
    return set_;
}

bool event::wait(deadline until) {
    std::unique_lock held{lock};
    if (!set_) return waiting.wait(held, until, "event");
    bool const others_first = woken_on_ == this_thread.number && this_scheduler.ready.popped() <= woken_to_;
    held.unlock();
    if (others_first && hub::in_fiber()) step_back();
    return true;
}

} // namespace coir
