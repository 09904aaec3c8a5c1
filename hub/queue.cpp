#include "hub/queue.h"

#include "hub/scheduler.h"

namespace coir {

queue_shut_down::queue_shut_down() : std::runtime_error("the queue was shut down") {}

namespace detail {

void queue_base::shutdown() noexcept {
    std::lock_guard held{lock_};
    shut_down_ = true;
    getters_.notify_all();
    putters_.notify_all();
}

bool queue_base::is_shut_down() const noexcept {
    std::lock_guard held{lock_};
    return shut_down_;
}

std::ptrdiff_t queue_base::balance() const noexcept {
    std::lock_guard held{lock_};
    return std::ptrdiff_t(putters_.count()) - std::ptrdiff_t(getters_.count());
}

bool queue_base::wait_to_get(waiter& one, std::unique_lock<thread_lock>& held, deadline until) {
    return getters_.wait(one, held, until, "an item of a queue");
}

bool queue_base::wait_to_put(waiter& one, std::unique_lock<thread_lock>& held, deadline until) {
    return putters_.wait(one, held, until, "room in a queue");
}

waiter* queue_base::next_putter(waiter_group const* group) noexcept {
    for (;;) {
        waiter* const one = putters_.find([&](waiter const& each) { return !group || each.group != group; });
        if (!one) return nullptr;
        one->unlink();
        if (grant(*one)) return one;
    }
}

bool queue_base::somebody_gets(waiter_group const* group) noexcept {
    return getters_.find([&](waiter const& each) {
        if (each.group) return each.group != group;
        return !each.who->on_this_thread() || (each.who->epoch == each.epoch && each.who->state == run_state::parked);
    });
}

void queue_base::step_back() noexcept { coir::step_back(); }

bool queue_base::grant_to(waiter& one) noexcept { return grant(one); }

void queue_base::throw_shut_down() { throw queue_shut_down(); }

} // namespace detail
} // namespace coir
