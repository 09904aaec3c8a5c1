// Tells a thread's trace callback of switches by hand. Who leaves notes itself here, who arrives reports it: between
// the two runs no code of the user's, so that a note is never left over. Internal.
#pragma once

#include "fiber/greenlet.h"
#include "fiber/thread_end.h"

#include <memory>

namespace coir::detail {

struct tracer : thread_ending {
    std::shared_ptr<greenlet::trace_callback const> callback; // shared: it may be replaced while it runs
    context* left = nullptr; // a counted reference, while a switch by hand is under way: arriving must not free it yet

    tracer() noexcept;
    void arrive(context& self, trace_event event);
};

// Null while nothing is traced.
extern constinit thread_local tracer* this_tracer __attribute__((tls_model("initial-exec")));

/// `origin` is about to leave for one that will call trace_arrive: any but a hub.
inline void trace_leave(context& origin) noexcept {
    if (!this_tracer) [[likely]]
        return;
    origin.retain();
    this_tracer->left = &origin;
}

/// `self` goes on. Throws what the callback throws; then nothing is pending for `self` any more.
inline void trace_arrive(context& self, trace_event event) {
    if (this_tracer) [[unlikely]]
        this_tracer->arrive(self, event);
}
inline void trace_arrive(context& self) {
    trace_arrive(self, self.pending ? trace_event::thrown : trace_event::switched);
}

} // namespace coir::detail
