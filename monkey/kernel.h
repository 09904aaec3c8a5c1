// System calls as the kernel sees them: a result, or -errno. They pass every hook, ours and others', and leave errno
// alone. Any thread.
#pragma once

#include <cerrno>
#include <sys/syscall.h>
#include <type_traits>
#include <unistd.h>

namespace coir::monkey {

namespace detail {

template <class T>
long as_register(T argument) noexcept {
    if constexpr (std::is_pointer_v<T>)
        return reinterpret_cast<long>(argument);
    else if constexpr (std::is_null_pointer_v<T>)
        return 0;
    else
        return static_cast<long>(argument);
}

inline long system_call(long number, long a, long b, long c, long d, long e, long f) noexcept {
#if defined(__x86_64__)
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
#else
    int const before = errno;
    long result = syscall(number, a, b, c, d, e, f);
    if (result == -1) result = -errno;
    errno = before;
    return result;
#endif
}

} // namespace detail

template <class... A>
long kernel(long number, A... arguments) noexcept {
    long const registers[6] = {detail::as_register(arguments)...};
    return detail::system_call(number, registers[0], registers[1], registers[2], registers[3], registers[4],
                               registers[5]);
}

} // namespace coir::monkey
