// What all watchers share (hub/watchers.h): a callback, fibers that wait, and a say in whether the hub has something to
// wait for.
//
// A watcher belongs to the thread that made it. It may outlive that thread, but is of no use then.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "hub/hub.h"
#include "hub/waiter.h"
#include "hub/watcher_list.h"

#include <concepts>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace coir {

/// What the watchers of all kinds have in common. Making one throws what hub::current() throws. For the thread that
/// made it.
class COIR_API watcher {
public:
    watcher(watcher const&) = delete;
    watcher& operator=(watcher const&) = delete;

    /// It was started and not stopped, and has not stopped by itself; or a fiber is in its wait(). Its own thread.
    bool active() const noexcept { return armed_; }

    /// Undoes start(): the callback is not called any more, even if what it is for has happened, and is destroyed.
    /// Fibers that are in wait() go on waiting. Its own thread: on another one, while that lives, it ends the program.
    void stop() noexcept;

    /// While an active watcher has a reference the thread has something to wait for: hub::join goes on, and no
    /// would_block_forever is thrown. They have one from the start, but for hub::fork, hub::prepare and hub::check,
    /// which bring nothing about. Its own thread. gevent: watcher.ref.
    void ref() noexcept { set_ref(true); }
    /// It has no reference from now on. Its own thread.
    void unref() noexcept { set_ref(false); }
    /// It has one. Its own thread.
    bool has_ref() const noexcept { return ref_; }

protected:
    /// @cond internal
    struct call {
        virtual ~call() = default;
        virtual void run(watcher& of) = 0;
    };

    /// `kind` and `number` go into reports: "signal", 15.
    explicit watcher(char const* kind, std::int64_t number = -1, bool ref = true);
    ~watcher();
    /// @endcond

    /// **Parks** until it happens the next time, true, or `until` has passed, false. It is active at least meanwhile,
    /// and must outlive the wait. Throws what interrupts the caller, would_block_forever if nothing is left that could
    /// wake it, and what start() throws. Its own thread.
    bool wait(deadline until = {});

    /// @cond internal
    void begin(std::unique_ptr<call> what);
    /// First of all in the destructor of each kind.
    void end() noexcept;

    /// It happened. `last`: it is inactive now.
    void fire(bool last = false) noexcept;
    /// The same where user's code may run at once.
    void fire_at_once() noexcept;

    /// Throws std::logic_error on another thread than its own, or if that has ended.
    void check_thread() const;
    hub& home() const noexcept { return *home_; }
    watcher_list& list() const noexcept;
    bool started() const noexcept { return started_; }
    /// What happened and was not told yet is forgotten.
    void drop_delivery() noexcept;
    /// Counts it as started, though it has no callback.
    void use_without_call();

    watcher_link turn_; // for the kinds that the hub's turns call
    /// @endcond

private:
    friend struct watcher_list;

    /// From inactive to active, and back.
    virtual void arm() = 0;
    virtual void disarm() noexcept = 0;
    /// In a forked child: what arm() set up belongs to the parent. True if it is to happen now.
    virtual bool forked() noexcept { return false; }
    virtual void thread_ends() noexcept {}

    struct delivery : callback {
        watcher& of;
        explicit delivery(watcher& whole) noexcept : callback(&run_due), of(whole) {}
        static void run_due(callback& due) noexcept;
    };
    struct waiting_fiber;

    void use();
    void unuse() noexcept;
    void put_out() noexcept;
    void set_ref(bool on) noexcept;
    void call_now() noexcept;
    void after_fork() noexcept;
    bool is_here() const noexcept;
    bool may_stop() const noexcept;

    hub* home_; // null when its thread has ended
    std::uint64_t thread_;
    watcher_link link_;
    char const* kind_;
    std::int64_t number_;
    std::shared_ptr<call> call_; // null if it was started without
    wait_queue queue_;
    delivery delivery_{*this};
    std::uint32_t waiting_ = 0; // fibers in wait()
    bool started_ = false;
    bool armed_ = false; // as long as it is started or waited for
    bool ref_;
    bool due_ = false;   // delivery_ is queued at the hub
    bool fired_ = false; // while nobody waited, and it was started without a callback
};

/// A watcher that is a `Self`. For the thread that made it.
template <class Self>
class watcher_of : public watcher {
public:
    /// From now on, each time it happens, the hub calls `function(Self&)` or `function()`, in its turn among the fibers
    /// that are ready. It must not wait; it may do anything else, also start, stop or destroy the watcher. What it
    /// throws is reported as an unhandled exception. If it was started before, the function takes the place of the
    /// other one. Throws std::logic_error on another thread, and what the kinds say. Its own thread.
    template <class F>
    requires(std::invocable<std::decay_t<F>&, Self&> || std::invocable<std::decay_t<F>&>) void start(F&& function) {
        this->begin(make_call(std::forward<F>(function)));
    }

protected:
    /// @cond internal
    using watcher::watcher;

    template <class F>
    static std::unique_ptr<call> make_call(F&& function) {
        struct made final : call {
            std::decay_t<F> function;
            explicit made(F&& from) : function(std::forward<F>(from)) {}
            void run(watcher& of) override {
                if constexpr (std::invocable<std::decay_t<F>&, Self&>)
                    function(static_cast<Self&>(of));
                else
                    function();
            }
        };
        return std::make_unique<made>(std::forward<F>(function));
    }
    /// @endcond
};

} // namespace coir
