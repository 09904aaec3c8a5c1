// A result that comes later: set once by whoever has it, and waited for by any number. gevent's AsyncResult; unlike
// std::future it is not moved out and waits in fibers.
//
// It must outlive those who wait, and may be destroyed by one of them as soon as its wait has returned. Any thread.
#pragma once

#include "hub/fiber.h"
#include "hub/select_case.h"
#include "hub/source.h"
#include "hub/timeout.h"

#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

namespace coir {

/// A result, or an exception, that is set once and waited for by any number. T may be void. Any thread. gevent:
/// AsyncResult.
template <class T>
class async_result : public linkable<async_result<T>> {
public:
    /// Sets the result and wakes all who wait, in the order in which they came. Throws std::logic_error if there is
    /// one, or an exception, already: unlike gevent's, a result does not change under those who have seen it. It is
    /// made of `value` while others are kept out, so its constructor must not wait; what that throws is thrown, and
    /// nothing is set.
    template <class... A>
    void set(A&&... value) {
        std::lock_guard held{this->lock};
        refuse_second();
        value_.emplace(std::forward<A>(value)...);
        this->waiting.notify_all();
    }
    /// The same for an exception, which get() throws. Throws std::invalid_argument if it is null.
    void set_exception(std::exception_ptr error) {
        if (!error) throw std::invalid_argument("async_result: set to a null exception");
        std::lock_guard held{this->lock};
        refuse_second();
        error_ = std::move(error);
        this->waiting.notify_all();
    }

    /// **Parks** until it is set: the result, or throws the exception that was set; timed_out when `until` has passed
    /// first, what interrupts the caller, and would_block_forever.
    std::add_lvalue_reference_t<T> get(deadline until = {}) {
        if (!wait(until)) throw timed_out("get: the result has not come in time");
        if (error_) std::rethrow_exception(error_);
        if constexpr (!std::is_void_v<T>) return *value_;
    }

    /// **Parks** until it is set, true, or `until` has passed, false. Throws what interrupts the caller, and
    /// would_block_forever.
    bool wait(deadline until = {}) {
        std::unique_lock held{this->lock};
        return is_ready() || this->waiting.wait(held, until, "a result");
    }

    /// It holds a result or an exception.
    bool ready() const noexcept {
        std::lock_guard held{this->lock};
        return is_ready();
    }
    /// It holds a result.
    bool successful() const noexcept {
        std::lock_guard held{this->lock};
        return value_.has_value();
    }
    /// The result; null if it holds none. What it points to does not change any more.
    std::add_pointer_t<T> value() noexcept requires(!std::is_void_v<T>) {
        std::lock_guard held{this->lock};
        return value_ ? &*value_ : nullptr;
    }
    /// The exception that was set; null if it holds none.
    std::exception_ptr exception() const noexcept {
        std::lock_guard held{this->lock};
        return error_;
    }

    /// As a link, `f.link(std::ref(result))`: takes over what a fiber has ended with: a copy of its result, or its
    /// exception; fiber_exit if it was ended by that. Throws as set().
    void operator()(fiber<T> const& ended) {
        if (std::exception_ptr const error = ended.exception())
            set_exception(error);
        else if (!ended.returned())
            set_exception(std::make_exception_ptr(fiber_exit{}));
        else if constexpr (std::is_void_v<T>)
            set();
        else
            set(*ended.value());
    }

    /// For select(): it is set.
    source_case on_set() noexcept { return source_case(*this, "a result"); }

private:
    bool is_ready() const noexcept override { return value_.has_value() || error_; }
    void refuse_second() const {
        if (is_ready()) throw std::logic_error("async_result: set twice");
    }

    std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value_; // under the lock until set
    std::exception_ptr error_;
};

} // namespace coir
