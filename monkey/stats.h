// How often each call was made by a fiber, how often it parked, and for how long: counted when libcoir-stats.so is
// there (stats_start.cpp), and written when the program ends, to stderr or, if COIR_STATS is a path, to the end of that
// file.
#pragma once

#include "fiber/switch.h"
#include "hub/deadline.h"

#include <atomic>
#include <cstdint>

namespace coir::monkey {

enum row : unsigned {
#define ALIAS(convention, result, symbol, parameters, arguments, body) row_##symbol,
#define HOOK(convention, result, symbol, parameters, arguments) row_##symbol,
#include "monkey/hooks.def"
#undef ALIAS
#undef HOOK
    row_count
};

extern constinit std::atomic<bool> counts_calls;

/// One call that a fiber makes of a hooked symbol.
class counted_call {
public:
    // Rows that keep the books of descriptors run on threads without fibers, too.
    explicit counted_call(row which) noexcept
        : row_(which), counts_(counts_calls.load(std::memory_order_relaxed) && this_thread.current) {
        if (counts_) [[unlikely]]
            begin();
    }
    ~counted_call() {
        if (counts_) [[unlikely]]
            end();
    }
    counted_call(counted_call const&) = delete;

private:
    void begin() noexcept;
    void end() noexcept;

    row const row_;
    bool counts_;
    std::uint32_t epoch_ = 0;
    std::int64_t begun_ = 0;
};

} // namespace coir::monkey
