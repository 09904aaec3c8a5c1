// Calls that cannot be tried without blocking, made by worker threads while the fiber waits.
//
// The workers are the process's: made when first needed, up to a limit, shared by all hubs (hub/worker_pool.h).
#pragma once

#include "fiber/export.h"
#include "hub/event.h"

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace coir {

/// How many offloaded calls may be under way at once: 32, or the environment's COIR_OFFLOAD_THREADS (1 to 1024;
/// anything else is said on stderr, once, and counts as 32). More wait their turn, first in, first out. Any thread.
COIR_API std::size_t offload_limit();

/// @cond internal

class worker_pool;
/// The pool that offload() uses.
COIR_API worker_pool& shared_workers();

namespace detail {
/// **Parks.** Runs `call(argument)` on a worker thread. errno goes out and comes back with it.
COIR_API void offload(void (*call)(void* argument), void* argument, char const* what);
/// The same on one of `workers`.
COIR_API void offload(worker_pool& workers, void (*call)(void* argument), void* argument, char const* what);
} // namespace detail

/// @endcond

/// **Parks.** Calls `function` on a worker thread and returns what it returns, or throws what it throws; errno as it
/// left it. `what` is a literal, for reports. The function may use the caller's variables, so the caller stays until it
/// has returned: a kill or a timeout that comes meanwhile is thrown by the caller's next wait. What is to be left at
/// once is spawned in a thread_pool, with copies of what it uses. Throws std::system_error if no worker can be started.
/// Any thread.
template <class F>
std::invoke_result_t<F&> offload(F&& function, char const* what = "an offloaded call") {
    using result_type = std::invoke_result_t<F&>;
    static_assert(!std::is_reference_v<result_type>, "return a pointer instead");
    struct call {
        F& function;
        std::optional<std::conditional_t<std::is_void_v<result_type>, std::monostate, result_type>> result{};
        std::exception_ptr error{};
    } call{function};
    detail::offload(
        [](void* argument) {
            auto& self = *static_cast<struct call*>(argument);
            try {
                if constexpr (std::is_void_v<result_type>)
                    self.function();
                else
                    self.result.emplace(self.function());
            } catch (...) {
                self.error = std::current_exception();
            }
        },
        &call, what);
    if (call.error) std::rethrow_exception(call.error);
    if constexpr (!std::is_void_v<result_type>) return std::move(*call.result);
}

/// @cond internal
namespace detail {

// A call that owns what it uses, so that its caller may leave. Counted: by the caller and by the worker.
struct COIR_API owned_call {
    event done;
    int error = 0; // errno, in and out
    std::atomic<int> references{2};

    owned_call() = default;
    virtual ~owned_call() = default;
    virtual void call() = 0;
    void release() noexcept {
        if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }
};

/// **Parks.** False if the caller was interrupted before the call was done.
COIR_API bool run_on_worker(owned_call& what, char const* name);

} // namespace detail
/// @endcond

/// **Parks.** As offload(), with a function that owns what it uses and throws nothing: if something interrupts the
/// caller meanwhile, nothing is returned, what interrupts stays for the next wait, and the call goes on alone. For
/// hooks, whose callers are C. Throws std::system_error if no worker can be started. Any thread.
template <class F>
std::optional<std::invoke_result_t<F&>> offload_or_leave(F function, char const* what) {
    using result_type = std::invoke_result_t<F&>;
    struct made final : detail::owned_call {
        F function;
        std::optional<result_type> result;
        explicit made(F&& from) : function(std::move(from)) {}
        void call() override { result.emplace(function()); }
    };
    struct held {
        made& call;
        ~held() { call.release(); }
    } const one{*new made(std::move(function))};
    if (!detail::run_on_worker(one.call, what)) return std::nullopt;
    return std::move(one.call.result);
}

} // namespace coir
