#include "fiber/trace.h"

#include <utility>

namespace coir {
namespace detail {

constinit thread_local tracer* this_tracer = nullptr;

namespace {

// Made at the thread's first set_trace, kept until it ends.
constinit thread_local tracer* kept = nullptr;

void stop_tracing() noexcept {
    this_tracer = nullptr;
    kept->callback.reset();
}

} // namespace

tracer::tracer() noexcept
    : thread_ending{[](thread_ending& self) noexcept {
          this_tracer = kept = nullptr;
          delete static_cast<tracer*>(&self);
      }} {}

void tracer::arrive(context& self, trace_event event) {
    context* const from = std::exchange(left, nullptr);
    if (!from) return; // a hub's switch, when it found that nothing is left to wait for
    greenlet const origin(from), target(&self);
    from->release(); // that of trace_leave
    auto const running = callback;
    try {
        (*running)(event, origin, target);
    } catch (...) {
        if (this_tracer) stop_tracing();
        self.pending = nullptr;
        throw;
    }
}

} // namespace detail

greenlet::trace_callback greenlet::set_trace(trace_callback callback) {
    using namespace detail;
    trace_callback former = trace();
    if (!callback) {
        if (kept) stop_tracing();
        return former;
    }
    auto shared = std::make_shared<trace_callback const>(std::move(callback));
    if (!kept) {
        auto made = std::make_unique<tracer>();
        at_thread_end(*made);
        kept = made.release();
    }
    kept->callback = std::move(shared);
    this_tracer = kept;
    return former;
}

greenlet::trace_callback greenlet::trace() {
    return detail::this_tracer ? *detail::this_tracer->callback : trace_callback{};
}

} // namespace coir
