// Which calls the shim takes over: by family, one of the table's sections, all of them unless COIR_PATCH or
// monkey::patch_all says otherwise. Any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace coir::monkey {

/// A set bit for each family whose calls are taken over, and one that says that it is known which. 0 at first.
extern constinit std::atomic<std::uint32_t> patched_families;

/// Reads COIR_PATCH. Returns the set.
std::uint32_t read_patched_families() noexcept;

inline bool is_family_patched(unsigned family) noexcept {
    std::uint32_t set = patched_families.load(std::memory_order_relaxed);
    if (set == 0) [[unlikely]]
        set = read_patched_families();
    return set >> family & 1;
}

} // namespace coir::monkey
