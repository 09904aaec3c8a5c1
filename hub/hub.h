// The hub of a thread: it runs the fibers that can run and, when there are none, waits in its event loop. It is made
// on the thread's first spawn, sleep or wait, and goes with the thread. The thread itself is one of its fibers.
//
// Functions here are for the hub's own thread unless they say otherwise.
#pragma once

#include "fiber/context.h"
#include "fiber/thread_end.h"
#include "hub/deadline.h"
#include "hub/handlers.h"
#include "hub/interruption.h"
#include "hub/loop.h"
#include "hub/registry.h"
#include "hub/timer.h"
#include "hub/waiter.h"
#include "hub/watcher_list.h"

#include <atomic>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace coir {

class ring;

/// Nothing is left that could wake anyone: every fiber waits for another, and no thread of the process is left that
/// could help. Thrown in the own fiber of the thread that found it; what() lists each parked fiber with what it waits
/// for, on all threads. gevent: LoopExit.
class COIR_API would_block_forever : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Something to be run on a hub's thread, by its loop. Lies with its owner until `run` is called.
struct posted {
    using action = void (*)(posted& self) noexcept; ///< may free `self`; must not wait
    /// That `what` is to be called.
    explicit posted(action what) noexcept : run(what) {}
    action run;             ///< called with this object
    posted* next = nullptr; ///< the hub's
};

/// Something that a hub's loop does in its turn among the fibers that are ready. Lies with its owner until `run` is
/// called, which must not wait. For the hub's own thread.
struct callback {
    using action = void (*)(callback& self) noexcept; ///< may free `self`
    /// That `what` is to be called.
    explicit callback(action what) noexcept : run(what) {}
    action run;               ///< called with this object
    callback* next = nullptr; ///< the hub's
    std::uint64_t place = 0;  ///< the hub's: where it stands in the ready queue
};

/// The hub of a thread: who runs next, and the loop that it waits in. Made on first use, and goes with the thread. For
/// its own thread, unless a function says otherwise.
class COIR_API hub final : private context, private thread_ending {
public:
    static constexpr direction readable = direction::read;  ///< for wait_fd()
    static constexpr direction writable = direction::write; ///< for wait_fd()

    // Watchers: hub/watchers.h.
    class io;
    class timer;
    class periodic;
    class signal;
    class child;
    class async;
    class stat;
    class idle;
    class prepare;
    class check;
    class fork;

    /// This thread's hub, made now if there is none. Throws std::system_error: no stack, or no descriptors for a loop.
    /// Any thread.
    static hub& current();

    /// This thread's hub, or null if it has none. Any thread.
    static hub* existing() noexcept;

    /// A fiber runs on this thread (its hub exists, and it is not the hub itself that runs). Any thread.
    static bool in_fiber() noexcept;

    /// **Parks.** Until `fd` is readable or writable (also on hang-up or error: the next call on it tells). At least
    /// one round of the loop: try the call first. Regular files are always ready. Returns
    ///
    /// * ready: call again
    /// * timed_out: `until` passed first
    /// * closed: it is no open descriptor, or it was closed meanwhile
    /// * cancelled: the fiber was killed or a timeout of it has passed: interruption_point() throws that
    ///
    /// Several fibers may wait for one descriptor; they are woken first in, first out. `how` tells whether forget_fd()
    /// will be called when the descriptor is closed. Any thread, on its own hub.
    static wake_reason wait_fd(int fd, direction way, deadline until = {}, closing how = closing::unseen);

    /// One of several descriptors that wait_any_fd waits for.
    struct interest {
        int fd;        ///< the descriptor
        direction way; ///< readable or writable
    };

    /// **Parks.** The same for the first of several; of none, until `until`. Which of them is ready is to be found out
    /// by trying. Allocates when there are more than eight. Any thread, on its own hub.
    static wake_reason wait_any_fd(std::span<interest const> of, deadline until = {}, closing how = closing::unseen);

    /// **Parks.** Until `until` has passed: timed_out; or cancelled, as in wait_fd. Any thread, on its own hub.
    static wake_reason wait_until(deadline until);

    /// `fd` is about to be closed or replaced: all who wait for it, on any thread, get `closed`, and nothing of it
    /// stays registered. Costs little on a descriptor that nobody waited for. Any thread.
    static void forget_fd(int fd) noexcept;

    /// Runs `what` on the hub's thread, in the order of posting. Any thread. The hub must outlive the call.
    void post(posted& what) noexcept;

    /// The same for any callable. Any thread. Allocates. What the callable throws ends the program.
    template <std::invocable F>
    void post(F&& function) {
        struct job : posted {
            std::decay_t<F> function;
            explicit job(F&& from) : posted(&run_and_delete), function(std::forward<F>(from)) {}
            static void run_and_delete(posted& self) noexcept {
                std::unique_ptr<job> owned{static_cast<job*>(&self)};
                owned->function();
            }
        };
        post(static_cast<posted&>(*new job(std::forward<F>(function))));
    }

    /// Queues `what` behind the fibers that are ready now. gevent: loop.run_callback.
    void run_callback(callback& what);

    /// Takes back the first callback of which `is_it` says so and that has not been run; null if there is none.
    template <class Predicate>
    callback* take_back(Predicate is_it) noexcept {
        for (callback** link = &first_callback_; *link; link = &(*link)->next) {
            if (!is_it(**link)) continue;
            callback& found = **link;
            *link = found.next;
            if (last_callback_ == &found.next) last_callback_ = link;
            return &found;
        }
        return nullptr;
    }

    /// **Parks.** Until the other fibers of the thread have ended, or none of them can ever go on: true. False when
    /// `until` has passed first. Throws what interrupts the caller. gevent: hub.join, wait().
    bool join(deadline until = {});

    /// One line per fiber of this hub: its name, its state and what it waits for, itself or in a generator. Those of
    /// raw greenlets that wait follow. Allocates.
    std::string report() const;

    /// Fibers that were spawned here and have not ended.
    std::size_t alive() const noexcept { return alive_; }

    hub(hub const&) = delete;
    hub& operator=(hub const&) = delete;

    /// @cond internal
    // For the rest of hub/, which keeps its books here.
    timer_heap& timers() noexcept { return timers_; }
    std::uint64_t thread_number() const noexcept { return thread; }
    bool has_mail() const noexcept { return mailbox_.load() || woken_.load(); }
    /// Another thread wakes `who`, and gives it a reference for the way.
    void wake_from_elsewhere(context& who) noexcept;
    /// In a callback: lets `ready`, which is not in the ready queue, go on at once, until it waits or has ended.
    void resume(context& ready);
    /// Moves on in a forked child: a callback that let a fiber go on finds that the others are gone.
    unsigned forks() const noexcept { return forks_; }
    /// **Parks.** See coir::idle.
    void wait_until_idle();
    void enlist(context& born) noexcept {
        born.next_alive = first_alive_;
        born.previous_alive = nullptr;
        if (first_alive_) first_alive_->previous_alive = &born;
        first_alive_ = &born;
        ++alive_;
    }
    void strike(context& ended) noexcept {
        (ended.previous_alive ? ended.previous_alive->next_alive : first_alive_) = ended.next_alive;
        if (ended.next_alive) ended.next_alive->previous_alive = ended.previous_alive;
        --alive_;
    }
    /// From now until unwatch_fd(), `one` waits for its descriptor; false if that is not open.
    bool watch_fd(fd_waiter& one) { return one.fd >= 0 && event_loop().add(one); }
    /// Also if it was refused, and if the hub's loop has become another one in a forked child.
    void unwatch_fd(fd_waiter& one) noexcept {
        if (loop_) loop_->remove(one);
    }
    /// Something that is under way elsewhere will post to this hub: it may wait for ever without being stuck.
    void expect_post() noexcept { ++expected_posts_; }
    void expected_post_came() noexcept { --expected_posts_; }
    /// How many wait for what the ring receives ahead.
    std::size_t& receiving() noexcept { return receiving_; }
    std::size_t& expected_posts() noexcept { return expected_posts_; } // for `counting`
    /// Waits that handlers of signals end, and how many such have run on this thread.
    wait_queue& until_handlers() noexcept { return until_handlers_; }
    unsigned handlers_run(handlers which) const noexcept {
        return handlers_run_[std::size_t(which)].load(std::memory_order_relaxed);
    }
    void note_handler(bool restarts) noexcept;
    watcher_list& watchers() noexcept { return watchers_; }
    /// Made anew, if a forked child could not; throws std::system_error if it cannot now.
    loop& event_loop() {
        if (!loop_) [[unlikely]]
            make_loop();
        return *loop_;
    }
    /// @endcond

private:
    [[gnu::noinline]] static hub& make_for_this_thread();
    friend class ring;
    friend struct hub_at_fork;
    explicit hub(stack where);
    ~hub() override;
    static void close(thread_ending& which) noexcept;

    context& body() noexcept override; // the loop
    void unreferenced() noexcept override { delete this; }
    void round();
    void adapt_budget(std::int64_t spent) noexcept;
    template <class Node>
    void push(std::atomic<Node*>& list, Node& what, Node* Node::*next) noexcept;
    void run_posted() noexcept;
    void forget_posted() noexcept;
    void run_due_callbacks() noexcept;
    void end_waits_by_handlers() noexcept;
    bool stuck() const noexcept;
    bool settle();
    void break_deadlock(std::string const& lines);
    void end_fibers() noexcept;
    void after_fork();

    void make_loop();
    void look(bool may_wait, std::int64_t until);

    std::unique_ptr<loop> loop_; // null only in a forked child that could not make one yet
    std::unique_ptr<ring> ring_; // made when it is first asked for …
    bool has_no_ring_ = false;   // … unless there can be none
    timer_heap timers_;          // late by the thread's timer slack at least, as the kernel grants itself for any sleep
    coir::timer trim_;           // once a second while stacks lie idle
    int switches_ = 64;          // that fibers are given between two turns of the loop
    std::int64_t last_round_ = 0; // steady ns
    std::int64_t last_look_ = 0;  // at the descriptors, steady ns
    std::uint64_t looked_at_ = 0; // the ready queue's pushed() then
    bool in_callback_ = false;    // one runs, or has let a fiber go on
    unsigned forks_ = 0;          // that made the process which this is
    callback* first_callback_ = nullptr;
    callback** last_callback_ = &first_callback_;
    wait_queue idlers_;                     // until nobody is ready
    wait_queue finishers_;                  // until nothing is left to do …
    std::size_t finishing_ = 0;             // … how many of those were spawned …
    std::size_t finishing_timers_ = 0;      // … and how many have a deadline, which is nothing to do
    std::int64_t patience_ = 0;             // ns until it is looked again whether another thread can help
    std::atomic<posted*> mailbox_{nullptr}; // newest first
    std::atomic<context*> woken_{nullptr};  // by other threads; newest first
    std::atomic<int> posting_{0};           // calls of post() under way
    std::size_t expected_posts_ = 0;
    std::size_t receiving_ = 0;
    wait_queue until_handlers_;
    std::atomic<unsigned> handlers_run_[3]{}; // by which; written by the handlers
    unsigned handlers_known_ = 0;             // of those, when they last ended waits
    watcher_list watchers_;
    std::size_t alive_ = 0;
    context* first_alive_ = nullptr;
    context* const& greenlets_;     // the first of the thread's that have begun; the rest follow as above
    context& thread_;               // the thread's own fiber
    hub_registration registration_; // the last: others find the hub from then on
};

/// @cond internal

/// One more of what `home` counts, for as long as this lives; in a child that is forked meanwhile, which counts anew,
/// not any more. For the hub's own thread.
class counting {
public:
    counting(hub& home, std::size_t& count) noexcept : home_(home), forks_(home.forks()), count_(count) { ++count_; }
    ~counting() {
        if (!forked()) --count_;
    }
    counting(counting const&) = delete;
    counting& operator=(counting const&) = delete;
    /// This is such a child: nothing that it waited for in the parent comes.
    bool forked() const noexcept { return home_.forks() != forks_; }

private:
    hub& home_;
    unsigned const forks_;
    std::size_t& count_;
};

/// @endcond

/// **Parks.** Lets every other fiber that can run have its turn. Throws what interrupts the caller. Any thread. gevent:
/// sleep(0).
COIR_API void yield();

/// **Parks.** Until no other fiber of the thread can run and no descriptor or timer is due. Throws what interrupts the
/// caller. gevent: idle. Any thread.
COIR_API void idle();

/// **Parks.** Until `until`; if that has passed already, as yield(). When nothing else keeps the thread busy, late by
/// its timer slack at most (prctl PR_GET_TIMERSLACK, 50 µs by default) or, if that is more, by a thousandth of the
/// time ahead, up to 1 ms (hub/timer.h). Throws what interrupts the caller. Any thread.
COIR_API void sleep(deadline until);

} // namespace coir
