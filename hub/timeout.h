// Timeouts over whatever a scope waits for, however deep: gevent's Timeout as a scoped object.
//
// A timeout belongs to the fiber that made it and ends with its scope. For that fiber only.
#pragma once

#include "hub/deadline.h"
#include "hub/interruption.h"
#include "hub/timer.h"

#include <concepts>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace coir {

class timeout;

/// A timeout has passed, or the deadline that get() was given. Deliberately no std::exception, as fiber_exit is none
/// and gevent's Timeout is no Exception: a called library that catches those does not swallow it. A value; any thread.
class COIR_API timed_out {
public:
    /// That of `of`; of none, if it is a deadline that has passed.
    explicit timed_out(std::string what, timeout const* of = nullptr) : what_(std::move(what)), of_(of) {}
    /// For people to read: "timed out after 5 s". Valid as long as this object.
    char const* what() const noexcept { return what_.c_str(); }

private:
    friend class timeout;
    std::string what_;
    timeout const* of_;
};

/// From here to the end of the scope the fiber's waits end at `until` at the latest: the one that it is in then, or the
/// next one, throws. Any number may be nested; each throws its own exception, once. So a timed_out that is caught may
/// be one of an outer scope:
///
///     coir::timeout limit{5s};
///     try {
///         fetch(url);
///     } catch (coir::timed_out const& late) {
///         if (!limit.raised(late)) throw; // an outer timeout
///         …
///     }
///
/// with_timeout() makes that distinction by itself. Nothing is allocated until the exception is thrown. C code under
/// the shim is not unwound: its calls fail with ECANCELED, and the exception is thrown by the next wait of C++ code, or
/// by interruption_point(); if the scope ends before, expired() tells. In a child that the fiber forks the timeout goes
/// on. For the fiber that made it.
class COIR_API timeout {
public:
    /// Begins; with a deadline of never it does nothing. Throws std::system_error if no hub can be made, and
    /// std::logic_error in a hub's own callback.
    explicit timeout(deadline until) { start(until); }

    /// The same, and what the wait throws is `error`, each time the same, instead of timed_out.
    timeout(deadline until, std::exception_ptr error) {
        alarm_.error = std::move(error);
        start(until);
    }

    timeout(timeout const&) = delete;
    timeout& operator=(timeout const&) = delete;
    /// As cancel().
    ~timeout() { cancel(); }

    /// It will pass: it has not yet, was not cancelled, and has a deadline.
    bool pending() const noexcept { return alarm_.set(); }

    /// It has passed since it was started last; the exception was thrown, or waits for the next wait, unless cancel()
    /// came between.
    bool expired() const noexcept { return expired_; }

    /// It was this one that threw `late`.
    bool raised(timed_out const& late) const noexcept { return late.of_ == this; }

    /// It will throw no more, not even if it has passed already and no wait has thrown that yet.
    void cancel() noexcept;

    /// Begins anew, with another deadline, expired or not. Throws as the constructor.
    void restart(deadline until) {
        cancel();
        start(until);
    }

private:
    struct alarm : timer, interruption {
        explicit alarm(timeout& of) noexcept;
        std::exception_ptr take() noexcept override;
        timeout& whole;
        std::exception_ptr error; // thrown in place of timed_out
    };

    void start(deadline until);

    alarm alarm_{*this};
    context* fiber_ = nullptr;
    std::int64_t limit_ = 0; // ns
    bool expired_ = false;
};

/// Calls `function(arguments...)` under a timeout: its result, or nothing if this timeout ended it. A function that
/// returns nothing gives true or false. **Parks** when the function does. Other exceptions pass through, those of outer
/// timeouts too; throws what timeout's constructor throws. Any thread.
template <class F, class... A>
requires std::invocable<F, A...>
auto with_timeout(deadline until, F&& function, A&&... arguments) {
    using result_type = std::invoke_result_t<F, A...>;
    timeout limit{until};
    try {
        if constexpr (std::is_void_v<result_type>) {
            std::invoke(std::forward<F>(function), std::forward<A>(arguments)...);
            return true;
        } else {
            return std::optional<std::decay_t<result_type>>(
                std::invoke(std::forward<F>(function), std::forward<A>(arguments)...));
        }
    } catch (timed_out const& late) {
        if (!limit.raised(late)) throw;
    }
    if constexpr (std::is_void_v<result_type>)
        return false;
    else
        return std::optional<std::decay_t<result_type>>();
}

} // namespace coir
