// The times that libc's calls are given, as deadlines.
#pragma once

#include "hub/deadline.h"

#include <algorithm>
#include <chrono>
#include <ctime>

namespace coir::monkey {

inline bool valid(timespec const& time) noexcept {
    return time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000;
}

/// `time` from now. A century is for ever.
inline deadline deadline_after(timespec const& time) noexcept {
    constexpr time_t century = 100ll * 365 * 24 * 3600;
    return std::chrono::seconds(std::min(time.tv_sec, century)) + std::chrono::nanoseconds(time.tv_nsec);
}

/// Negative: never.
inline deadline deadline_after(int milliseconds) noexcept {
    return milliseconds < 0 ? deadline::never() : deadline(std::chrono::milliseconds(milliseconds));
}

inline bool over(deadline until) noexcept { return until.ns() <= steady_now(); }

/// What is left of the time; none once it has passed.
inline timespec left_until(deadline until) noexcept {
    constexpr std::int64_t second = 1'000'000'000;
    std::int64_t const left = std::max<std::int64_t>(0, until.ns() - steady_now());
    return {left / second, left % second};
}

} // namespace coir::monkey
