// Where all chance of the random tests comes from: the same seed, the same throws, on any machine.
#pragma once

#include <cstddef>
#include <cstdint>

class dice {
public:
    explicit dice(std::uint64_t seed) noexcept : state_(seed) {}

    /// Sebastiano Vigna's splitmix64.
    std::uint64_t next() noexcept {
        std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return mixed ^ (mixed >> 31);
    }

    /// From 0 to `count` - 1.
    std::size_t below(std::size_t count) noexcept { return std::size_t(next() % count); }
    bool chance(unsigned percent) noexcept { return below(100) < percent; }

    template <class Things>
    auto& one_of(Things& things) noexcept {
        return things[below(things.size())];
    }

    /// A seed for somebody else.
    std::uint64_t another() noexcept { return next(); }

private:
    std::uint64_t state_;
};
