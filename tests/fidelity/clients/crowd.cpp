#include "crowd.h"

namespace clients {

using steady = std::chrono::steady_clock;

crowd::crowd(plan const& made) {
    ticking const ticker;
    auto const start = steady::now();
    for (int i = 0; i < made.count; ++i)
        fibers.push_back(coir::spawn({.stack_size = roomy}, &crowd::take_part, this, std::cref(made)));
    all_arrived_.wait();
    auto const begin = steady::now();
    connecting = begin - start;
    auto const before = ticker.ticks();
    if (connected) {
        begin_.set();
        all_under_way_.wait();
        coir::idle();
        if (made.middle) made.middle(*this);
        all_done_.wait();
    }
    operating = steady::now() - begin;
    ticks = ticker.ticks() - before;
    coir::joinall(fibers);
    for (auto const& each : fibers) {
        if (!each.returned()) ++killed;
        if (!each.successful()) each.get(); // throws what is no failure of a library
    }
}

// The connection ends behind the operations of all, as it began before them. C code notices that its fiber was killed
// by a call that fails; the exception comes with the first wait behind it.
void crowd::take_part(plan const& made) {
    std::unique_ptr<client> own;
    try {
        own = made.kind.connect(made.where, made.limit);
        ++connected;
    } catch (failure const& error) {
        ++refused[error.what()];
    }
    if (++arrived_ == made.count) all_arrived_.set();
    if (!own) return;

    begin_.wait();
    most = std::max(most, ++under_way_ - done_);
    if (under_way_ == connected) all_under_way_.set();
    std::optional<coir::timeout> timeout;
    if (made.timeout) timeout.emplace(*made.timeout);
    try {
        own->operation(made.wait);
        ++answered;
    } catch (failure const& error) {
        ++failed[error.what()];
    }
    if (timeout && timeout->expired()) ++expired;
    timeout.reset();
    if (++done_ == connected) all_done_.set();
    all_done_.wait();
    coir::yield(); // the last one did not wait for the event
}

} // namespace clients
