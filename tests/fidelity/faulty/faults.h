// Which faults a system call may legally have, and which of them it gets. The one thread that traces.
#pragma once

#include "tests/fidelity/faulty/tracee.h"

#include <array>
#include <bitset>
#include <cstdint>
#include <span>
#include <string_view>

namespace faulty {

enum kind : unsigned {
    shorter,     ///< a transfer moves fewer bytes, never none
    interrupted, ///< EINTR, of a call that may wait
    again,       ///< EAGAIN, of an attempt that is not to wait
    reset,       ///< ECONNRESET, on a connected stream, which is broken then
    descriptors, ///< EMFILE or ENFILE, of what makes a descriptor
    memory,      ///< ENOMEM, ENOBUFS, or EAGAIN where processes and threads are made
    kind_count,
};
inline constexpr std::array<std::string_view, kind_count> kind_names{"short", "eintr",       "eagain",
                                                                     "reset", "descriptors", "memory"};

class faults {
public:
    /// `tells`: each fault, on stderr.
    faults(std::uint64_t seed, std::bitset<kind_count> wanted, unsigned one_in, bool tells)
        : seed_(seed), wanted_(wanted), one_in_(one_in), tells_(tells) {}

    /// Gives the call a fault, or none.
    void meet(stopped_call& call);

    std::array<unsigned, kind_count> const& counts() const noexcept { return counts_; }
    unsigned calls() const noexcept { return calls_; }

private:
    std::uint64_t seed_;
    std::bitset<kind_count> wanted_;
    unsigned one_in_;
    bool tells_;
    std::array<unsigned, kind_count> counts_{};
    unsigned calls_ = 0;
};

/// The calls that may have any: only these stop.
std::span<long const> calls_of_interest() noexcept;

} // namespace faulty
