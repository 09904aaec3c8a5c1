// Until when a call of the pthread family waits: an absolute time of a clock that may be set meanwhile. A value, which
// refers to the caller's timespec.
#pragma once

#include "hub/deadline.h"
#include "monkey/times.h"

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace coir::monkey {

class time_limit {
public:
    /// None.
    time_limit() noexcept = default;
    time_limit(clockid_t clock, timespec const* moment) noexcept : clock_(clock), moment_(moment) {}

    /// The clock is one that libc's calls can wait by (nptl, futex_abstimed_supported_clockid).
    static bool has(clockid_t clock) noexcept { return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC; }

    /// The part of the time that libc looks at: the nanoseconds. A time before the epoch has passed.
    bool valid() const noexcept { return !moment_ || (moment_->tv_nsec >= 0 && moment_->tv_nsec < second); }

    bool over() const noexcept { return moment_ && left() <= 0; }

    /// When to look at the clock again: that time, as the clock stands now.
    deadline next() const noexcept {
        if (!moment_) return deadline::never();
        std::int64_t const rest = left();
        return rest >= century ? deadline::never() : deadline::at(steady_now() + std::max<std::int64_t>(rest, 0));
    }

private:
    static constexpr std::int64_t second = 1'000'000'000;
    static constexpr std::int64_t century = 100ll * 365 * 24 * 3600 * second; // is never

    std::int64_t left() const noexcept {
        timespec now;
        clock_gettime(clock_, &now);
        std::int64_t seconds;
        if (__builtin_sub_overflow(moment_->tv_sec, now.tv_sec, &seconds)) return moment_->tv_sec < 0 ? -1 : century;
        seconds = std::clamp<std::int64_t>(seconds, -2, century / second);
        return std::min(seconds * second + (moment_->tv_nsec - now.tv_nsec), century);
    }

    clockid_t clock_ = CLOCK_MONOTONIC;
    timespec const* moment_ = nullptr;
};

} // namespace coir::monkey
