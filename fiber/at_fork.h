// What a fork must not find half done, and what a child has to put right: one table for each library, put together by
// the linker, since nothing of ours runs when a library is loaded. glibc is told of all of it at once, when the first
// thing that it has an entry for is used; from then on no fork finds anything half done. (An entry by entry telling
// would leave the child of a fork that another thread has begun without what is told meanwhile: glibc 2.36,
// nptl/register-atfork.c. And whoever made its table in a function's static variable would leave that half made.)
// Internal.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <pthread.h>

namespace coir {

/// A fork calls `before` of all, then `in_parent` or `in_child` of all; null: nothing. In this order, `before` in the
/// opposite one; those of one order in any.
struct at_fork {
    enum class order : std::uint8_t {
        locks,   ///< what the others need in a child
        threads, ///< those that a child has: one with its hub, no workers
        others   ///< need nothing more of each other
    };
    using handler = void (*)();

    order when;
    handler before, in_parent, in_child;
};

/// Defines an entry: `COIR_AT_FORK(forks) = {at_fork::order::others, …};`
#define COIR_AT_FORK(name) [[gnu::used, gnu::section("coir_at_fork")]] static constinit at_fork const name

/// The entry of a lock: nobody else holds it when a child begins.
template <auto& lock>
inline constexpr at_fork free_in_child{at_fork::order::locks, [] { lock.lock(); }, [] { lock.unlock(); },
                                       [] { lock.unlock(); }};

extern "C" {
// The linker's, of this library's table.
[[gnu::visibility("hidden")]] extern at_fork const __start_coir_at_fork[];
[[gnu::visibility("hidden")]] extern at_fork const __stop_coir_at_fork[];
}

/// This library's table.
class [[gnu::visibility("hidden")]] fork_table {
public:
    /// By whoever uses what has an entry, before. Ends the process if there is no memory.
    static void look_after() noexcept {
        if (!told_.load(std::memory_order_acquire)) [[unlikely]]
            tell();
    }

private:
    // Another thread may do the same at once: the second time counts for nothing.
    [[gnu::noinline]] static void tell() noexcept {
        if (pthread_atfork(
                [] {
                    if (depth_++ == 0) before();
                },
                [] {
                    if (--depth_ == 0) after(&at_fork::in_parent);
                },
                [] {
                    if (--depth_ == 0) after(&at_fork::in_child);
                }) != 0) {
            std::fputs("coir: no memory to be told of forks (pthread_atfork)\n", stderr);
            std::abort();
        }
        told_.store(true, std::memory_order_release);
    }
    static void before() noexcept {
        for (int order = 2; order >= 0; --order)
            for (at_fork const* each = __stop_coir_at_fork; each-- != __start_coir_at_fork;)
                if (int(each->when) == order && each->before) each->before();
    }
    static void after(at_fork::handler at_fork::*which) noexcept {
        for (int order = 0; order <= 2; ++order)
            for (at_fork const* each = __start_coir_at_fork; each != __stop_coir_at_fork; ++each)
                if (int(each->when) == order && each->*which) (each->*which)();
    }

    static inline constinit std::atomic<bool> told_{false};
    static inline constinit thread_local int depth_ = 0; // of the thread that forks
};

} // namespace coir
