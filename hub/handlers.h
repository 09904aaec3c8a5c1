// Waits that end when a handler of a signal has run on their thread, as those of libc's calls do (EINTR). Internal:
// what the shim's hooks wait with.
#pragma once

#include "hub/waiter.h"

#include <cstdint>

namespace coir {

/// Which handlers end a wait: signal(7), "Interruption of system calls and library functions by signal handlers".
enum class handlers : std::uint8_t {
    any,             ///< calls that are never restarted
    without_restart, ///< calls that SA_RESTART restarts
    none,            ///< calls that no signal interrupts: those that wait for a disk
};

/// Of one call that waits, however often it has to wait again: from the first arm() on a handler that runs on this
/// thread ends the wait that the call is in, with wake_reason::interrupted, or keeps it from the next one.
class ended_by_handlers : waiter {
public:
    ended_by_handlers() noexcept = default;
    ~ended_by_handlers() {
        if (queued()) unlink();
    }
    ended_by_handlers(ended_by_handlers const&) = delete;

    /// Before each wait. False: one has run since the first, between two waits, and the call is to end with EINTR.
    /// Throws what hub::current throws.
    COIR_API bool arm(handlers which);

private:
    friend class hub;
    handlers which_ = handlers::none;
    unsigned seen_ = 0; // of the handlers that ran, at the first arm()
};

/// **Parks.** Until a handler has run on this thread: interrupted; or cancelled, as in hub::wait_fd. Not a wait for
/// ever: signals come from outside. Throws what hub::current throws.
COIR_API wake_reason wait_for_handler(char const* what);

/// A handler, installed with SA_RESTART or without, begins to run on this thread. Async-signal-safe.
COIR_API void handler_runs(bool restarts) noexcept;

} // namespace coir
