// A consumer and a body hand control to each other by hand: resume() and yield() are each other's counterpart. All that
// passes between them lies on the stack of the one that is switched away.

#include "fiber/generator.h"

#include "fiber/by_hand.h"
#include "fiber/describe.h"
#include "fiber/switch.h"

#include <stdexcept>

namespace coir::detail {

// A consumer's stay in resume(). For so long it is the body's parent, to which the body's end leads. Not longer: a body
// that is held at a yield would keep the stack of its last consumer.
struct generator_context::visit {
    generator_context& of;
    context& consumer;
    context* const home;

    visit(generator_context& resumed, context& self, void* value) noexcept
        : of(resumed), consumer(self), home(resumed.parent) {
        of.retain(); // the body may destroy the generator
        of.consumer = &consumer;
        consumer.delegate = &of; // a kill or timeout of the consumer is raised where the body waits
        of.stands_for = &consumer;
        of.yielded = nullptr;
        of.sent = value;
        if (home == &consumer) return;
        consumer.retain();
        of.parent = &consumer;
    }

    ~visit() {
        of.consumer = nullptr;
        consumer.delegate = nullptr;
        of.stands_for = nullptr;
        of.sent = nullptr;
        if (!of.yielded && !of.ended()) of.deserted = true; // the body waits, but its consumer was made to go on
        if (home != &consumer) {
            bool const back = of.parent == &consumer && !of.deserted;
            (back ? std::exchange(of.parent, home) : home)->release();
        }
        of.release();
    }
};

void generator_context::refuse_second_consumer() const {
    throw std::logic_error("generator: " + name() + " cannot be resumed by " + context::current().name() +
                           ": it runs already" + (consumer ? ", resumed by " + consumer->name() : ""));
}

void const* generator_context::resume(std::exception_ptr exception, void* value) {
    context& self = context::current();
    if (!on_this_thread()) throw std::logic_error("generator: " + name() + " belongs to another thread");
    if (escaped) std::rethrow_exception(std::exchange(escaped, nullptr)); // it ended, but not in anybody's resume()
    if (finished() || (state == run_state::fresh && exception)) {
        if (!ended() && !deserted) end_unstarted(*this);
        if (exception) std::rethrow_exception(exception);
        return nullptr;
    }
    if (consumer || (state != run_state::fresh && state != run_state::suspended)) refuse_second_consumer();
    visit const visiting{*this, self, value};
    switch_by_hand(self, *this, {}, std::move(exception));
    if (escaped) std::rethrow_exception(std::exchange(escaped, nullptr));
    if (!yielded && !ended())
        throw std::logic_error("generator: " + self.name() + " was switched to by hand while it waited for " + name());
    return yielded;
}

void const* generator_context::send(void* value) {
    if (!consumer && state == run_state::fresh)
        throw std::logic_error("generator: nothing can be sent to " + name() +
                               " before it has come to a yield: begin with next()");
    return resume(nullptr, value);
}

void* generator_context::yield(void const* object) {
    context& self = context::current();
    if (&self != this) throw std::logic_error("generator: yield in " + self.name() + ", which is not " + name());
    if (deserted) throw fiber_exit{};
    if (!consumer) throw std::logic_error("generator: " + name() + " yields, but it was switched to by hand");
    struct offer {
        generator_context& self;
        ~offer() {
            self.yielded = nullptr;
            self.held = false;
        }
    } const until_resumed{*this};
    yielded = object;
    held = true;
    switch_by_hand(self, *consumer, {}, nullptr);
    return sent;
}

void generator_context::failed() noexcept {
    if (!deserted || consumer) {
        escaped = std::current_exception();
        return;
    }
    try {
        throw;
    } catch (fiber_exit const&) {
    } catch (...) {
        report_ignored(*this, std::current_exception(), "nobody waits for the generator any more");
    }
}

void generator_context::close() {
    if (finished() || (state == run_state::fresh && on_this_thread())) {
        if (!finished()) end_unstarted(*this);
        return;
    }
    auto const exit = std::make_exception_ptr(fiber_exit{});
    void const* again;
    try {
        again = resume(exit);
    } catch (fiber_exit const&) {
        if (std::current_exception() != exit) throw; // the consumer is being killed
        return;
    }
    if (again) throw std::logic_error("generator: " + name() + " was closed, but it yielded instead of ending");
}

void generator_context::abandon() noexcept {
    if (on_this_thread() && !finished()) {
        if (consumer || state == run_state::running) {
            deserted = true;
        } else {
            try {
                close();
            } catch (...) {
                report_ignored(*this, std::current_exception(), "the generator was destroyed");
            }
            dropped = true;
        }
    }
    release();
}

} // namespace coir::detail
