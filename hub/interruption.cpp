#include "hub/interruption.h"

#include "hub/scheduler.h"

#include <cassert>
#include <memory>
#include <utility>

namespace coir {

std::exception_ptr thrown_from_outside::take() noexcept {
    std::unique_ptr<thrown_from_outside> owned{this};
    return std::move(error);
}

context& waiting_for(context& target) noexcept {
    context* leaf = &target;
    while (leaf->state == run_state::suspended && leaf->delegate) leaf = leaf->delegate;
    return *leaf;
}

namespace {

void queue_interruption(context& target, interruption& why) noexcept {
    assert(!why.queued() && target.on_this_thread());
    interruption** last = &target.interruptions;
    while (*last) last = &(*last)->next;
    *last = &why;
    why.next = nullptr;
    why.of = &target;
}

} // namespace

context* interrupt_in_place(context& target, interruption& why) noexcept {
    context& waits = waiting_for(target);
    run_state const state = waits.state.load(std::memory_order_relaxed);
    if (state == run_state::suspended && !waits.held) {
        waits.pending = why.take();
    } else {
        queue_interruption(target, why);
        if (state != run_state::parked) return nullptr;
        ++waits.epoch;
        waits.reason = wake_reason::cancelled;
    }
    waits.become(run_state::ready);
    return &waits;
}

void interrupt(context& target, interruption& why) {
    if (context* const next = interrupt_in_place(target, why)) this_scheduler.ready.push(*next);
}

void withdraw(interruption& why) noexcept {
    interruption** link = &why.of->interruptions;
    while (*link != &why) link = &(*link)->next;
    *link = why.next;
    why.of = nullptr;
}

namespace {

std::exception_ptr first_of(context& target) noexcept {
    interruption& first = *target.interruptions;
    withdraw(first);
    return first.take();
}

} // namespace

void throw_interruption(context& self) { std::rethrow_exception(first_of(*self.interrupted())); }

void drop_interruption(context& target) noexcept { first_of(target); }

} // namespace coir
