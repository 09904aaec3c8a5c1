// Calls that may last for ever and can neither be tried without waiting nor be waited for: locks of files, System V
// queues, the end of any child. Each is made by a thread of its own, which is interrupted when the fiber's wait ends
// otherwise: so a kill or a handler ends such a call as it ends any other, and nothing is taken that nobody gets.
#pragma once

#include "hub/event.h"
#include "hub/handlers.h"
#include "hub/worker_pool.h"

#include <atomic>
#include <utility>

namespace coir::monkey {

class lasting_call : job {
public:
    /// **Parks.** What the call returned, or -EINTR, -ECANCELED as after() has them. Throws std::system_error if there
    /// can be no thread for it.
    long make(char const* what, handlers ended_by);

protected:
    lasting_call() : job{&work} {}
    ~lasting_call() = default;

private:
    struct interrupter;
    virtual long call() noexcept = 0;
    static void work(job& self) noexcept;
    bool has_ended() const noexcept; // under the event's lock

    std::atomic<int> thread_{0}; // that makes it, while it does
    long result_ = 0;
    event done_;
};

/// **Parks.** Makes `call`, in the kernel's convention, on a thread of its own; it may use the caller's variables.
template <class Call>
long lasting(Call call, char const* what, handlers ended_by = handlers::without_restart) {
    struct made final : lasting_call {
        Call& function;
        explicit made(Call& from) : function(from) {}
        long call() noexcept override { return function(); }
    };
    return made(call).make(what, ended_by);
}

} // namespace coir::monkey
