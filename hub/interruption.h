// What ends a wait from outside: a kill, a timeout, a deadlock. An interruption is queued at the fiber it is for and
// thrown by that fiber's next wait, or by the one it is parked in; one wait throws one. The waits of a generator's body
// are its consumer's. A wait that was granted in the same moment returns normally and leaves it to the next, so that
// nothing that was handed over is lost.
//
// For the fiber's own thread.
#pragma once

#include "fiber/context.h"
#include "fiber/switch.h"

#include <exception>

namespace coir {

/// @cond internal

struct COIR_API interruption {
    interruption* next = nullptr;
    context* of = nullptr; // whose list it is in; null while in none

    /// The exception to throw, once, in the fiber and after leaving its list. May free the interruption.
    virtual std::exception_ptr take() noexcept = 0;

    bool queued() const noexcept { return of != nullptr; }

protected:
    ~interruption() = default;
};

/// An interruption that lies on the heap and carries its exception.
struct COIR_API thrown_from_outside final : interruption {
    std::exception_ptr error;
    explicit thrown_from_outside(std::exception_ptr what) noexcept : error(std::move(what)) {}
    std::exception_ptr take() noexcept override;
};

/// The context that waits for `target`: itself, or the body of the generator that it lets run.
context& waiting_for(context& target) noexcept;

/// Queues `why` at `target`, and sees to it that the one that waits for it throws it: if that is parked, or was
/// switched away from by hand, it becomes ready to run, behind the others.
void interrupt(context& target, interruption& why);
/// The same, but leaves it to the caller to let it run: returns who is ready for that now, or null.
context* interrupt_in_place(context& target, interruption& why) noexcept;

/// Takes `why` out of the list it is in.
COIR_API void withdraw(interruption& why) noexcept;

[[noreturn]] COIR_API void throw_interruption(context& self);

/// Forgets the first that waits for `target`.
void drop_interruption(context& target) noexcept;

/// @endcond

/// Throws what the running fiber was killed with, or a timeout of it that has passed, if its waits have not thrown that
/// yet: where C code was told of it by an errno (ECANCELED), and in long computations. Any thread.
inline void interruption_point() {
    context* const self = this_thread.current;
    if (self && self->interrupted()) [[unlikely]]
        throw_interruption(*self);
}

} // namespace coir
