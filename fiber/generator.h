// Generators, as Python's, but stackful: the body is an ordinary function that may yield from any depth of calls.
//
//     coir::generator<int> squares{[](auto& out) { for (int i = 0; i < 5; ++i) out.yield(i * i); }};
//     for (int n : squares) …
//
// The body runs in a greenlet of its own, on the thread that made the generator, and only while a fiber of that thread
// is in next(), send(), throw_into() or close(): the consumer. Different fibers may consume in turn. The body may wait
// as any fiber may (sleep, read …); its consumer waits with it and others run. A generator belongs to one owner; it may
// be moved, also in the middle. Destroying it in the middle ends the body by fiber_exit, so that its destructors run.
#pragma once

#include "fiber/export.h"
#include "fiber/greenlet.h"

#include <concepts>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <variant>

namespace coir {

/// @cond internal
namespace detail {

// What the two sides of a generator share; the control block of its greenlet.
struct COIR_API generator_context : greenlet_context {
    context* consumer = nullptr;   // who waits for the body in resume(); null while the body is switched away
    void const* yielded = nullptr; // what the body holds out, on its stack; null while it runs and when it has ended
    void* sent = nullptr;          // what the consumer holds out, on its stack
    std::exception_ptr escaped;    // what the body ended with, until resume() throws it
    bool deserted = false;         // nobody can resume it any more: it is to end at its next yield

    explicit generator_context(stack where) : greenlet_context(where, "generator") {}

    /// The consumer's side: lets the body run until it yields or ends, and returns what it yields, null if it has
    /// ended. Where the body was switched away `exception` is thrown, or `value` returned. **Switches.** The one place
    /// where a consumer waits for a body.
    void const* resume(std::exception_ptr exception = nullptr, void* value = nullptr);
    void const* send(void* value);
    void close();

    /// The generator goes: ends the body, and drops the owner's reference.
    void abandon() noexcept;

    bool finished() const noexcept { return deserted || ended(); }

    /// The body's side: holds `object` out; when it is resumed, returns what was sent, or null.
    void* yield(void const* object);
    /// The body is being left by the exception that is handled at this moment.
    void failed() noexcept;

private:
    struct visit;
    [[noreturn]] void refuse_second_consumer() const;
};

template <class Body, class Yielder>
struct generator_body {
    Body body;

    void operator()() {
        auto& self = static_cast<generator_context&>(context::current());
        try {
            Yielder out(self);
            body(out);
        } catch (...) {
            self.failed();
        }
    }
};

// What next() returns.
template <class Out>
struct taken : std::type_identity<std::optional<Out>> {};
template <class Out>
struct taken<Out&> : std::type_identity<Out*> {};
template <>
struct taken<void> : std::type_identity<bool> {};

template <class T>
concept void_type = std::is_void_v<T>;
template <class T>
concept reference_type = std::is_lvalue_reference_v<T>;
template <class T>
concept movable_type = std::move_constructible<T> && std::is_object_v<T>;

template <class T>
concept yieldable = void_type<T> || reference_type<T> || movable_type<T>;
template <class T>
concept sendable = void_type<T> || movable_type<T>;

// What a generator can be made from.
template <class T, class Generator>
concept body_of = other_than<T, Generator> && requires(std::decay_t<T>& body, typename Generator::yielder& out) {
    body(out);
};

// Stands for void where there must be a type.
template <class T>
using or_nothing = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

} // namespace detail
/// @endcond

/// Yields objects of type Out, which need only be movable; or references, Out = T&; or nothing, Out = void. With a type
/// In, values are sent to the body, too: they are what its yield returns. For the thread that made it.
template <detail::yieldable Out, detail::sendable In = void>
class [[nodiscard]] generator : public std::ranges::view_base {
    static constexpr bool yields_void = std::is_void_v<Out>;
    static constexpr bool takes_values = !std::is_void_v<In>;
    using yielded_type = detail::or_nothing<Out>;
    using held_type = std::remove_reference_t<yielded_type>;

public:
    /// What next() and its like return: std::optional<Out>, empty when the generator has finished; for Out = T& a T*,
    /// null then; for void a bool, false then.
    using taken = typename detail::taken<Out>::type;

    /// The body's side, passed to it by reference. To be used in the body only, as deep in its calls as you like.
    class yielder {
    public:
        /// What yield() returns: what send() brought, or nullopt after next(); void if nothing can be sent.
        using sent_type = std::conditional_t<takes_values, std::optional<detail::or_nothing<In>>, void>;

        /// Hands `object` to the consumer and **switches** to it, until the generator is resumed. Throws what was given
        /// to throw_into; fiber_exit when the generator is closed or destroyed; std::logic_error in another fiber or
        /// greenlet than the body's.
        sent_type yield(yielded_type object) requires(!yields_void) { return exchange(std::addressof(object)); }
        /// The same where there is nothing to hand over.
        sent_type yield() requires(yields_void) { return exchange(this); }

        yielder(yielder const&) = delete;
        yielder& operator=(yielder const&) = delete;

    private:
        friend generator;
        template <class, class>
        friend struct detail::generator_body;
        explicit yielder(detail::generator_context& self) noexcept : self_(self) {}

        sent_type exchange(void const* object) {
            [[maybe_unused]] void* const sent = self_.yield(object);
            if constexpr (takes_values) return sent ? sent_type(std::move(*static_cast<In*>(sent))) : sent_type();
        }

        detail::generator_context& self_;
    };

    /// Single pass: all iterators of a generator are at the same place, that of the last increment.
    class iterator {
    public:
        using iterator_concept = std::input_iterator_tag;     ///< single pass
        using value_type = std::remove_cvref_t<yielded_type>; ///< what is yielded
        using difference_type = std::ptrdiff_t;               ///< for the standard library

        /// What the body holds out, not a copy. The body's own until it is resumed.
        held_type& operator*() const noexcept { return held(self_->yielded); }
        /// Resumes the body, as next() does, and throws as that does.
        iterator& operator++() {
            self_->resume();
            return *this;
        }
        /// The same; there is no former place to return.
        void operator++(int) { ++*this; }
        /// The body has ended.
        friend bool operator==(iterator const& one, std::default_sentinel_t) noexcept { return !one.self_->yielded; }

    private:
        friend generator;
        explicit iterator(detail::generator_context& self) noexcept : self_(&self) {}
        detail::generator_context* self_;
    };

    /// Refers to nothing, as one that was moved from: can be assigned to, destroyed, and asked by operator bool.
    generator() noexcept = default;

    /// A generator of what `body(yielder&)` yields. The body begins to run when the first value is asked for;
    /// returning, it finishes the generator. Its stack has `stack_size` bytes, or default_stack_size(). Throws what
    /// acquire_stack throws, and std::system_error(EINVAL) if `body` takes more than half of the stack.
    template <detail::body_of<generator> Body>
    explicit generator(Body&& body, std::size_t stack_size = 0) {
        static_assert(std::is_void_v<std::invoke_result_t<std::decay_t<Body>&, yielder&>>,
                      "a generator's body returns nothing: leave a result in a variable that it captures");
        using function = detail::generator_body<std::decay_t<Body>, yielder>;
        using made = detail::greenlet_of<function, detail::generator_context>;
        self_ = &detail::make_greenlet<made>(function{std::forward<Body>(body)}, stack_size);
    }

    /// Takes over the generator, also in the middle; `other` refers to nothing then.
    generator(generator&& other) noexcept : self_(std::exchange(other.self_, nullptr)) {}
    /// The same; the generator that it was goes as when it is destroyed.
    generator& operator=(generator other) noexcept {
        std::swap(self_, other.self_);
        return *this;
    }

    /// Like close(), except that what the body throws, or that it yields again, is reported on stderr. If the body is
    /// just running, or waits, fiber_exit is thrown at its next yield. On another thread than the maker's the body
    /// stays as it is, for good.
    ~generator() {
        if (self_) self_->abandon();
    }

    /// Resumes the body until it yields, and returns what it yielded; nothing if it has finished. **Switches**, and
    /// waits as long as the body waits. Throws what leaves the body, once: then the generator has finished. Throws
    /// std::logic_error if the body runs or waits already for another next(), of whatever fiber, or if this is not the
    /// thread that made it. Python: next(g), where StopIteration says that it has finished.
    taken next() { return take(self_->resume()); }

    /// The same, and the yield where the body is held returns `value`. A generator that has not begun is held at none:
    /// std::logic_error; begin with next(). To one that has finished nothing is sent.
    taken send(detail::or_nothing<In> value) requires takes_values { return take(self_->send(std::addressof(value))); }

    /// The same, and `error` is thrown from the yield where the body is held. Comes out again from a generator that
    /// does not catch it, and from one that has finished or not begun; the latter has finished then.
    taken throw_into(std::exception_ptr error) { return take(self_->resume(std::move(error))); }
    /// The same with an exception that is made of `error`.
    template <other_than<std::exception_ptr> E>
    taken throw_into(E&& error) {
        return throw_into(std::make_exception_ptr(std::forward<E>(error)));
    }

    /// Ends the body by fiber_exit, thrown from the yield where it is held. **Switches.** Throws what else leaves the
    /// body, std::logic_error if it yields instead of ending, and what next() throws. Does nothing to one that has
    /// finished; the body of one that has not begun never runs.
    void close() { self_->close(); }

    /// The body has ended, by returning, by an exception or by close(); or nobody can resume it any more, because its
    /// consumer was switched to by hand while the body waited.
    bool finished() const noexcept { return self_->finished(); }

    /// The next value, resuming the body, and throwing, as next() does. Beginning again goes on, behind the value that
    /// was looked at last.
    iterator begin() requires(!yields_void) {
        self_->resume();
        return iterator(*self_);
    }
    /// Where the body has ended.
    std::default_sentinel_t end() const noexcept requires(!yields_void) { return {}; }

    /// It refers to a generator, finished or not.
    explicit operator bool() const noexcept { return self_ != nullptr; }

private:
    static held_type& held(void const* yielded) noexcept {
        return *const_cast<held_type*>(static_cast<std::add_const_t<held_type>*>(yielded));
    }

    // The generator may have gone by now, ended by its own body.
    static taken take(void const* yielded) {
        if constexpr (yields_void)
            return yielded != nullptr;
        else if constexpr (std::is_reference_v<Out>)
            return yielded ? &held(yielded) : nullptr;
        else
            return yielded ? taken(std::move(held(yielded))) : taken();
    }

    detail::generator_context* self_ = nullptr; // a counted reference
};

} // namespace coir
