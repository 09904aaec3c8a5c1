// The raw primitive, as in Python's greenlet: a stack of its own that is switched to and from by hand, carrying values
// both ways. No scheduler is involved; fibers (hub/fiber.h) are built beside it and can be mixed with it.
//
// A greenlet is a counted handle. It may be copied and dropped on any thread, but switched to only on the
// thread that made it. When the last handle to one that is switched away goes on its own thread, fiber_exit
// is thrown into it, so that its destructors run; one that is dropped on another thread, or that has a handle
// to itself on its own stack, stays as it is.
#pragma once

#include "fiber/context.h"
#include "fiber/value.h"

#include <cstdint>
#include <exception>
#include <functional>
#include <new>
#include <type_traits>
#include <utility>

namespace coir {

/// Thrown where a greenlet or fiber is to end. Leaving the function with it is not an error. Deliberately no
/// std::exception: code that catches those goes on being ended.
struct fiber_exit {};

/// @cond internal
namespace detail {

struct tracer;

struct COIR_API greenlet_context : context {
    explicit greenlet_context(stack where, char const* kind_name = "greenlet") : context(where, kind_name) {}

protected:
    bool dropped = false; // it was ended because no handle was left; it is not tried again

private:
    context& body() noexcept final;
    void unreferenced() noexcept final;
    void unreferenced_on_leaving() noexcept final;
    virtual value call(value first) = 0; // runs the function, then destroys it
    virtual void destroy() noexcept = 0; // the control block and its stack
    void abandoned() noexcept final;
};

template <class F, class Base = greenlet_context>
struct greenlet_of final : Base {
    template <class G>
    greenlet_of(stack where, G&& from) : Base(where), function(std::forward<G>(from)) {
        this->prepare(reinterpret_cast<std::byte*>(this));
    }
    ~greenlet_of() override {
        if (!this->called) function.~F();
    }

private:
    value call(value first) override {
        struct end {
            greenlet_of& self;
            ~end() { self.function.~F(); }
        } at_end{*this};
        called = true;
        return call_with(function, std::move(first));
    }
    void destroy() noexcept override { destroy_in_place(*this); }

    bool called = false;
    union {
        F function; // alive until call() has returned
    };
};

// A new one on a stack of its own, with the maker's reference. Its parent is the current one.
template <class Made, class F>
Made& make_greenlet(F&& function, std::size_t stack_size) {
    context& parent = context::current();
    stack const where = acquire_stack(stack_size);
    Made* made;
    try {
        made = new (place_on_top(where, sizeof(Made))) Made(where, std::forward<F>(function));
    } catch (...) {
        release_stack(where);
        throw;
    }
    made->parent = &parent;
    parent.retain();
    return *made;
}

} // namespace detail
/// @endcond

/// What a trace callback is told of.
enum class trace_event : std::uint8_t {
    switched, ///< `target` goes on with what was brought to it
    thrown,   ///< an exception is thrown where `target` goes on
};

/// A stack of its own that is switched to and from by hand. A counted handle: it is copied, compared and dropped, and
/// asked whether the greenlet is dead(), on any thread; all else is for the thread that made the greenlet. The hub
/// knows nothing of greenlets: one that waits, waits as the fibers of the thread do.
class COIR_API greenlet {
public:
    /// Refers to nothing: can be assigned to, compared, and asked by operator bool.
    greenlet() noexcept = default;

    /// A greenlet that will run `function`, on the first switch_to, with the values passed there; its parent is the
    /// current one. Nothing runs yet. Its stack has `stack_size` bytes, or default_stack_size(). Throws what
    /// acquire_stack throws, and std::system_error(EINVAL) if `function` takes more than half of the stack.
    template <other_than<greenlet> F>
    explicit greenlet(F&& function, std::size_t stack_size = 0) {
        self_ = &detail::make_greenlet<detail::greenlet_of<std::decay_t<F>>>(std::forward<F>(function), stack_size);
    }

    /// Another handle to the same.
    greenlet(greenlet const& other) noexcept : self_(other.self_) {
        if (self_) self_->retain();
    }
    /// Takes over the handle; `other` refers to nothing then.
    greenlet(greenlet&& other) noexcept : self_(std::exchange(other.self_, nullptr)) {}
    /// Refers to what `other` refers to from now on.
    greenlet& operator=(greenlet other) noexcept {
        std::swap(self_, other.self_);
        return *this;
    }
    /// **Switches**, if it is the last handle, on the greenlet's own thread, to one that is switched away: that ends by
    /// fiber_exit, and what it throws instead is reported on stderr.
    ~greenlet() {
        if (self_) self_->release();
    }

    /// The running one; on a thread's own stack, the one that stands for the thread. Any thread.
    static greenlet current() { return greenlet(&context::current()); }

    /// Runs this greenlet until someone switches back, and returns what that one brought. An ended greenlet stands
    /// for its parent. **Switches**, past the hub. Throws what was thrown into the caller meanwhile, what the greenlet
    /// let escape if the caller is its parent, and std::logic_error if this is a fiber that the hub will resume, or
    /// belongs to another thread. Values that its function does not take end it with a
    /// bad_value_cast.
    template <class... A>
    value switch_to(A&&... values) const {
        return switch_with(detail::pack(std::forward<A>(values)...), nullptr);
    }

    /// Like switch_to, but throws `error` where the greenlet was switched away. One that never ran ends at once and
    /// `error` goes on to its parent; fiber_exit ends there.
    value throw_into(std::exception_ptr error = std::make_exception_ptr(fiber_exit{})) const {
        return switch_with({}, std::move(error));
    }
    /// The same with an exception that is made of `error`.
    template <other_than<std::exception_ptr> E>
    value throw_into(E&& error) const {
        return throw_into(std::make_exception_ptr(std::forward<E>(error)));
    }

    /// Who goes on when this one ends; empty for a thread's own.
    greenlet parent() const& noexcept { return greenlet(self_->parent); }
    /// The same, and this handle refers to nothing any more: in `greenlet::current().parent().switch_to(x)` the first
    /// temporary would live on the greenlet's own stack as long as it is switched away, and keep it from being dropped.
    greenlet parent() && noexcept { return greenlet(std::exchange(*this, greenlet()).self_->parent); }

    /// From now on `parent` goes on when this one ends. Throws std::invalid_argument if that would make a circle, if
    /// this one stands for a thread, if `parent` refers to nothing, and if one of them belongs to another thread.
    void set_parent(greenlet const& parent) const;

    /// It has ended. Any thread.
    bool dead() const noexcept { return self_->ended(); }

    /// It has begun and not ended. gevent: bool(greenlet).
    bool active() const noexcept { return !dead() && self_->state != run_state::fresh; }

    /// Called with the event, who left, and who goes on.
    using trace_callback = std::function<void(trace_event event, greenlet const& origin, greenlet const& target)>;

    /// From now on `callback` is told of every switch by hand on this thread; an empty one ends that. Returns the
    /// former one. Python: greenlet.settrace.
    ///
    /// The callback runs in `target`, before anything else happens there. Told are switch_to and throw_into, also to
    /// oneself, the way from a greenlet that ended to its parent, the end of one that was dropped, and the resumptions
    /// and yields of a generator. A greenlet that never ran and has something thrown into it is told of as if it had
    /// run, but the callback runs in the thrower. Not told are the hub's own switches: fibers that park, yield or end.
    ///
    /// What the callback throws is thrown in `target`, in place of what was to be thrown there, and nothing is traced
    /// any more; for the end of a dropped greenlet, where nobody could catch it, it is reported on stderr. Switches
    /// that the callback makes are told of, too.
    static trace_callback set_trace(trace_callback callback);

    /// This thread's callback; empty if there is none. Python: greenlet.gettrace.
    static trace_callback trace();

    /// It refers to a greenlet.
    explicit operator bool() const noexcept { return self_ != nullptr; }
    /// Both refer to the same greenlet, or both to nothing.
    bool operator==(greenlet const& other) const noexcept = default;

private:
    friend struct detail::tracer;

    explicit greenlet(context* self) noexcept : self_(self) {
        if (self_) self_->retain();
    }
    void adopt(context& parent) const noexcept {
        self_->parent = &parent;
        parent.retain();
    }
    value switch_with(value carried, std::exception_ptr error) const;

    context* self_ = nullptr;
};

} // namespace coir
