// Who makes a call. Any thread.
#pragma once

#include "hub/scheduler.h"

namespace coir::monkey {

/// A fiber of ours runs on this thread: not the hub itself, and the thread has one. hub::in_fiber(), without a call.
inline bool in_fiber() noexcept {
    scheduler const& here = this_scheduler;
    return here.owner && this_thread.current != here.loop;
}

} // namespace coir::monkey
