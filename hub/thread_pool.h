// Thread pools: threads for code that cannot yield, such as long computations and calls that block without being
// hooked. Fibers wait for the results, and others run meanwhile.
//
// The function runs with copies of its arguments, so who waits for it may leave at once, by a kill or a timeout: the
// call goes on, and its result is dropped. (offload() is for calls that use the caller's variables, and stays.) The
// threads block all signals; they have no hub unless the function makes one by waiting in it. Any thread.
#pragma once

#include "hub/async_result.h"
#include "hub/deadline.h"
#include "hub/imap.h"
#include "hub/places.h"
#include "hub/wait.h"
#include "hub/worker_pool.h"

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace coir {

/// @cond internal
namespace detail {

// The result of a call in a thread pool. Counted: by its handles, by the call, and by those who wait.
template <class T>
struct pooled_result final : async_result<T> {
    std::atomic<std::size_t> references{1};
    std::atomic<bool> error_seen{false};

    void retain_source() noexcept override { references.fetch_add(1, std::memory_order_relaxed); }
    void release_source() noexcept override {
        if (references.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
        if (!error_seen) report_lost(this->exception());
        delete this;
    }
};

// The threads of a pool and how much they have to do. Shared by the pool and its calls, so that either may go first.
class COIR_API pool_threads : public std::enable_shared_from_this<pool_threads> {
public:
    explicit pool_threads(std::size_t maxsize); // its own
    struct shared_with_offload {};
    explicit pool_threads(shared_with_offload); // those of offload()
    ~pool_threads();

    /// **Parks** while there are enough unfinished calls for the threads. Then `call()`, which must not throw, is
    /// called by one of them.
    template <class Call>
    void submit(Call&& call) {
        bool const has_place = begin();
        std::unique_ptr<queued> next;
        try {
            next = std::make_unique<queued_call<std::decay_t<Call>>>(std::forward<Call>(call));
            next->of = shared_from_this();
            next->has_place = has_place;
            workers().submit(*next);
        } catch (...) {
            end(has_place);
            throw;
        }
        next.release();
    }

    bool join(deadline until);
    worker_pool& workers() const;
    std::size_t unfinished() const noexcept;
    /// In a forked child: the same without calls, and without the threads, which were the parent's.
    std::shared_ptr<pool_threads> renewed() const;
    void forget() noexcept;

private:
    struct COIR_API queued : job {
        std::shared_ptr<pool_threads> of;
        bool has_place = false;
        queued() : job{&work} {}
        virtual ~queued() = default;
        virtual void call() noexcept = 0;
        static void work(job& self) noexcept; // on a thread of the pool
    };
    template <class Call>
    struct queued_call final : queued {
        Call function;
        template <class From>
        explicit queued_call(From&& from) : function(std::forward<From>(from)) {}
        void call() noexcept override { function(); }
    };

    bool begin();
    void end(bool had_place) noexcept;

    worker_pool* own_ = nullptr; // null: those of offload()
    thread_lock mutable lock_;   // of what follows
    places places_;
    std::size_t unfinished_ = 0;
    wait_queue joiners_;
};

// How map and imap make a call on a thread.
struct call_on_thread {
    std::shared_ptr<pool_threads> on;

    template <class Call, class T>
    void operator()(Call&& call, std::shared_ptr<arrivals<T>> const& to, typename arrivals<T>::place where) const {
        on->submit([made = std::optional<std::decay_t<Call>>(std::forward<Call>(call)), to, where]() mutable noexcept {
            try {
                if constexpr (std::is_void_v<T>) {
                    (*made)();
                    where->value.emplace();
                } else {
                    where->value.emplace((*made)());
                }
            } catch (...) {
                where->error = std::current_exception();
            }
            made.reset();
            to->arrived(where);
        });
    }
};

} // namespace detail
/// @endcond

/// A handle to what a call in a thread pool will return. May be copied, dropped and waited for on any thread. An
/// exception of the call that nobody asked for is reported as unhandled when the last handle goes.
template <class T>
class thread_result {
public:
    /// Refers to nothing. Nothing but the comparison, the test by bool and assignment is defined then.
    thread_result() noexcept = default;
    /// Another handle to the same.
    thread_result(thread_result const& other) noexcept : result_(other.result_) {
        if (result_) result_->retain_source();
    }
    /// The other refers to nothing then.
    thread_result(thread_result&& other) noexcept : result_(std::exchange(other.result_, nullptr)) {}
    /// Refers to the same from now on.
    thread_result& operator=(thread_result other) noexcept {
        std::swap(result_, other.result_);
        return *this;
    }
    /// The call goes on.
    ~thread_result() {
        if (result_) result_->release_source();
    }

    /// **Parks** until the call is over: its result, which stays; from an rvalue handle, as in `spawn(f).get()`, it is
    /// moved out. Throws what the call threw; timed_out when `until` has passed first; what interrupts the caller; and
    /// would_block_forever. The call goes on if the caller leaves.
    std::add_lvalue_reference_t<T> get(deadline until = {}) const& {
        if (!wait(until)) throw timed_out("get: the call is not over in time");
        result_->error_seen = true;
        return result_->get();
    }
    /// **Parks** likewise.
    T get(deadline until = {}) && requires(!std::is_void_v<T>) { return std::move(std::as_const(*this).get(until)); }

    /// **Parks** until the call is over, true, or `until` has passed, false. Throws what interrupts the caller, and
    /// would_block_forever.
    bool wait(deadline until = {}) const { return result_->wait(until); }
    /// The call is over.
    bool ready() const noexcept { return result_->ready(); }
    /// It has returned.
    bool successful() const noexcept { return result_->successful(); }
    /// What it returned, which lives as long as a handle does; null if it has not.
    std::add_pointer_t<T> value() const noexcept requires(!std::is_void_v<T>) { return result_->value(); }
    /// What it threw, which counts as handled from now on; null if it has not.
    std::exception_ptr exception() const noexcept {
        std::exception_ptr const error = result_->exception();
        if (error) result_->error_seen = true;
        return error;
    }

    /// Calls `function(thread_result const&)` when the call is over, on the hub of the calling thread, as
    /// async_result::rawlink does.
    template <class F>
    link_id rawlink(F&& function) const {
        return result_->rawlink([kept = *this, function = std::decay_t<F>(std::forward<F>(function))](
                                    async_result<T>&) mutable { std::invoke(function, std::as_const(kept)); });
    }
    /// Takes back a callback that has not been called yet.
    void unlink(link_id which) const noexcept { result_->unlink(which); }

    /// For select(): the call is over. The handle must outlive the case.
    source_case on_set() const noexcept { return result_->on_set(); }
    /// For wait() and iwait().
    operator waitable() const noexcept { return *result_; }

    /// It refers to something.
    explicit operator bool() const noexcept { return result_ != nullptr; }
    /// They refer to the same call.
    bool operator==(thread_result const& other) const noexcept = default;

private:
    friend class thread_pool;
    detail::pooled_result<T>* result_ = nullptr;
};

/// A number of threads, made when they are first needed. Calls are begun in the order of spawning.
///
/// When a pool is destroyed, what was spawned in it is still called, and then the threads end; nobody waits for that:
/// join() first where calls use what is about to go. On a thread of the pool apply() and map() call at once, so that it
/// does not wait for itself. In a forked child a pool begins anew, without the calls of the parent, whose results never
/// come there. Any thread. gevent: ThreadPool.
class COIR_API thread_pool : public mapping<thread_pool> {
public:
    /// At most `maxsize` threads. Throws std::invalid_argument if that is 0.
    explicit thread_pool(std::size_t maxsize);
    thread_pool(thread_pool const&) = delete;
    thread_pool& operator=(thread_pool const&) = delete;
    /// Waits for nothing.
    ~thread_pool();

    /// The process's own, on the threads of offload(), of which there are offload_limit(): no need for another where
    /// calls do not take long. gevent: hub.threadpool.
    static thread_pool& shared();

    /// **Parks** while one more call than there are threads is unfinished, behind those who came before; not on a
    /// thread of the pool. Then `function(arguments...)` is called on one, with what was copied or moved from here, and
    /// destroyed there when it has returned. Throws what interrupts the caller, would_block_forever, and
    /// std::system_error if there is no thread and none can be started.
    template <class F, class... A>
    requires std::invocable<std::decay_t<F>, std::decay_t<A>...>
    auto spawn(F&& function, A&&... arguments) {
        using T = std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>;
        static_assert(!std::is_reference_v<T>, "return a pointer instead");
        using call_type = std::tuple<std::decay_t<F>, std::decay_t<A>...>;
        thread_result<T> result;
        result.result_ = new detail::pooled_result<T>;
        threads_->submit([result, call = std::optional<call_type>(std::in_place, std::forward<F>(function),
                                                                  std::forward<A>(arguments)...)]() mutable noexcept {
            std::optional<detail::stored_result<T>> value;
            std::exception_ptr error;
            auto const invoke = [](auto&... parts) -> T { return std::invoke(std::move(parts)...); };
            try {
                if constexpr (std::is_void_v<T>) {
                    std::apply(invoke, *call);
                    value.emplace();
                } else {
                    value.emplace(std::apply(invoke, *call));
                }
            } catch (...) {
                error = std::current_exception();
            }
            call.reset();
            if (!error) try {
                    if constexpr (std::is_void_v<T>)
                        result.result_->set();
                    else
                        result.result_->set(std::move(*value));
                    return;
                } catch (...) { // moving it has failed
                    error = std::current_exception();
                }
            result.result_->set_exception(std::move(error));
        });
        return result;
    }

    /// **Parks.** What `function(arguments...)` returns or throws, called on a thread of the pool: at once, if that is
    /// what the caller runs on. Throws as spawn does and what get() throws.
    template <class F, class... A>
    auto apply(F&& function, A&&... arguments) {
        if (calls_here())
            return std::invoke(std::decay_t<F>(std::forward<F>(function)),
                               std::decay_t<A>(std::forward<A>(arguments))...);
        return spawn(std::forward<F>(function), std::forward<A>(arguments)...).get();
    }

    /// **Parks** until all calls are over: true, or false when `until` has passed first. Throws what interrupts the
    /// caller, and would_block_forever.
    bool join(deadline until = {}) { return threads_->join(until); }

    /// How many threads there may be.
    std::size_t maxsize() const noexcept { return threads_->workers().limit(); }
    /// How many there are.
    std::size_t size() const noexcept { return threads_->workers().size(); }
    /// Calls that are not over. gevent: len.
    std::size_t unfinished() const noexcept { return threads_->unfinished(); }

private:
    friend class mapping<thread_pool>;
    friend struct pools_at_fork;
    explicit thread_pool(detail::pool_threads::shared_with_offload which);
    detail::call_on_thread starter() const { return {threads_}; }
    bool calls_here() const noexcept { return threads_->workers().is_worker(); }
    void enlist();

    std::shared_ptr<detail::pool_threads> threads_;
    thread_pool* next_ = nullptr; // of all there are
    thread_pool* previous_ = nullptr;
};

} // namespace coir
