// The switch from one context to another: the few instructions that everything else in coir leads to. Internal.
#pragma once

#include "fiber/context.h"

#include <cassert>
#include <cerrno>

namespace coir {

// What jump_fcontext returns: where the one that left can be resumed, and what it passed.
struct jump_result {
    void* left_at;
    void* data;
};

// Boost.Context's jump_fcontext, entered so that the processor's return predictor stays right: see context.cpp.
extern "C" jump_result coir_jump(void* to, void* data) noexcept;

// The head of __cxa_eh_globals (Itanium C++ ABI, "Exception Handling", 2.2.2), which libstdc++ and libc++abi share:
// what std::uncaught_exceptions() and `throw;` look at. A context owns them as it owns its registers. Whoever leaves
// with any set puts them aside, so that they are empty whenever another context begins or goes on.
struct exception_globals {
    void* caught;
    unsigned uncaught;

    bool empty() const noexcept { return !(std::uintptr_t(caught) | uncaught); }
};

inline void context::become([[maybe_unused]] run_state next) noexcept {
    using enum run_state;
    [[maybe_unused]] auto const allowed = [&] {
        switch (state.load(std::memory_order_relaxed)) {
        case fresh: return next == ready || next == running || next == ended;
        case ready: return next == running;
        case running: return next == ready || next == parked || next == suspended || next == ended;
        case parked: return next == ready;
        case suspended:
            return next == running || next == ready ||
                   next == ended; // ready: interrupted; ended: a hub with its thread
        case ended: return false;
        }
        return false;
    };
    assert(allowed());
    state.store(next, std::memory_order_release);
}

// The one that left is suspended or ended. If ended, it loses the reference that kept its stack until now; if no handle
// to it went along, it is ended from here.
void arrive_from_stopped(context& left) noexcept;

// Notes where the one that just left can be resumed.
inline void arrive_from(jump_result came) noexcept {
    auto& left = *static_cast<context*>(came.data);
    sanitizer_arrive(left.sanitizer, this_thread.current->sanitizer);
    left.resume_point = came.left_at;
    if (left.state.load(std::memory_order_relaxed) >= run_state::suspended) [[unlikely]]
        arrive_from_stopped(left);
}

// switch_context for one that leaves inside a catch block, or while its stack is unwound.
void switch_from_catch(context& from, context& to) noexcept;

/// Runs `to` until someone switches back to `from`, which must be the running context and have left the state
/// `running` already.
inline void switch_context(context& from, context& to) noexcept {
    thread_state& thread = this_thread;
    if (!thread.exceptions->empty()) [[unlikely]]
        return switch_from_catch(from, to);
    from.error = std::exchange(*thread.error, to.error);
    to.become(run_state::running);
    thread.current = &to;
    sanitizer_leave(from.sanitizer, to.sanitizer, false);
    arrive_from(coir_jump(to.resume_point, &from));
}

inline bool context::on_this_thread() const noexcept { return thread == this_thread.number; }

} // namespace coir
