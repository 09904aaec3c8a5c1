// A point in time until which something waits. Everything in coir that waits takes one.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace coir {

/// Nanoseconds of CLOCK_MONOTONIC, read now (about 20 ns through the vDSO).
inline std::int64_t steady_now() noexcept { return std::chrono::steady_clock::now().time_since_epoch().count(); }

/// An absolute moment of the steady clock. Made from a moment, from a duration (counted from now, and a negative one
/// is over already), or from nothing: never.
class deadline {
public:
    constexpr deadline() noexcept = default;

    constexpr deadline(std::chrono::steady_clock::time_point moment) noexcept
        : at_(moment.time_since_epoch().count()) {}

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
    static constexpr deadline never() noexcept { return {}; }

    constexpr bool is_never() const noexcept { return at_ == std::numeric_limits<std::int64_t>::max(); }
    constexpr std::int64_t ns() const noexcept { return at_; }
    constexpr auto operator<=>(deadline const&) const noexcept = default;

private:
    std::int64_t at_ = std::numeric_limits<std::int64_t>::max();
};

} // namespace coir
