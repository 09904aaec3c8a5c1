// The kernel's own waiting for a number to change: what coir's locks stand on. Past every hook: libc's mutexes, and the
// syscall(2) that std::atomic's waits make, are the shim's, and let a fiber park. That must not happen in the middle of
// a switch, in a hub's own callbacks, or under a thread_lock. Any thread. Internal.
#pragma once

#include <atomic>
#include <cerrno>
#include <sys/syscall.h>
#include <unistd.h>

namespace coir {

namespace detail {

inline long futex(std::atomic<int>& word, int operation, int number) noexcept {
    constexpr int for_this_process = 128; // FUTEX_PRIVATE_FLAG
    auto* const address = reinterpret_cast<int*>(&word);
#if defined(__x86_64__)
    register long no_limit asm("r10") = 0;
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(SYS_futex), "D"(address), "S"(long(operation | for_this_process)), "d"(long(number)),
                   "r"(no_limit)
                 : "rcx", "r11", "memory");
    return result;
#else
    int const before = errno;
    long const result = syscall(SYS_futex, address, operation | for_this_process, number, nullptr);
    errno = before;
    return result;
#endif
}

} // namespace detail

/// Blocks the thread while `word` is `seen`, until it is woken; also returns without a reason.
inline void futex_wait(std::atomic<int>& word, int seen) noexcept { detail::futex(word, 0 /* FUTEX_WAIT */, seen); }

/// Wakes as many as `count` that wait for `word`, of which only the address is used.
inline void futex_wake(std::atomic<int>& word, int count) noexcept { detail::futex(word, 1 /* FUTEX_WAKE */, count); }

} // namespace coir
