#include "hub/timer.h"

#include <algorithm>
#include <cassert>

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

void timer_heap::set(timer& due, std::int64_t at) {
    assert(!due.set());
    heap_.push_back({});
    rise(heap_.size() - 1, {at, next_order_++, &due});
}

void timer_heap::cancel(timer& set) noexcept {
    assert(set.set());
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
    std::uint64_t const first_new = next_order_;
    while (!heap_.empty() && heap_.front().at <= now && heap_.front().order < first_new) {
        timer& due = *heap_.front().owner;
        cancel(due);
        due.fire(due);
    }
}

void timer_heap::clear(void const* forking) noexcept {
    std::vector<entry> kept;
    for (entry const& each : heap_)
        if (forking && each.owner->survives_fork_in == forking)
            kept.push_back(each);
        else
            each.owner->slot = timer::unset;
    std::ranges::sort(kept, [](entry const& one, entry const& other) { return one.before(other); }); // which is a heap
    heap_ = std::move(kept);
    for (std::size_t slot = 0; slot < heap_.size(); ++slot) heap_[slot].owner->slot = slot;
}

} // namespace coir
