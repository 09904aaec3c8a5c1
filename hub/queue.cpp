#include "hub/queue.h"

#include "hub/scheduler.h"

#include <algorithm>

namespace coir {

queue_shut_down::queue_shut_down() : std::runtime_error("the queue was shut down") {}

namespace detail {
namespace {

// What a waiter's slot says once something was promised to it; without, it was granted by shutdown().
char promised;

bool was_promised(waiter const& one) noexcept { return one.granted && one.slot; }

} // namespace

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

bool queue_base::wait(wait_queue& queue, waiter& one, std::unique_lock<thread_lock>& held, deadline until,
                      char const* what) {
    if (shut_down_) throw queue_shut_down();
    if (!queue.wait(one, held, until, what)) return false;
    if (!was_promised(one)) throw queue_shut_down();
    return true;
}

bool queue_base::wait_for_item(std::unique_lock<thread_lock>& held, deadline until, bool peek) {
    waiter one;
    one.takes = !peek;
    if (!wait(getters_, one, held, until, "an item of a queue")) return false;
    if (!peek) redeem_item(true);
    return true;
}

bool queue_base::wait_for_room(std::unique_lock<thread_lock>& held, deadline until) {
    waiter one;
    if (!wait(putters_, one, held, until, "room in a queue")) return false;
    redeem_room(true);
    return true;
}

void queue_base::item_came(std::size_t size) noexcept {
    while (has_item(size) && !getters_.empty()) {
        waiter& one = getters_.pop();
        one.slot = &promised;
        bool const takes = one.takes;
        if (grant(one) && takes) ++promised_items_;
    }
}

void queue_base::item_went(std::size_t size) noexcept {
    while (has_room(size) && !putters_.empty()) {
        waiter& one = putters_.pop();
        one.slot = &promised;
        if (grant(one)) ++promised_room_;
    }
}

void queue_base::items_were_dropped(std::size_t count) noexcept {
    promised_items_ = 0;
    unfinished_ -= std::min(count, unfinished_);
    if (unfinished_ == 0) all_done_.notify_all();
}

void queue_base::queue_for_item(waiter& one, std::size_t size) {
    if (shut_down_ && !has_item(size)) {
        grant(one);
        return;
    }
    getters_.push(one);
    item_came(size);
}

void queue_base::queue_for_room(waiter& one, std::size_t size) {
    if (shut_down_) {
        grant(one);
        return;
    }
    putters_.push(one);
    item_went(size);
}

bool queue_base::leave_case(waiter& one) noexcept {
    std::lock_guard held{lock_};
    if (one.queued()) one.unlink();
    return was_promised(one);
}

void queue_base::redeem_item(bool was_promised) {
    if (!was_promised || promised_items_ == 0) throw queue_shut_down(); // shutdown_now() has dropped it
    --promised_items_;
}

void queue_base::redeem_room(bool was_promised) {
    if (!was_promised) throw queue_shut_down();
    --promised_room_;
}

} // namespace detail
} // namespace coir
