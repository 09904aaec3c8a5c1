#include "hub/event.h"

#include <mutex>

namespace coir {

void event::set() noexcept {
    std::lock_guard held{lock};
    set_ = true;
    waiting.notify_all();
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
    return set_ || waiting.wait(held, until, "event");
}

} // namespace coir
