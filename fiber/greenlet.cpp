#include "fiber/greenlet.h"

#include "fiber/by_hand.h"
#include "fiber/describe.h"
#include "fiber/switch.h"
#include "fiber/trace.h"

#include <cstdio>
#include <cstdlib>

namespace coir {
namespace {

std::string named(std::type_info const& type) { return type == typeid(void) ? "nothing" : demangled(type); }

// Hands over what `to` will return from its switch_to, or throw there. A hub, which has neither, can be
// resumed so too.
void deliver(context& to, value& carried, std::exception_ptr error) noexcept {
    if (!error && to.inbox)
        *to.inbox = std::move(carried);
    else if (error && to.inbox)
        to.pending = std::move(error);
    else if (error)
        report_ignored(context::current(), error, to.name() + " cannot take it");
}

// The nearest ancestor that waits for its child.
context& heir_of(context const& ended) noexcept {
    for (context* next = ended.parent; next; next = next->parent)
        if (next->state == run_state::suspended) return *next;
    if (context* const loop = this_thread.last_resort; loop && loop->state == run_state::suspended) return *loop;
    std::fprintf(stderr, "coir: %s ended, but no parent of it is switched away to go on\n", ended.name().c_str());
    std::abort();
}

void join_begun(context& born) noexcept {
    context*& first = this_thread.first_greenlet;
    born.next_alive = first;
    if (first) first->previous_alive = &born;
    first = &born;
}

void leave_begun(context& ending) noexcept {
    (ending.previous_alive ? ending.previous_alive->next_alive : this_thread.first_greenlet) = ending.next_alive;
    if (ending.next_alive) ending.next_alive->previous_alive = ending.previous_alive;
}

// Traces a switch that is none: from or to one that never ran, or to oneself. What the callback throws takes the place
// of `error`.
void trace_unswitched(context& origin, context& target, std::exception_ptr& error) {
    try {
        detail::trace_leave(origin);
        detail::trace_arrive(target, error ? trace_event::thrown : trace_event::switched);
    } catch (...) {
        error = std::current_exception();
    }
}

} // namespace

value detail::switch_by_hand(context& self, context& target, value carried, std::exception_ptr error, context* origin) {
    value received;
    value* const outer = std::exchange(self.inbox, &received);
    if (target.state == run_state::fresh) target.inbox = &carried; // alive until body() has taken it
    deliver(target, carried, std::move(error));
    if (target.inbox) trace_leave(origin ? *origin : self);
    self.become(run_state::suspended);
    switch_context(self, target);
    self.inbox = outer;
    trace_arrive(self);
    self.rethrow_pending();
    return received;
}

void detail::end_unstarted(context& fresh) noexcept { fresh.become(run_state::ended); }

bad_value_cast::bad_value_cast(std::type_info const& held, std::type_info const& wanted)
    : std::logic_error("a switch brought " + named(held) + ", not " + named(wanted)) {}

value greenlet::switch_with(value carried, std::exception_ptr error) const {
    context& self = context::current();
    context* origin = &self;
    context* target = self_;
    if (!target->on_this_thread()) throw std::logic_error("greenlet: " + target->name() + " belongs to another thread");
    for (;; target = target->parent) {
        if (error && target->state == run_state::fresh) {
            trace_unswitched(*origin, *target, error);
            detail::end_unstarted(*target);
            origin = target;
        }
        if (!target->ended()) break;
        if (error && is_exit(error)) error = nullptr;
    }
    if (target == &self) {
        trace_unswitched(*origin, self, error);
        if (error) std::rethrow_exception(error);
        return carried;
    }
    if (target->state != run_state::fresh && target->state != run_state::suspended)
        throw std::logic_error("greenlet: " + target->name() + " waits in the hub, which alone may resume it");
    return detail::switch_by_hand(self, *target, std::move(carried), std::move(error), origin);
}

void greenlet::set_parent(greenlet const& parent) const {
    if (!parent || !parent.self_->on_this_thread() || !self_->on_this_thread())
        throw std::invalid_argument("greenlet: a parent must be a greenlet of the same thread");
    for (context* above = parent.self_; above; above = above->parent)
        if (above == self_) throw std::invalid_argument("greenlet: " + self_->name() + " would be its own ancestor");
    if (!self_->parent)
        throw std::invalid_argument("greenlet: " + self_->name() + " stands for a thread and has no parent");
    context* const before = self_->parent;
    adopt(*parent.self_);
    before->release();
}

namespace detail {

context& greenlet_context::body() noexcept {
    retain(); // its own, until it has ended and its heir runs
    join_begun(*this);
    value result;
    std::exception_ptr error;
    try {
        value first = std::move(*std::exchange(inbox, nullptr));
        trace_arrive(*this);
        result = call(std::move(first));
    } catch (fiber_exit const&) {
    } catch (...) {
        error = std::current_exception();
    }
    // What nobody gets goes now: that may wait, and who waits has not ended.
    if (dropped) {
        if (error)
            report_ignored(*this, std::exchange(error, nullptr), "it was ended because no handle to it was left");
        result.reset();
    }
    if (context const& heir = heir_of(*this); !heir.inbox) {
        if (error) report_ignored(*this, std::exchange(error, nullptr), heir.name() + " cannot take it");
        result.reset();
    }
    leave_begun(*this);
    become(run_state::ended);
    context& heir = heir_of(*this); // another, if it waited
    deliver(heir, result, std::move(error));
    if (heir.inbox) trace_leave(*this);
    return heir;
}

void greenlet_context::unreferenced() noexcept {
    context* const above = parent;
    destroy();
    if (above) above->release();
}

void greenlet_context::unreferenced_on_leaving() noexcept {
    context* const above = parent;
    destroy();
    if (above) above->release_on_leaving();
}

// Ends as if killed, here and now, and comes back to whoever dropped it.
void greenlet_context::abandoned() noexcept {
    if (!on_this_thread() || dropped) return;
    dropped = true;
    context& self = context::current();
    retain();
    self.retain();
    std::exchange(parent, &self)->release();
    value nothing;
    value* const outer = std::exchange(self.inbox, &nothing);
    pending = std::make_exception_ptr(fiber_exit{});
    trace_leave(self);
    self.become(run_state::suspended);
    switch_context(self, *this);
    self.inbox = outer;
    try {
        trace_arrive(self);
    } catch (...) {
        report_ignored(self, std::current_exception(), "it was thrown by the trace callback while one was dropped");
    }
    release();
}

} // namespace detail
} // namespace coir
