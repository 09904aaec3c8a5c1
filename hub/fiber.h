// Fibers: functions that run concurrently on one thread, each on a stack of its own. spawn() makes one, fiber<T> is a
// counted handle to it, from which its result or its exception is fetched.
//
// A fiber runs on the thread that spawned it. Handles may be copied, dropped, joined, linked and killed on any thread.
// A fiber that nobody holds a handle to runs to its end all the same.
#pragma once

#include "fiber/context.h"
#include "fiber/greenlet.h"
#include "hub/deadline.h"
#include "hub/hub.h"
#include "hub/select_case.h"
#include "hub/source.h"
#include "hub/task.h"
#include "hub/timeout.h"

#include <atomic>
#include <concepts>
#include <functional>
#include <initializer_list>
#include <memory>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace coir {

/// How a fiber is killed.
struct kill_options {
    std::exception_ptr error{}; ///< what is thrown where it waits; null: fiber_exit
    bool block = true;          ///< wait until it has ended …
    deadline until{};           ///< … but not longer
};

/// @cond internal
namespace detail {

/// Which ends a link wants to know of.
enum class which_ends { all, successes, failures };

} // namespace detail
/// @endcond

template <class T>
class fiber;

/// A handle to a fiber, whatever it returns. Counted: the fiber's stack and its outcome are kept until the last handle
/// goes. What nobody can fetch any more is destroyed then, an exception that nobody has asked for is reported; if there
/// is no handle when the fiber ends, it does both itself, before it has ended, and may wait while it does. Any thread,
/// unless a function says otherwise.
class COIR_API any_fiber {
public:
    /// Refers to nothing. Nothing but the comparison, the test by bool and assignment is defined then.
    any_fiber() noexcept = default;
    /// Another handle to the same.
    any_fiber(any_fiber const& other) noexcept : task_(other.task_) {
        if (task_) task_->retain();
    }
    /// Takes over the handle; `other` refers to nothing then.
    any_fiber(any_fiber&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
    /// Refers to what `other` refers to from now on.
    any_fiber& operator=(any_fiber other) noexcept {
        std::swap(task_, other.task_);
        return *this;
    }
    /// The fiber goes on. The last handle to one that has ended destroys its result, reports an exception that nobody
    /// has asked for, and frees its stack; if it goes in a hub's own callback, a fiber is made for that.
    ~any_fiber() {
        if (task_) task_->release();
    }

    /// Hands a fiber that was made, not spawned, to the hub: it runs after those that are ready now. Does nothing if it
    /// was started before or has been killed. On the thread that made it. Throws what hub::current throws.
    void start() const { task_->start(); }
    /// The same when `when` has come; until then it counts as started. Allocates.
    void start_later(deadline when) const { task_->start_later(when); }

    /// **Parks.** Until the fiber has ended, however, or `until` has passed; true if it has ended. The fiber's own
    /// exception stays with it. Throws what interrupts the caller, would_block_forever, and std::logic_error if the
    /// fiber is the caller. Any thread.
    bool join(deadline until = {}) const;

    /// **Parks** unless told not to block. Throws `options.error`, or fiber_exit, where the fiber waits, whatever it
    /// waits for, when those that are ready to run have run; one that has not begun never runs. Returns when the fiber
    /// has ended, true, or `options.until` has passed: it may catch the exception and go on. One that does not wait
    /// gets it where it waits by then, or next; hooked calls of C code under the shim fail with ECANCELED. Throws what
    /// interrupts the caller; in a fiber that kills itself, the error. Any thread.
    bool kill(kill_options options = {}) const;

    /// It has ended, by returning or by an exception, or been killed before it began. Any thread.
    bool ready() const noexcept { return task_->is_ready(); }
    /// The same.
    bool dead() const noexcept { return ready(); }
    /// It was started and has not ended. Any thread. gevent: bool(greenlet).
    bool started() const noexcept { return task_->started && !ready(); }
    /// It has ended by returning. Any thread.
    bool returned() const noexcept { return ready() && task_->returned; }
    /// It has ended by returning, or by fiber_exit. Any thread.
    bool successful() const noexcept { return ready() && !task_->error; }
    /// What it ended with, which counts as handled from now on; null if it returned, was ended by fiber_exit or has not
    /// ended. Any thread.
    std::exception_ptr exception() const noexcept {
        if (!ready()) return nullptr;
        task_->error_seen.store(true, std::memory_order_relaxed);
        return task_->error;
    }

    /// For select(): it has ended. The handle must outlive the case. Any thread.
    source_case on_end() const noexcept { return source_case(*task_, "the end of a fiber"); }

    /// Takes back a callback that has not been called yet; does nothing about others. Any thread.
    void unlink(link_id which) const noexcept;

    /// The name it was given, or "fiber-7". Allocates. Any thread, but not while set_name() is called.
    std::string name() const { return task_->name(); }
    /// Gives it another name. On its own thread. Allocates.
    void set_name(std::string name) const { task_->given_name = std::make_unique<std::string>(std::move(name)); }
    /// Its number in the process, which is never used again. Any thread.
    std::uint64_t id() const noexcept { return task_->id; }

    /// It is the one that runs on this thread. Any thread.
    bool is_current() const noexcept { return task_ == this_thread.current; }

    /// It refers to a fiber.
    explicit operator bool() const noexcept { return task_ != nullptr; }
    /// Both refer to the same fiber, or both to nothing.
    bool operator==(any_fiber const& other) const noexcept = default;

    /// @cond internal
    // For the rest of hub/.
    detail::task& control_block() const noexcept { return *task_; }

protected:
    explicit any_fiber(detail::task& adopted) noexcept : task_(&adopted) {} // takes over a reference

    void join_for_result(deadline until) const;

    detail::task* task_ = nullptr;
    /// @endcond
};

/// A handle to a fiber whose function returns T. Any thread, unless a function says otherwise.
template <class T>
class fiber : public any_fiber {
public:
    /// Refers to nothing.
    fiber() noexcept = default;

    /// A fiber that will run `function(arguments...)` when it is started, on this thread. Throws what spawn() throws.
    template <class F, class... A>
    requires std::invocable<std::decay_t<F>, std::decay_t<A>...>
    explicit fiber(F&& function, A&&... arguments)
        : any_fiber(detail::make_task({}, std::forward<F>(function), std::forward<A>(arguments)...)) {}
    /// The same with a name, or a stack of another size.
    template <class F, class... A>
    explicit fiber(spawn_options options, F&& function, A&&... arguments)
        : any_fiber(detail::make_task(std::move(options), std::forward<F>(function), std::forward<A>(arguments)...)) {}

    /// **Parks.** The fiber's result, which stays in it; from an rvalue handle, as in `spawn(f).get()`, the result is
    /// moved out. Throws what the fiber's function threw, fiber_exit if it was ended by that, timed_out after `until`,
    /// and what join throws. Any thread.
    std::add_lvalue_reference_t<T> get(deadline until = {}) const& {
        this->join_for_result(until);
        if constexpr (!std::is_void_v<T>) return *block().result;
    }
    /// **Parks.** The same, moved out.
    T get(deadline until = {}) && requires(std::is_object_v<T>) {
        this->join_for_result(until);
        return std::move(*block().result);
    }

    /// The result, which lives as long as a handle does; null if it has none, or none yet. Any thread.
    std::remove_reference_t<T>* value() const noexcept requires(!std::is_void_v<T>) {
        if (!this->ready() || !this->task_->returned) return nullptr;
        return &*block().result;
    }

    /// Calls `function(fiber<T> const&)` when the fiber has ended, in the order of linking, also if it has ended
    /// already; once. The function runs on the fiber's thread (when linked after the end, on the linking one), in a
    /// fiber of its own that begins at once; it may wait. What it throws is reported as an unhandled exception. Throws,
    /// when linked after the end, what hub::current throws. Allocates. Any thread.
    template <class F>
    link_id link(F&& function) const {
        return add_link<detail::which_ends::all, true>(std::forward<F>(function));
    }
    /// The same if the fiber returned or was ended by fiber_exit. Any thread.
    template <class F>
    link_id link_value(F&& function) const {
        return add_link<detail::which_ends::successes, true>(std::forward<F>(function));
    }
    /// The same if the fiber was ended by an exception, which then counts as handled. Any thread.
    template <class F>
    link_id link_exception(F&& function) const {
        return add_link<detail::which_ends::failures, true>(std::forward<F>(function));
    }
    /// Like link, but the function is called by the hub itself, and must not wait. Any thread.
    template <class F>
    link_id rawlink(F&& function) const {
        return add_link<detail::which_ends::all, false>(std::forward<F>(function));
    }

private:
    template <class F, class... A>
    friend auto spawn(spawn_options options, F&& function, A&&... arguments);
    template <class F, class... A>
    friend auto spawn_on(hub& where, spawn_options options, F&& function, A&&... arguments);

    using any_fiber::any_fiber;
    auto& block() const noexcept { return static_cast<detail::task_with_result<T>&>(*task_); }

    template <detail::which_ends Which, bool OwnFiber, class F>
    link_id add_link(F&& function) const {
        struct link final : detail::fiber_link {
            std::decay_t<F> function;
            explicit link(F&& from) : function(std::forward<F>(from)) {}
            void call(detail::task& ended) override {
                if (Which != detail::which_ends::all && bool(ended.error) != (Which == detail::which_ends::failures))
                    return;
                if (Which == detail::which_ends::failures) ended.error_seen = true;
                ended.retain();
                fiber const handle(ended);
                if constexpr (OwnFiber)
                    detail::run_now(detail::make_task({}, std::move(function), handle));
                else
                    function(handle);
            }
        };
        return detail::add_link(*this->task_, std::make_unique<link>(std::forward<F>(function)));
    }
};

/// @cond internal
template <class F, class... A>
fiber(F, A...) -> fiber<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>>;
template <class F, class... A>
fiber(spawn_options, F, A...) -> fiber<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>>;
/// @endcond

/// A fiber that will run `function(arguments...)` as soon as the caller parks, after those spawned or woken before.
/// Function and arguments are moved or copied to the fiber's stack and destroyed when the function has returned. So is
/// its result if no handle is left by then; it is destroyed by the fiber itself, which may wait while it does.
/// Throws what acquire_stack and hub::current throw, and std::system_error(EINVAL) if function and arguments take more
/// than half of the stack. Any thread; the fiber stays on it. gevent: spawn.
template <class F, class... A>
auto spawn(spawn_options options, F&& function, A&&... arguments) {
    auto& made = detail::make_task(std::move(options), std::forward<F>(function), std::forward<A>(arguments)...);
    fiber<typename std::decay_t<decltype(made)>::result_type> handle(made);
    made.start();
    return handle;
}

/// The same without options.
template <class F, class... A>
requires std::invocable<std::decay_t<F>, std::decay_t<A>...>
auto spawn(F&& function, A&&... arguments) {
    return spawn(spawn_options{}, std::forward<F>(function), std::forward<A>(arguments)...);
}

/// The same, begun when `when` has come. Any thread; the fiber stays on it. gevent: spawn_later.
template <class F, class... A>
auto spawn_later(deadline when, spawn_options options, F&& function, A&&... arguments) {
    fiber<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>> made(std::move(options), std::forward<F>(function),
                                                                          std::forward<A>(arguments)...);
    made.start_later(when);
    return made;
}
/// The same without options.
template <class F, class... A>
requires std::invocable<std::decay_t<F>, std::decay_t<A>...>
auto spawn_later(deadline when, F&& function, A&&... arguments) {
    return spawn_later(when, spawn_options{}, std::forward<F>(function), std::forward<A>(arguments)...);
}

/// As spawn(), on the thread of another hub, which must outlive the call. The fiber begins in that hub's next turn.
/// Throws what acquire_stack throws, and std::system_error(EINVAL) as spawn() does. Any thread. Allocates.
template <class F, class... A>
auto spawn_on(hub& where, spawn_options options, F&& function, A&&... arguments) {
    auto& made = detail::make_task(std::move(options), std::forward<F>(function), std::forward<A>(arguments)...);
    fiber<typename std::decay_t<decltype(made)>::result_type> handle(made);
    made.go_to(where.thread_number());
    where.post([handle] { handle.start(); });
    return handle;
}
/// The same without options.
template <class F, class... A>
requires std::invocable<std::decay_t<F>, std::decay_t<A>...>
auto spawn_on(hub& where, F&& function, A&&... arguments) {
    return spawn_on(where, spawn_options{}, std::forward<F>(function), std::forward<A>(arguments)...);
}

/// **Parks** unless told not to block. `one.kill(options)`. Any thread. gevent: kill.
inline bool kill(any_fiber const& one, kill_options options = {}) { return one.kill(std::move(options)); }

/// A range of handles to fibers.
template <class Range>
concept fiber_range =
    std::ranges::input_range<Range> && std::convertible_to<std::ranges::range_reference_t<Range>, any_fiber const&>;

/// **Parks** unless told not to block. Throws `options.error`, or fiber_exit, in all of them, and waits for their ends
/// as any_fiber::kill does; true if all have ended. Throws what interrupts the caller; if the caller is one of them,
/// the error. Any thread. Allocates. gevent: killall.
COIR_API bool killall(std::vector<any_fiber> all, kill_options options = {});
/// The same for any range of handles.
template <fiber_range Fibers>
bool killall(Fibers const& all, kill_options options = {}) {
    return killall(std::vector<any_fiber>(std::ranges::begin(all), std::ranges::end(all)), std::move(options));
}

/// An exception that left a fiber and that nobody asked for, or one that left a callback.
struct unhandled_exception {
    std::string name;         ///< of the fiber, or "link of fiber-7"
    std::exception_ptr error; ///< what was thrown
    std::string where;        ///< the stack it was thrown on, a line per frame; may be empty
};

/// What is done with unhandled exceptions from now on, process-wide; an empty function: a report on stderr. Returns
/// what it was before. The function is called on the thread that found it out, when the last handle to the fiber goes,
/// or by the fiber itself before it ends if there is none; it must not wait, and what it throws ends the program. Any
/// thread. gevent: hub.handle_error.
COIR_API std::function<void(unhandled_exception const&)>
on_unhandled_exception(std::function<void(unhandled_exception const&)> hook);

/// @cond internal
/// Does that.
void report_unhandled(unhandled_exception const& what) noexcept;
/// @endcond

} // namespace coir
