// Calls that may last for ever and can neither be tried without waiting nor be waited for: locks of files, System V
// queues, the end of any child. Each is made by a thread of its own, which is interrupted when the fiber's wait ends
// otherwise: so a kill or a handler ends such a call as it ends any other, and nothing is taken that nobody gets.
//
// What interrupts is a real-time signal that the program has no handler for, the highest such. To the program it looks
// as if nobody used it: one that comes from elsewhere does what it would have done. If the program has handlers for
// all, a kill or a handler waits until the call has ended by itself.
//
// Job control stops the process where such a call uses its terminal from the background, as if the fiber's thread made
// it: unless the program has a handler for that, which such a thread does not run (it is told EIO, or it goes on).
#pragma once

#include "fiber/thread_lock.h"
#include "hub/event.h"
#include "hub/handlers.h"
#include "hub/offload.h"
#include "hub/worker_pool.h"

#include <atomic>
#include <csignal>
#include <utility>

namespace coir::monkey {

class lasting_call : job {
public:
    /// **Parks.** What the call returned, or -EINTR, -ECANCELED as after() has them, or -ENOMEM if there can be no
    /// thread for it.
    long make(char const* what, handlers ended_by);

protected:
    lasting_call() : job{&work} {}
    ~lasting_call() = default;

private:
    struct interrupter;
    virtual long call() noexcept = 0;
    static void work(job& self) noexcept;
    void work() noexcept;
    void call_by(int thread, int with) noexcept;
    void interrupt() noexcept;
    bool has_ended() const noexcept; // under the event's lock

    std::atomic<bool> unwanted_{false};
    sigset_t of_caller_{}; // what the thread blocks whose fiber waits
    thread_lock sending_;  // no signal is sent to a thread that has gone on to something else
    int thread_ = 0;       // that makes the call, while it does
    int interrupted_by_ = 0;
    long result_ = 0;
    event done_;
};

/// **Parks.** Makes `call`, in the kernel's convention, on a thread of its own; it may use the caller's variables, and
/// is made again if a stranger's signal interrupts it. Errors as lasting_call::make().
template <class Call>
long lasting(Call call, char const* what, handlers ended_by = handlers::without_restart) {
    struct made final : lasting_call {
        Call& function;
        explicit made(Call& from) : function(from) {}
        long call() noexcept override { return function(); }
    };
    return made(call).make(what, ended_by);
}

/// The handler of the signal that interrupts, which the program is not to see. Any thread.
bool is_interrupting(void* handler) noexcept;
/// The threads that make such calls: as many as there are calls.
worker_pool& lasting_threads();

/// **Parks.** The same for a call that cannot be ended: the fiber waits until it has returned, whatever comes. Throws
/// std::system_error if there can be no thread for it, and nothing was called.
template <class Call>
long lasting_through(Call call, char const* what) {
    struct made {
        Call& function;
        long result;
    } one{call, 0};
    coir::detail::offload(
        lasting_threads(),
        [](void* argument) {
            auto& of = *static_cast<made*>(argument);
            of.result = of.function();
        },
        &one, what);
    return one.result;
}

} // namespace coir::monkey
