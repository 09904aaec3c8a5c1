// Stacks for fibers: fixed size classes carved from large reserved slabs, each with a guard below it.
//
// A stack belongs to whoever acquired it until it is released, on any thread. Idle stacks are kept per thread,
// last in, first out, so that the next fiber finds its top page warm.
#pragma once

#include "fiber/export.h"

#include <cstddef>
#include <cstdint>

namespace coir {

/// Bytes below each stack that fault when touched. Larger than a page, so that a frame with a few kilobytes of
/// buffers cannot step over the guard into the next stack.
inline constexpr std::size_t stack_guard_size = 16 * 1024;

/// The smallest class, in bytes. Sizes between this and the largest are rounded up to a power of two.
inline constexpr std::size_t smallest_stack = 16 * 1024;
/// The largest class, in bytes.
inline constexpr std::size_t largest_stack = std::size_t{1} << 30;

/// The usable bytes [base, base + size) of one stack; the guard lies below base. A value that owns nothing; any
/// thread.
struct stack {
    std::byte* base = nullptr; ///< the lowest byte; null: no stack
    std::size_t size = 0;      ///< bytes

    /// Behind the last byte: where it begins to be used.
    std::byte* top() const noexcept { return base + size; }
    /// There is one.
    explicit operator bool() const noexcept { return base != nullptr; }
};

/// The usable size in bytes of a stack when nobody asks for another: 64 KiB, or the environment's
/// COIR_STACK_SIZE (bytes, or with a suffix K or M), read once.
/// Throws std::system_error(EINVAL) that quotes the variable if it is not a size. Any thread.
COIR_API std::size_t default_stack_size();

/// A guarded stack of at least `size` usable bytes; 0 means default_stack_size(), which may throw. Any thread.
/// Throws std::system_error: EINVAL above largest_stack; ENOMEM when address space is exhausted or, on kernels
/// without lightweight guards, when vm.max_map_count is reached (the message says which).
COIR_API stack acquire_stack(std::size_t size);

/// Gives a stack back. It must be one of acquire_stack and nobody may still run on it. Any thread.
COIR_API void release_stack(stack unused) noexcept;

/// Returns to the kernel the memory of stacks that lay idle on this thread since the last call, keeping those that
/// were in use in between. The hub calls it once a second while there are such stacks. Returns true while there
/// may be more to do. Any thread, for its own stacks.
COIR_API bool trim_stacks() noexcept;

/// How stacks are guarded in this process: decided at the first stack. In memory that is locked (mlockall(2),
/// MCL_FUTURE) the kernel refuses the lightweight guards, and each stack has the other.
enum class stack_guard : std::uint8_t {
    undecided,   ///< no stack was made yet
    lightweight, ///< madvise(MADV_GUARD_INSTALL), Linux 6.13: costs no mapping, a million stacks work
    mprotect,    ///< one mapping more per stack: about half of vm.max_map_count stacks work
};
/// How they are guarded here; undecided before the first. Any thread.
COIR_API stack_guard guard_in_use() noexcept;

/// A place for `bytes`, aligned to 64, at the top of a stack, below an offset that differs from stack to stack: equal
/// offsets would make the hot lines of all fibers fight for the same cache sets.
/// Throws std::system_error(EINVAL) if that would leave less than half of the stack. Any thread.
COIR_API std::byte* place_on_top(stack where, std::size_t bytes);

} // namespace coir
