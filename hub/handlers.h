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

/// Made by a fiber that is about to wait: if a handler runs on this thread while it lives, that wait ends with
/// wake_reason::interrupted.
class COIR_API ended_by_handlers : waiter {
public:
    /// Throws what hub::current throws.
    explicit ended_by_handlers(handlers which);
    ~ended_by_handlers() {
        if (queued()) unlink();
    }

    /// One ran since this was made, be it after another reason had ended the wait.
    bool one_ran() const noexcept;

private:
    friend class hub;
    handlers const which_;
    unsigned const seen_; // of the handlers that ran, when the wait began
};

/// **Parks.** Until a handler has run on this thread: interrupted; or cancelled, as in hub::wait_fd. Not a wait for
/// ever: signals come from outside. Throws what hub::current throws.
COIR_API wake_reason wait_for_handler(char const* what);

/// A handler, installed with SA_RESTART or without, begins to run on this thread. Async-signal-safe.
COIR_API void handler_runs(bool restarts) noexcept;

} // namespace coir
