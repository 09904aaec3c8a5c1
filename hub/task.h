// The control block of a fiber, at the top of its stack, with its function, arguments and result. Internal.
#pragma once

#include "fiber/context.h"
#include "fiber/greenlet.h"
#include "hub/deadline.h"
#include "hub/source.h"

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace coir {

struct stack_trace;

/// What spawn() can be told beside the function.
struct spawn_options {
    std::string name{};         ///< for reports; empty: "fiber-7"
    std::size_t stack_size = 0; ///< usable bytes, rounded up to a power of two; 0: default_stack_size()
};

/// @cond internal
namespace detail {

struct start_timer;
struct notifier;
struct leftover;

// The control block of a fiber. It has a reference for the handle that spawn returns, and from its start one for
// itself, until it has ended and nobody runs on its stack any more.
struct COIR_API task : context, source {
    std::atomic<bool> over{false};          // it has its outcome: nothing of the following changes any more
    std::atomic<bool> error_seen{false};    // someone asked: then it is theirs to report
    std::atomic<bool> started{false};       // to be given to the hub, at once or for later, or ended without; only once
    bool begun = false;                     // its function was called
    bool result_runs_code = false;          // when it is destroyed
    bool returned = false;                  // it has a result; one that is over without it or an error had fiber_exit
    std::exception_ptr error;               // what it ended with …
    std::unique_ptr<stack_trace> thrown_at; // … and where that was thrown
    std::unique_ptr<start_timer> later;     // until it is started by time
    std::unique_ptr<notifier> links;        // once it was linked

    explicit task(stack where);
    ~task() override;

    bool is_ready() const noexcept final { return over.load(std::memory_order_acquire); }
    void retain_source() noexcept final { retain(); }
    void release_source() noexcept final { release(); }

    /// Hands it to the hub of its thread, which is this one: at once, or when `when` has come.
    void start();
    void start_later(deadline when);
    /// One that was not started belongs to that thread from now on.
    void go_to(std::uint64_t thread) noexcept;
    /// The hub that its thread ends with ends it: as kill, without waiting.
    void end_with_thread();
    /// Ends it with `why` if it has not begun; whether it is over now, or about to be. For its own thread.
    bool end_unbegun(std::exception_ptr const& why) noexcept;
    /// The same if it was not started; whether it was not. Any thread.
    bool end_unstarted(std::exception_ptr const& why) noexcept;

private:
    friend struct notifier;
    friend struct leftover;
    context& body() noexcept final;
    void unreferenced() noexcept final;
    void unreferenced_on_leaving() noexcept final;
    // What may wait when it goes.
    bool has_outcome_to_drop() const noexcept { return error || (result_runs_code && returned); }
    bool nobody_can_ask() noexcept;
    [[gnu::noinline]] void drop_outcome() noexcept;
    [[gnu::noinline]] void unreferenced_with_outcome() noexcept;
    task* undertaker() noexcept;
    void finish() noexcept;
    void never_begin(std::exception_ptr const& why) noexcept;
    virtual void run() = 0;                // calls the function and keeps its result; destroys the function
    virtual void drop_call() noexcept = 0; // destroys the function without calling it
    virtual void drop_result() noexcept = 0;
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
        if constexpr (std::is_object_v<result_type>)
            this->result_runs_code = !std::is_trivially_destructible_v<result_type>;
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
        invoke(std::index_sequence_for<A...>{});
    }
    template <std::size_t... I>
    void invoke(std::index_sequence<I...>) {
        F& function = std::get<0>(call);
        if constexpr (std::is_void_v<result_type>) {
            std::invoke(std::move(function), std::get<I + 1>(std::move(call))...);
            this->result.emplace();
        } else if constexpr (std::is_reference_v<result_type>) {
            this->result = &std::invoke(std::move(function), std::get<I + 1>(std::move(call))...);
        } else {
            this->result.emplace(std::invoke(std::move(function), std::get<I + 1>(std::move(call))...));
        }
    }
    void drop_call() noexcept override {
        if (!std::exchange(called, true)) call.~call_type();
    }
    void drop_result() noexcept override {
        if constexpr (std::is_object_v<result_type>) this->result.reset();
    }
    void destroy() noexcept override { destroy_in_place(*this); }

    bool called = false;
    union {
        call_type call; // alive until run() has returned, or it is certain that it will not be called
    };
};

/// A fiber that nobody has started, on a stack of its own.
template <class F, class... A>
auto& make_task(spawn_options options, F&& function, A&&... arguments) {
    using made = task_of<std::decay_t<F>, std::decay_t<A>...>;
    stack const where = acquire_stack(options.stack_size);
    made* block;
    try {
        block = new (place_on_top(where, sizeof(made)))
            made(where, std::forward<F>(function), std::forward<A>(arguments)...);
        if (!options.name.empty()) block->given_name = std::make_unique<std::string>(std::move(options.name));
    } catch (...) {
        release_stack(where);
        throw;
    }
    return *block;
}

/// A callback that waits among those who wait for the end of a fiber.
struct COIR_API fiber_link : waiter {
    virtual ~fiber_link() = default;
    virtual void call(task& ended) = 0; // on the hub; may throw
    link_id id{};
};

COIR_API link_id add_link(task& to, std::unique_ptr<fiber_link> link);
/// Runs `function` at once, on a stack of its own, as a fiber. In a callback of the hub.
COIR_API void run_now(task& fresh);

} // namespace detail
/// @endcond

} // namespace coir
