// Fibers: functions that run concurrently on one thread, each on a stack of its own. spawn() makes one, fiber<T> is a
// counted handle to it, from which its result or its exception is fetched.
//
// A fiber runs on the thread that spawned it, and is joined on that thread. Handles may be copied and dropped on any
// thread. A fiber that nobody holds a handle to runs to its end all the same.
#pragma once

#include "fiber/context.h"
#include "fiber/greenlet.h"
#include "hub/deadline.h"
#include "hub/waiter.h"

#include <atomic>
#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <new>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace coir {

/// What spawn() can be told beside the function.
struct spawn_options {
    std::string name{};         ///< for reports; empty: "fiber-7"
    std::size_t stack_size = 0; ///< usable bytes, rounded up to a power of two; 0: default_stack_size()
};

namespace detail {

// The control block of a fiber. It has one reference for the handle that spawn returns and one for itself, until it
// has ended and nobody runs on its stack any more.
struct COIR_API task : context {
    wait_queue joiners;
    std::exception_ptr error;            // what it ended with
    std::atomic<bool> error_seen{false}; // someone asked: then it is theirs to report
    bool returned = false;               // it has a result; an ended one that has neither was ended by fiber_exit

    explicit task(stack where) : context(where, "fiber") { retain(); }

private:
    context& body() noexcept final;
    void unreferenced() noexcept final;
    virtual void run() = 0; // calls the function and keeps its result; destroys the function
    virtual void destroy() noexcept = 0;
};

template <class T>
struct task_with_result : task {
    using task::task;
    using stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
    std::optional<stored> result;
};

template <class T>
struct task_with_result<T&> : task {
    using task::task;
    T* result = nullptr;
};

template <class F, class... A>
struct task_of final : task_with_result<std::invoke_result_t<F, A...>> {
    using result_type = std::invoke_result_t<F, A...>;
    using call_type = std::tuple<F, A...>;

    template <class... From>
    explicit task_of(stack where, From&&... from)
        : task_with_result<result_type>(where), call(std::forward<From>(from)...) {
        this->prepare(reinterpret_cast<std::byte*>(this));
    }
    ~task_of() override {
        if (!called) call.~call_type();
    }

private:
    void run() override {
        struct end {
            task_of& self;
            ~end() { self.call.~call_type(); }
        } at_end{*this};
        called = true;
        auto invoke = [](F& function, A&... arguments) -> decltype(auto) {
            return std::invoke(std::move(function), std::move(arguments)...);
        };
        if constexpr (std::is_void_v<result_type>) {
            std::apply(invoke, call);
            this->result.emplace();
        } else if constexpr (std::is_reference_v<result_type>) {
            this->result = &std::apply(invoke, call);
        } else {
            this->result.emplace(std::apply(invoke, call));
        }
    }
    void destroy() noexcept override { destroy_in_place(*this); }

    bool called = false;
    union {
        call_type call; // alive until run() has returned
    };
};

/// Hands a new fiber to this thread's hub.
COIR_API void start(task& fresh, spawn_options&& options);

} // namespace detail

/// A handle to a fiber, whatever it returns.
class COIR_API any_fiber {
public:
    /// Refers to nothing.
    any_fiber() noexcept = default;
    any_fiber(any_fiber const& other) noexcept : task_(other.task_) {
        if (task_) task_->retain();
    }
    any_fiber(any_fiber&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
    any_fiber& operator=(any_fiber other) noexcept {
        std::swap(task_, other.task_);
        return *this;
    }
    ~any_fiber() {
        if (task_) task_->release();
    }

    /// **Parks.** Until the fiber has ended, however, or `until` has passed; true if it has ended. The fiber's own
    /// exception stays with it. Throws what the caller is killed with, would_block_forever, and std::logic_error if the
    /// fiber belongs to another thread or is the caller.
    bool join(deadline until = {}) const;

    /// It has ended, by returning or by an exception. Any thread may ask, its own gets a current answer.
    bool ready() const noexcept { return task_->ended(); }
    /// It has ended by returning, or by fiber_exit.
    bool successful() const noexcept { return ready() && !task_->error; }
    /// What it ended with; null if it returned or has not ended.
    std::exception_ptr exception() const noexcept {
        if (!ready()) return nullptr;
        task_->error_seen.store(true, std::memory_order_relaxed);
        return task_->error;
    }

    /// The name it was given, or "fiber-7". Allocates.
    std::string name() const { return task_->name(); }
    std::uint64_t id() const noexcept { return task_->id; }

    explicit operator bool() const noexcept { return task_ != nullptr; }
    bool operator==(any_fiber const& other) const noexcept = default;

protected:
    explicit any_fiber(detail::task& adopted) noexcept : task_(&adopted) {} // takes over a reference

    void join_for_result(deadline until) const;

    detail::task* task_ = nullptr;
};

/// A handle to a fiber whose function returns T.
template <class T>
class fiber : public any_fiber {
public:
    fiber() noexcept = default;

    /// **Parks.** The fiber's result, which stays in it; from an rvalue handle, as in `spawn(f).get()`, the result is
    /// moved out. Throws what the fiber's function threw, fiber_exit if it was ended by that, timed_out after `until`,
    /// and what join throws.
    std::add_lvalue_reference_t<T> get(deadline until = {}) const& {
        this->join_for_result(until);
        if constexpr (!std::is_void_v<T>) return *block().result;
    }
    T get(deadline until = {}) && requires(std::is_object_v<T>) {
        this->join_for_result(until);
        return std::move(*block().result);
    }

private:
    template <class F, class... A>
    friend auto spawn(spawn_options options, F&& function, A&&... arguments);

    using any_fiber::any_fiber;
    auto& block() const noexcept { return static_cast<detail::task_with_result<T>&>(*task_); }
};

/// get() was given a deadline, and it passed.
class COIR_API timed_out : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A fiber that will run `function(arguments...)` as soon as the caller parks, after those spawned or woken before.
/// Function and arguments are moved or copied to the fiber's stack and destroyed when the function has returned.
/// Throws what acquire_stack and hub::current throw. Any thread; the fiber stays on it.
template <class F, class... A>
auto spawn(spawn_options options, F&& function, A&&... arguments) {
    using made = detail::task_of<std::decay_t<F>, std::decay_t<A>...>;
    stack const where = acquire_stack(options.stack_size);
    made* block;
    try {
        block = new (place_on_top(where, sizeof(made)))
            made(where, std::forward<F>(function), std::forward<A>(arguments)...);
    } catch (...) {
        release_stack(where);
        throw;
    }
    detail::start(*block, std::move(options));
    return fiber<typename made::result_type>(*block);
}

template <class F, class... A>
requires std::invocable<std::decay_t<F>, std::decay_t<A>...>
auto spawn(F&& function, A&&... arguments) {
    return spawn(spawn_options{}, std::forward<F>(function), std::forward<A>(arguments)...);
}

/// A range of handles to fibers.
template <class Range>
concept fiber_range =
    std::ranges::input_range<Range> && std::convertible_to<std::ranges::range_reference_t<Range>, any_fiber const&>;

/// **Parks.** Until all of them have ended; what they ended with stays with them. Throws what join throws.
inline void joinall(std::initializer_list<any_fiber> all) {
    for (any_fiber const& each : all) each.join();
}
template <fiber_range Fibers>
void joinall(Fibers&& all) {
    for (any_fiber const& each : all) each.join();
}

} // namespace coir
