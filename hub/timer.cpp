#include "hub/timer.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

namespace coir {
namespace {
constexpr std::size_t ways = 4; // children per node: half the levels of a binary heap, and siblings share lines
}

void timer_heap::place(std::size_t slot, entry const& what) noexcept {
    heap_[slot] = what;
    what.owner->slot = slot;
}

void timer_heap::rise(std::size_t slot, entry const& what) noexcept {
    while (slot > 0) {
        std::size_t const above = (slot - 1) / ways;
        if (!what.before(heap_[above])) break;
        place(slot, heap_[above]);
        slot = above;
    }
    place(slot, what);
}

void timer_heap::sink(std::size_t slot, entry const& what) noexcept {
    for (;;) {
        std::size_t const first = slot * ways + 1;
        if (first >= heap_.size()) break;
        std::size_t const last = std::min(first + ways, heap_.size());
        std::size_t least = first;
        for (std::size_t child = first + 1; child < last; ++child)
            if (heap_[child].before(heap_[least])) least = child;
        if (!heap_[least].before(what)) break;
        place(slot, heap_[least]);
        slot = least;
    }
    place(slot, what);
}

void timer_heap::set(timer& due, std::int64_t at) noexcept {
    assert(!due.set());
    try {
        heap_.push_back({});
    } catch (std::bad_alloc const&) {
        due.slot = timer::aside;
        due.at_aside = at;
        due.next_aside = std::exchange(aside_, &due);
        return;
    }
    rise(heap_.size() - 1, {at, next_order_++, &due});
}

void timer_heap::cancel(timer& set) noexcept {
    assert(set.set());
    if (set.slot == timer::aside) return leave_aside(set);
    std::size_t const slot = set.slot;
    entry const last = heap_.back();
    heap_.pop_back();
    set.slot = timer::unset;
    if (slot == heap_.size()) return;
    if (slot > 0 && last.before(heap_[(slot - 1) / ways]))
        rise(slot, last);
    else
        sink(slot, last);
}

void timer_heap::fire_due(std::int64_t now) noexcept {
    if (aside_) [[unlikely]]
        take_in_aside();
    std::uint64_t const first_new = next_order_;
    while (!heap_.empty() && heap_.front().at <= now && heap_.front().order < first_new) {
        timer& due = *heap_.front().owner;
        cancel(due);
        due.fire(due);
    }
    for (std::size_t left = count_aside(); left > 0 && aside_; --left) { // for which there still is no memory
        timer* due = aside_;
        while (due && due->at_aside > now) due = due->next_aside;
        if (!due) break;
        leave_aside(*due);
        due->fire(*due);
    }
}

void timer_heap::take_in_aside() noexcept {
    timer* left = std::exchange(aside_, nullptr);
    while (left) {
        timer& one = *std::exchange(left, left->next_aside);
        one.slot = timer::unset;
        set(one, one.at_aside);
    }
}

std::size_t timer_heap::count_aside() const noexcept {
    std::size_t count = 0;
    for (timer const* each = aside_; each; each = each->next_aside) ++count;
    return count;
}

std::int64_t timer_heap::nearest_aside(std::int64_t at) const noexcept {
    for (timer const* each = aside_; each; each = each->next_aside) at = std::min(at, each->at_aside);
    return at;
}

void timer_heap::leave_aside(timer& one) noexcept {
    timer** link = &aside_;
    while (*link != &one) link = &(*link)->next_aside;
    *link = one.next_aside;
    one.slot = timer::unset;
}

void timer_heap::clear(void const* forking) noexcept {
    auto const goes_on = [forking](timer const& one) { return forking && one.survives_fork_in == forking; };
    std::erase_if(heap_, [&](entry const& each) {
        if (goes_on(*each.owner)) return false;
        each.owner->slot = timer::unset;
        return true;
    });
    std::ranges::sort(heap_, [](entry const& one, entry const& other) { return one.before(other); }); // which is a heap
    for (std::size_t slot = 0; slot < heap_.size(); ++slot) heap_[slot].owner->slot = slot;
    for (timer *each = aside_, *next; each; each = next) {
        next = each->next_aside;
        if (!goes_on(*each)) leave_aside(*each);
    }
}

} // namespace coir
