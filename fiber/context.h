// A context is one thing that can run on a thread: a fiber, a raw greenlet, a hub's loop, or the thread itself.
// This is its control block; that of a fiber lies at the top of the fiber's own stack. User code meets contexts
// through the handles `greenlet` and `fiber<T>`.
//
// A context belongs to the thread that made it and runs there only. Its references are counted from any thread
// and in handlers of signals; everything else is touched by its own thread only.
#pragma once

#include "fiber/export.h"
#include "fiber/reference_count.h"
#include "fiber/sanitizer.h"
#include "fiber/stack.h"

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace coir {

class value;
struct exception_globals;
struct interruption;

/// @cond internal

/// What a context keeps for others, and destroys with itself (hub/local.h).
struct fiber_locals {
    virtual ~fiber_locals() = default;
};

/// What a context is doing. Changes go through context::become(), which asserts that they are among those of the
/// table in fiber/README.md.
enum class run_state : std::uint8_t {
    fresh,     ///< never ran
    ready,     ///< in the hub's ready queue
    running,   ///< the one that runs on its thread
    parked,    ///< waits for the hub to wake it
    suspended, ///< switched away from by hand; whoever holds it switches back
    ended,     ///< will never run again
};

/// @endcond

/// Why a parked context runs again.
enum class wake_reason : std::uint8_t {
    ready,       ///< what it waited for is there
    timed_out,   ///< its deadline passed first
    cancelled,   ///< an exception from outside is to be thrown: interruption_point() does that
    closed,      ///< the descriptor it waited for was closed
    interrupted, ///< a handler of a signal has run: only for the shim's waits (hub/handlers.h)
};

/// @cond internal

struct COIR_API context {
    /// The running context. The first call on a thread makes the one that stands for the thread itself, and throws what
    /// at_thread_end throws.
    static context& current();

    context(context const&) = delete;
    context& operator=(context const&) = delete;

    // First cache line: what a switch and a wake touch.
    void* resume_point = nullptr; // Boost.Context's saved stack pointer; meaningful while it does not run
    std::uint32_t epoch = 0;      // counts its parks: a wake meant for an earlier one is recognised and dropped
    std::atomic<run_state> state{run_state::fresh}; // written by its own thread only
    wake_reason reason = wake_reason::ready;        // of the last wake
    int error = 0;                                  // its errno while it does not run
    interruption* interruptions = nullptr;          // exceptions that its waits are to throw (hub/interruption.h)
    context* stands_for = nullptr;   // a generator's body that runs for another: its waits throw the other's too
    char const* waits_for = nullptr; // for reports, valid while parked: a literal such as "read" …
    std::int64_t waits_on = -1;      // … and the descriptor or number that goes with it, -1 if none

    value* inbox = nullptr;      // while suspended: where greenlet::switch_to leaves what it carries
    std::exception_ptr pending;  // thrown where greenlet::throw_into resumes it
    context* delegate = nullptr; // while suspended: the generator's body that runs, and waits, in its stead
    bool held = false; // suspended at a generator's yield: an exception from outside waits until it is resumed

    // How other threads wake it (hub/elsewhere.cpp).
    context* next_woken = nullptr;             // in its hub's list of those
    std::atomic<std::uint32_t> woken_epoch{0}; // the park that the last such wake was meant for
    std::atomic<bool> woken_elsewhere{false};  // it is in the list, which then holds a reference

    reference_count references;
    context* parent = nullptr; // who goes on when a raw greenlet ends; a counted reference
    std::uint64_t thread;      // number of the thread it belongs to: never used again, unlike a thread's addresses
    stack place;               // empty for the thread itself
    std::uint64_t id;          // never used again in the process
    char const* kind;          // "fiber", "greenlet", "hub", "thread"
    std::unique_ptr<std::string> given_name;
    context* next_alive = nullptr; // the hub's list of its fibers, or the thread's of its greenlets
    context* previous_alive = nullptr;
    fiber_locals* locals = nullptr; // its own values of local<T> (hub/local.h)
    sanitizer_state sanitizer;

    /// Any thread; what the context wrote before it ended is visible then.
    bool ended() const noexcept { return state.load(std::memory_order_acquire) == run_state::ended; }
    bool on_this_thread() const noexcept;

    /// Whose interruptions its waits are to throw first: its own, or those of the one that it stands for; null if there
    /// are none.
    context* interrupted() noexcept {
        context* each = this;
        while (each && !each->interruptions) each = each->stands_for;
        return each;
    }

    /// The name it was given, or its kind and number: "fiber-7". Allocates.
    std::string name() const;

    /// Goes over to `next`; asserts that the step is allowed.
    void become(run_state next) noexcept;

    void retain() noexcept { references.add(); }
    void release() noexcept {
        auto const before = references.drop();
        if (before == 1)
            unreferenced();
        else if (before == 2 && state.load(std::memory_order_relaxed) == run_state::suspended) [[unlikely]]
            abandoned();
    }

    /// The same for a successor, on arriving from the one that had this reference: nothing that could wait is called.
    void release_on_leaving() noexcept {
        auto const before = references.drop();
        if (before == 1)
            unreferenced_on_leaving();
        else if (before == 2 && state.load(std::memory_order_relaxed) == run_state::suspended) [[unlikely]]
            abandoned();
    }

    void rethrow_pending() {
        if (pending) [[unlikely]]
            throw_pending();
    }
    [[noreturn]] void throw_pending();

protected:
    /// One reference, the maker's. `where` is empty for the thread itself.
    context(stack where, char const* kind) noexcept;
    virtual ~context();

    /// Sets the context up to call body() when it is first switched to. `usable_top` is the end of the part of its
    /// stack that it may run on.
    void prepare(std::byte* usable_top) noexcept;

private:
    friend struct context_entry;
    friend void arrive_from_stopped(context& left) noexcept;

    /// Runs on the context's own stack, once. Returns who runs next; by then this context is `ended` and holds a
    /// reference to itself, which its successor drops.
    virtual context& body() noexcept = 0;

    /// The last reference went: ends what can be ended, frees the control block and its stack.
    virtual void unreferenced() noexcept = 0;

    /// The same by release_on_leaving().
    virtual void unreferenced_on_leaving() noexcept { unreferenced(); }

    /// One reference is left, and the context is switched away: if it is its own, nobody will ever switch back. Called
    /// on any thread.
    virtual void abandoned() noexcept {}
};

// One thread's view. Trivially constructible and initial-exec: a read costs one instruction. The addresses of the
// thread's errno and exception globals never change, so looking them up once is enough.
struct thread_state {
    context* current;
    int* error;
    exception_globals* exceptions;
    std::uint64_t number; // 0 until the thread's first context is made
    context* last_resort; // goes on when a greenlet ends and none of its ancestors can: the hub's loop, if there is one
    context* first_greenlet; // those that have begun and not ended, for reports: linked by next_alive
};
extern COIR_API constinit thread_local thread_state this_thread __attribute__((tls_model("initial-exec")));

// Makes the context that stands for the thread itself.
COIR_API context& adopt_thread();

inline context& context::current() {
    context* const running = this_thread.current;
    return running ? *running : adopt_thread();
}

/// Frees a context that was made by placement on its own stack. For unreferenced() of such contexts.
template <class Context>
void destroy_in_place(Context& dead) noexcept {
    stack const place = dead.place; // the block goes first, then the stack that it lay on
    dead.~Context();
    release_stack(place);
}

/// @endcond

} // namespace coir
