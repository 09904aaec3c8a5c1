// Whether a pointer that a program passes leads to memory of its: where not, the kernel says EFAULT, and a body that
// looked there itself would crash. Any thread.
#pragma once

#include "monkey/kernel.h"

#include <cstddef>
#include <cstdint>

namespace coir::monkey {

/// All of `size` bytes can be read now. A system call for each page: a set of signals is copied from there, for a
/// change of the mask that there is not (kernel/signal.c, rt_sigprocmask), which knows null as no set.
inline bool is_memory(void const* start, std::size_t size) noexcept {
    constexpr std::uintptr_t page = 4096, word = 8; // the smallest page; sizeof(sigset_t) of the kernel
    auto const first = reinterpret_cast<std::uintptr_t>(start);
    for (auto at = first & ~(word - 1); at < first + size; at = (at | (page - 1)) + 1)
        if (at == 0 || kernel(SYS_rt_sigprocmask, -1, at, nullptr, word) == -EFAULT) return false;
    return true;
}

} // namespace coir::monkey
