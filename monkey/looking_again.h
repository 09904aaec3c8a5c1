// Waiting for what nothing tells of.
#pragma once

#include "hub/deadline.h"

#include <algorithm>
#include <cstdint>

namespace coir::monkey {

/// How long a fiber waits for what may change unseen (by another process, by a libc that unlocks inside a call) until
/// it looks again: at first 1 ms, then twice as long each time, up to 16 ms.
class looking_again {
public:
    deadline next() noexcept {
        pause_ = pause_ ? std::min<std::int64_t>(2 * pause_, 16'000'000) : 1'000'000;
        return deadline::at(steady_now() + pause_);
    }

private:
    std::int64_t pause_ = 0; // ns
};

} // namespace coir::monkey
