// A point in time until which something waits. Everything in coir that waits takes one.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace coir {

/// Nanoseconds of CLOCK_MONOTONIC, read now (about 20 ns through the vDSO). Any thread.
inline std::int64_t steady_now() noexcept { return std::chrono::steady_clock::now().time_since_epoch().count(); }

/// An absolute moment of the steady clock (CLOCK_MONOTONIC), in nanoseconds. Made from a moment, from a duration or
/// from nothing, by conversion: `f.join(5s)`. A value; any thread.
class deadline {
public:
    /// Never.
    constexpr deadline() noexcept = default;

    /// At `moment`.
    constexpr deadline(std::chrono::steady_clock::time_point moment) noexcept
        : at_(moment.time_since_epoch().count()) {}

    /// `from_now` from now, rounded up to whole nanoseconds: 0 or a negative one is over already, a century or more is
    /// never.
    template <class Rep, class Period>
    constexpr deadline(std::chrono::duration<Rep, Period> from_now) noexcept {
        using namespace std::chrono;
        // Compared in floating point: hours::max() does not fit nanoseconds. A century is as good as never.
        constexpr duration<double> century = hours(24 * 365 * 100);
        if (duration<double>(from_now) < century) {
            auto const wait = from_now.count() > 0 ? ceil<nanoseconds>(from_now).count() : 0;
            at_ = steady_now() + wait;
        }
    }

    /// At `ns` nanoseconds of the steady clock.
    static constexpr deadline at(std::int64_t ns) noexcept {
        deadline made;
        made.at_ = ns;
        return made;
    }
    /// The same as deadline().
    static constexpr deadline never() noexcept { return {}; }

    /// It does not come.
    constexpr bool is_never() const noexcept { return at_ == std::numeric_limits<std::int64_t>::max(); }
    /// Nanoseconds of the steady clock; the largest number for never.
    constexpr std::int64_t ns() const noexcept { return at_; }
    /// The earlier is the lesser.
    constexpr auto operator<=>(deadline const&) const noexcept = default;

private:
    std::int64_t at_ = std::numeric_limits<std::int64_t>::max();
};

} // namespace coir
