#include "hub/timer.h"

#include "hub/deadline.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <new>
#include <utility>

namespace coir {
namespace {
constexpr std::size_t ways = 4; // children per node: half the levels of a binary heap, and siblings share lines
constexpr std::int64_t most_slack = 1'000'000; // ns
constexpr std::size_t at_once = 64;            // of which the memory is fetched
} // namespace

void timer_heap::place(std::size_t slot, entry const& what) noexcept {
    heap_[slot] = what;
    slots_[what.id] = std::uint32_t(slot);
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

std::uint32_t timer_heap::slack_until(std::int64_t at) const noexcept {
    std::int64_t span = at - now_; // no less than it is: then the clock need not be read
    if (span / 1000 > least_slack_) span = at - steady_now();
    std::int64_t const slack = std::max(std::min(span / 1000, most_slack), least_slack_);
    return std::uint32_t(std::min(slack, none - at));
}

// Numbers that are free, and so much room in the heap that all can be used.
void timer_heap::make_room() {
    std::size_t const before = owners_.size(), after = std::max<std::size_t>(2 * before, 64);
    heap_.reserve(after);
    slots_.reserve(after);
    owners_.resize(after);
    for (std::size_t id = before; id < after; ++id) slots_.push_back(std::exchange(free_, std::uint32_t(id)));
}

void timer_heap::set(timer& due, std::int64_t at) noexcept {
    assert(!due.set());
    try {
        if (free_ == timer::unset) make_room();
    } catch (std::bad_alloc const&) {
        due.id = timer::aside;
        due.at_aside = at;
        due.next_aside = std::exchange(aside_, &due);
        return;
    }
    due.id = std::exchange(free_, slots_[free_]);
    owners_[due.id] = &due;
    heap_.push_back({});
    std::uint32_t const slack = slack_until(at);
    rise(heap_.size() - 1, {at + slack, next_order_++, slack, due.id});
}

void timer_heap::cancel(timer& set) noexcept {
    assert(set.set());
    if (set.id == timer::aside) return leave_aside(set);
    std::size_t const slot = slots_[set.id];
    entry const last = heap_.back();
    heap_.pop_back();
    slots_[set.id] = std::exchange(free_, set.id);
    set.id = timer::unset;
    if (slot == heap_.size()) return;
    if (slot > 0 && last.before(heap_[(slot - 1) / ways]))
        rise(slot, last);
    else
        sink(slot, last);
}

void timer_heap::fire_due(std::int64_t now) noexcept {
    now_ = now;
    if (aside_) [[unlikely]]
        take_in_aside();
    // Has the memory of several that are due fetched, those nearest to the heap's top, and returns of how many: each
    // lies on a stack that nothing has touched for long, and costs a walk through the page tables. Several walks at
    // once take hardly longer than one. Always inline: on its own, gcc takes it for a function without effect.
    auto const fetch_due = [&]() __attribute__((always_inline)) {
        std::array<std::size_t, at_once> found; // slots, each after its parent
        std::size_t count = 0;
        auto const look_at = [&](std::size_t slot) {
            if (count == found.size() || slot >= heap_.size() || heap_[slot].deadline() > now) return;
            found[count++] = slot;
            __builtin_prefetch(owners_[heap_[slot].id], 1);
        };
        look_at(0);
        for (std::size_t parent = 0; parent < count; ++parent)
            for (std::size_t child = 1; child <= ways; ++child) look_at(found[parent] * ways + child);
        return count;
    };
    std::uint64_t const first_new = next_order_;
    std::size_t fetched = 0;
    while (!heap_.empty() && heap_.front().deadline() <= now && heap_.front().order < first_new) {
        if (fetched-- == 0) fetched = fetch_due() - 1;
        timer& due = *owners_[heap_.front().id];
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
        one.id = timer::unset;
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
    one.id = timer::unset;
}

void timer_heap::clear(void const* forking) noexcept {
    auto const goes_on = [forking](timer const& one) { return forking && one.survives_fork_in == forking; };
    std::erase_if(heap_, [&](entry const& each) {
        timer& owner = *owners_[each.id];
        if (goes_on(owner)) return false;
        slots_[each.id] = std::exchange(free_, each.id);
        owner.id = timer::unset;
        return true;
    });
    std::ranges::sort(heap_, [](entry const& one, entry const& other) { return one.before(other); }); // which is a heap
    for (std::size_t slot = 0; slot < heap_.size(); ++slot) slots_[heap_[slot].id] = std::uint32_t(slot);
    for (timer *each = aside_, *next; each; each = next) {
        next = each->next_aside;
        if (!goes_on(*each)) leave_aside(*each);
    }
}

} // namespace coir
