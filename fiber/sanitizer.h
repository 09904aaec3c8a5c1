// What AddressSanitizer, ThreadSanitizer and Valgrind must be told about stacks and switches. Empty without them.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COIR_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define COIR_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define COIR_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define COIR_TSAN 1
#endif

#if COIR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if COIR_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if COIR_VALGRIND
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#endif

namespace coir {

// Threads that the sanitizer itself has in the process.
#if COIR_TSAN
inline constexpr std::size_t sanitizer_threads = 1;
#else
inline constexpr std::size_t sanitizer_threads = 0;
#endif

// A context's record for them. Always there, so that a program built without a sanitizer agrees with a library
// built with one.
struct sanitizer_state {
    void* fake_stack = nullptr;   // ASan's, while switched away
    void const* bottom = nullptr; // of the stack; learnt at the first switch for a thread's own
    std::size_t size = 0;
    void* tsan_fiber = nullptr;
};

inline void sanitizer_stack(sanitizer_state& of, void const* bottom, std::size_t size) noexcept {
    of.bottom = bottom;
    of.size = size;
#if COIR_TSAN
    of.tsan_fiber = bottom ? __tsan_create_fiber(0) : __tsan_get_current_fiber();
#endif
}

inline void sanitizer_forget([[maybe_unused]] sanitizer_state& of) noexcept {
#if COIR_TSAN
    if (of.bottom) __tsan_destroy_fiber(of.tsan_fiber); // a thread's own is the thread itself
#endif
}

// Around a switch: before it on the old stack, after it on the new one. `last` says that `from` never runs again.
// Always inline: TSan would book the entry of a function of its own on one fiber, and its end on the other.
[[gnu::always_inline]] inline void sanitizer_leave([[maybe_unused]] sanitizer_state& from,
                                                   [[maybe_unused]] sanitizer_state& to,
                                                   [[maybe_unused]] bool last) noexcept {
#if COIR_ASAN
    __sanitizer_start_switch_fiber(last ? nullptr : &from.fake_stack, to.bottom, to.size);
#endif
#if COIR_TSAN
    __tsan_switch_to_fiber(to.tsan_fiber, 0);
#endif
}

inline void sanitizer_arrive([[maybe_unused]] sanitizer_state& from, [[maybe_unused]] sanitizer_state& to) noexcept {
#if COIR_ASAN
    void const* bottom;
    std::size_t size;
    __sanitizer_finish_switch_fiber(to.fake_stack, &bottom, &size);
    if (!from.bottom) from.bottom = bottom, from.size = size;
#endif
}

// Asking takes twenty instructions.
inline bool runs_on_valgrind() noexcept {
#if COIR_VALGRIND
    return RUNNING_ON_VALGRIND;
#else
    return false;
#endif
}

inline void register_stack_with_valgrind([[maybe_unused]] void* base, [[maybe_unused]] std::size_t size) noexcept {
#if COIR_VALGRIND
    VALGRIND_STACK_REGISTER(base, static_cast<char*>(base) + size); // for good: slabs are never unmapped
#endif
}

// Frames left behind by an ended fiber are poisoned; the next user of the stack must not trip over them. Valgrind takes
// what lay below the stack pointer of that one's last switch for out of bounds, also where the next has its control
// block.
inline void unpoison_stack([[maybe_unused]] void* base, [[maybe_unused]] std::size_t size,
                           [[maybe_unused]] bool on_valgrind) noexcept {
#if COIR_ASAN
    ASAN_UNPOISON_MEMORY_REGION(base, size);
#endif
#if COIR_VALGRIND
    if (on_valgrind) VALGRIND_MAKE_MEM_UNDEFINED(base, size);
#endif
}

} // namespace coir
