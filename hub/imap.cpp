#include "hub/imap.h"

#include "hub/hub.h"

namespace coir::detail {

void report_lost(std::exception_ptr const& error) noexcept {
    if (error) report_unhandled({"a call in a thread pool", error, {}});
}

void end_feeder(any_fiber const& feeder) noexcept {
    if (feeder.ready()) return;
    feeder.kill({.block = false});
    if (hub::existing() && !hub::in_fiber()) return;
    task& ending = feeder.control_block();
    std::unique_lock held{ending.lock};
    ending.waiting.wait_through(held, "the end of imap's own fiber", [&] { return ending.over.load(); });
}

} // namespace coir::detail
