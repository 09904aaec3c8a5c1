#include "fiber/greenlet.h"

#include "fiber/switch.h"

#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>

namespace coir {
namespace {

std::string demangled(std::type_info const& type) {
    if (type == typeid(void)) return "nothing";
    int status;
    std::unique_ptr<char, void (*)(void*)> name{abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free};
    return name ? name.get() : type.name();
}

bool is_exit(std::exception_ptr const& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (fiber_exit const&) {
        return true;
    } catch (...) {
        return false;
    }
}

// Hands over what `to` will return from its switch_to, or throw there.
void deliver(context& to, value& carried, std::exception_ptr error) noexcept {
    if (error) to.pending = std::move(error);
    else if (to.inbox) *to.inbox = std::move(carried);
}

// Switches to `target`, which is fresh or suspended, and returns what the next switch back brings.
value exchange(context& self, context& target, value carried, std::exception_ptr error) {
    value received;
    value* const outer = std::exchange(self.inbox, &received);
    if (target.state == run_state::fresh) target.inbox = &carried; // alive until body() has taken it
    deliver(target, carried, std::move(error));
    self.become(run_state::suspended);
    switch_context(self, target);
    self.inbox = outer;
    if (context* orphan = std::exchange(this_thread.orphan, nullptr)) {
        orphan->retain(); // and let go again: the last handle of a suspended greenlet
        orphan->release();
    }
    self.rethrow_pending();
    return received;
}

// Ends a fresh greenlet that will never run. It holds no reference to itself: nobody ran on its stack.
void end_unstarted(context& fresh) noexcept { fresh.become(run_state::ended); }

// The nearest ancestor that waits for its child.
context& heir_of(context const& ended) noexcept {
    for (context* next = ended.parent; next; next = next->parent)
        if (next->state == run_state::suspended) return *next;
    std::fprintf(stderr, "coir: %s ended, but no parent of it is switched away to go on\n", ended.name().c_str());
    std::abort();
}

} // namespace

bad_value_cast::bad_value_cast(std::type_info const& held, std::type_info const& wanted)
    : std::logic_error("a switch brought " + demangled(held) + ", not " + demangled(wanted)) {}

value greenlet::switch_with(value carried, std::exception_ptr error) const {
    context& self = context::current();
    context* target = self_;
    if (!target->on_this_thread())
        throw std::logic_error("greenlet: " + target->name() + " belongs to another thread");
    if (error && target->state == run_state::fresh) end_unstarted(*target);
    while (target->ended()) {
        target = target->parent;
        if (error && is_exit(error)) error = nullptr;
    }
    if (target == &self) {
        if (error) std::rethrow_exception(error);
        return carried;
    }
    if (target->state != run_state::fresh && target->state != run_state::suspended)
        throw std::logic_error("greenlet: " + target->name() + " waits in the hub, which alone may resume it");
    return exchange(self, *target, std::move(carried), std::move(error));
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
    value result;
    std::exception_ptr error;
    try {
        value first = std::move(*std::exchange(inbox, nullptr));
        result = call(std::move(first));
    } catch (fiber_exit const&) {
    } catch (...) {
        error = std::current_exception();
    }
    retain(); // dropped by the heir, once it runs
    become(run_state::ended);
    context& heir = heir_of(*this);
    deliver(heir, result, std::move(error));
    return heir;
}

void greenlet_context::unreferenced() noexcept {
    switch (state) {
    case run_state::fresh:
    case run_state::ended: {
        context* const above = parent;
        destroy();
        if (above) above->release();
        return;
    }
    case run_state::suspended:
        if (on_this_thread()) {
            // It ends as if killed, here and now, and comes back to whoever dropped it.
            context& self = context::current();
            retain();
            self.retain();
            std::exchange(parent, &self)->release();
            value nothing;
            value* const outer = std::exchange(self.inbox, &nothing);
            pending = std::make_exception_ptr(fiber_exit{});
            self.become(run_state::suspended);
            switch_context(self, *this);
            self.inbox = outer;
            release();
        }
        return;
    default: // it runs, or the hub will resume it: then arrive_from finds it unreferenced when it is switched away
        return;
    }
}

} // namespace detail
} // namespace coir
