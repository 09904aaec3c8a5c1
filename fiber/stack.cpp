// The way of a stack: carved once from a slab of the process and guarded, then for ever handed round, warm from its
// thread's cache (last in, first out) or, when that is empty, cold from the process's pool. Trimming takes what a
// thread's cache did not need for a while, gives its memory to the kernel and its address space to the pool.

#include "fiber/stack.h"

#include "fiber/at_fork.h"
#include "fiber/never_destroyed.h"
#include "fiber/overflow.h"
#include "fiber/sanitizer.h"
#include "fiber/thread_end.h"
#include "fiber/thread_lock.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 // linux/mman.h since 6.13
#endif
#ifndef PIDFD_SELF_THREAD
#define PIDFD_SELF_THREAD -10000 // linux/pidfd.h: the calling thread, without a descriptor
#endif

namespace coir {
namespace {

constexpr std::size_t slab_size = std::size_t{64} << 20;
constexpr std::size_t class_count = std::bit_width(largest_stack / smallest_stack);

std::size_t class_of(std::size_t size) noexcept {
    return size <= smallest_stack ? 0 : std::bit_width((size - 1) / smallest_stack);
}

std::size_t size_of_class(std::size_t index) noexcept { return smallest_stack << index; }

std::atomic<stack_guard> guard_kind{stack_guard::undecided};

[[noreturn]] void fail(int error, std::string const& what) {
    throw std::system_error(error, std::generic_category(), what);
}

void install_guard(std::byte* guard) {
    stack_guard const kind = guard_kind.load(std::memory_order_relaxed);
    if (kind != stack_guard::mprotect) {
        if (madvise(guard, stack_guard_size, MADV_GUARD_INSTALL) == 0)
            return guard_kind.store(stack_guard::lightweight, std::memory_order_relaxed);
        if (kind == stack_guard::undecided) // a kernel before 6.13
            guard_kind.store(stack_guard::mprotect, std::memory_order_relaxed);
        else if (errno != EINVAL) // as in memory that is locked: mlockall(MCL_FUTURE)
            fail(errno, "guard a fiber's stack with MADV_GUARD_INSTALL");
    }
    if (mprotect(guard, stack_guard_size, PROT_NONE) != 0)
        fail(errno, "guard a fiber's stack with mprotect (each takes one mapping; "
                    "sysctl vm.max_map_count raises how many a process may have)");
}

constexpr std::size_t guards_at_once = 16;

constinit std::atomic<bool> on_valgrind{false}; // known when there is a stack

// The same for some of `count` stacks that follow each other, one at least; returns for how many. In one call where the
// kernel takes that, which costs less than half as much; Valgrind would complain of it.
std::size_t install_guards(std::byte* first, std::size_t count, std::size_t stride) {
    static constinit std::atomic<bool> one_each{false};
    if (count > 1 && guard_kind.load(std::memory_order_relaxed) == stack_guard::lightweight &&
        !one_each.load(std::memory_order_relaxed) && !on_valgrind.load(std::memory_order_relaxed)) {
        std::array<iovec, guards_at_once> guards;
        count = std::min(count, guards.size());
        for (std::size_t i = 0; i < count; ++i) guards[i] = {first + i * stride, stack_guard_size};
        int const before = errno;
        long const done = syscall(SYS_process_madvise, PIDFD_SELF_THREAD, guards.data(), count, MADV_GUARD_INSTALL, 0);
        if (done >= long(stack_guard_size)) return std::size_t(done) / stack_guard_size;
        if (errno != ENOMEM && errno != EINTR) one_each.store(true, std::memory_order_relaxed);
        errno = before;
    }
    install_guard(first);
    return 1;
}

constinit thread_lock pool_lock;
COIR_AT_FORK(lock_in_child) = free_in_child<pool_lock>;

// The stacks of the process that no thread keeps warm, and the slabs that new ones are carved from. A child of a fork
// is to find them as they are between two calls, not in the middle of another thread's.
class stack_pool {
public:
    static stack_pool& instance();

    std::byte* acquire(std::size_t index) {
        std::lock_guard held{pool_lock};
        auto& shelf = shelves_[index];
        if (shelf.idle.empty()) return carve(shelf, size_of_class(index));
        std::byte* base = shelf.idle.back();
        shelf.idle.pop_back();
        return base;
    }

    // Gives the memory of `bases` to the kernel and keeps their address space.
    void retire(std::size_t index, std::byte** first, std::byte** last) noexcept {
        std::sort(first, last);
        std::size_t const size = size_of_class(index);
        for (std::byte** run = first; run != last;) {
            std::byte** end = run + 1; // neighbours go in one call; MADV_DONTNEED leaves guards in place
            while (end != last && *end == end[-1] + size + stack_guard_size) ++end;
            madvise(*run, std::size_t(end[-1] - *run) + size, MADV_DONTNEED);
            run = end;
        }
        std::lock_guard held{pool_lock};
        auto& idle = shelves_[index].idle;
        idle.insert(idle.end(), first, last); // carve() reserved the room
    }

private:
    struct shelf {
        std::vector<std::byte*> idle;
        std::byte* fresh = nullptr;   // [fresh, end) of the last slab is not carved yet …
        std::byte* guarded = nullptr; // … but its stacks up to here have their guards
        std::byte* end = nullptr;
        std::size_t carved = 0;
    };

    std::byte* carve(shelf& from, std::size_t size) {
        std::size_t const stride = size + stack_guard_size;
        if (std::size_t(from.end - from.fresh) < stride) reserve_slab(from, stride);
        if (from.idle.capacity() <= from.carved) from.idle.reserve(std::max<std::size_t>(64, 2 * from.carved));
        if (from.fresh == from.guarded) {
            constexpr std::size_t many = 64; // a process with fewer has no use for guards ahead
            std::size_t const ahead = from.carved < many ? 1 : std::size_t(from.end - from.fresh) / stride;
            from.guarded += install_guards(from.fresh, ahead, stride) * stride;
        }
        std::byte* const guard = std::exchange(from.fresh, from.fresh + stride);
        ++from.carved;
        on_valgrind.store(runs_on_valgrind(), std::memory_order_relaxed);
        register_stack_with_valgrind(guard + stack_guard_size, size);
        return guard + stack_guard_size;
    }

    static void reserve_slab(shelf& to, std::size_t stride) {
        for (std::size_t bytes = std::max(slab_size / stride, std::size_t{1}) * stride;; bytes = stride) {
            void* slab =
                mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (slab != MAP_FAILED) {
                madvise(slab, bytes, MADV_NOHUGEPAGE); // a huge page would make a whole slab resident at once
                to.fresh = to.guarded = static_cast<std::byte*>(slab);
                to.end = to.fresh + bytes;
                return;
            }
            if (bytes == stride) fail(errno, "reserve address space for a fiber's stack");
        }
    }

    std::array<shelf, class_count> shelves_;
};

constinit never_destroyed<stack_pool> the_pool;

stack_pool& stack_pool::instance() { return *the_pool; }

// One thread's warm stacks of one class.
struct warm_stacks {
    std::size_t idle = 0;      // the first so many of …
    std::size_t low_water = 0; // the fewest that were idle at once since the last trim: nobody needed these
    std::vector<std::byte*> bases;
};

struct thread_cache : thread_ending {
    std::array<warm_stacks, class_count> classes;

    thread_cache() noexcept : thread_ending{&at_end} {}

    static void at_end(thread_ending& which) noexcept;

    void retire(std::size_t index, std::size_t coldest) noexcept {
        if (coldest == 0) return;
        auto& warm = classes[index];
        std::byte** const first = warm.bases.data();
        stack_pool::instance().retire(index, first, first + coldest);
        std::copy(first + coldest, first + warm.idle, first);
        warm.idle -= coldest;
    }
};

// Null on threads that never acquired a stack, and again when a thread ends.
constinit thread_local thread_cache* cache = nullptr;

void thread_cache::at_end(thread_ending& which) noexcept {
    std::unique_ptr<thread_cache> const self{static_cast<thread_cache*>(&which)};
    cache = nullptr;
    for (std::size_t i = 0; i < class_count; ++i) self->retire(i, self->classes[i].idle);
}

[[gnu::noinline]] void make_cache() {
    fork_table::look_after();
    auto made = std::make_unique<thread_cache>();
    at_thread_end(*made);
    cache = made.release();
    report_overflows_on_this_thread();
}

std::size_t parse_size(char const* text) {
    std::size_t size = 0;
    auto const* end = text + std::strlen(text);
    auto [rest, error] = std::from_chars(text, end, size);
    std::size_t unit = 1;
    if (rest != end && (*rest == 'K' || *rest == 'k'))
        unit = 1024, ++rest;
    else if (rest != end && (*rest == 'M' || *rest == 'm'))
        unit = 1024 * 1024, ++rest;
    if (error != std::errc{} || rest != end || size == 0 || size > largest_stack / unit)
        fail(EINVAL, "COIR_STACK_SIZE='" + std::string(text) + "': want bytes up to " + std::to_string(largest_stack) +
                         ", for example 65536, 256K or 1M");
    return size * unit;
}

// Not a static variable of a function's: a fork in the moment of its making would leave it locked in the child.
constinit std::atomic<std::size_t> known_default{0};

[[gnu::noinline]] std::size_t read_default() {
    char const* const text = std::getenv("COIR_STACK_SIZE");
    std::size_t const size = text ? parse_size(text) : std::size_t{64} * 1024;
    known_default.store(size, std::memory_order_relaxed);
    return size;
}

[[noreturn, gnu::noinline]] void fail_of_size(std::size_t size) {
    fail(EINVAL, "a stack of " + std::to_string(size) + " bytes: the largest is " + std::to_string(largest_stack));
}

[[noreturn, gnu::noinline]] void fail_of_function(stack where, std::size_t bytes) {
    fail(EINVAL, "a function with " + std::to_string(bytes) + " bytes of captures and arguments on a stack of " +
                     std::to_string(where.size) + " bytes: it may take half");
}

// How far below a stack's top what is placed there begins: in steps, so that not all fight for the same cache sets.
std::size_t stagger(stack where) noexcept {
    constexpr std::size_t steps = 48, step = 64;
    return reinterpret_cast<std::uintptr_t>(where.base) / stack_guard_size % steps * step;
}

void fetch_top(stack where) noexcept {
    constexpr std::size_t line = 64, control_block = 5;
    std::byte* const end = where.top() - stagger(where);
    for (std::size_t i = 1; i <= control_block + 1; ++i) __builtin_prefetch(end - i * line, 1);
}

[[gnu::noinline]] stack acquire_cold(std::size_t index) {
    cache->classes[index].low_water = 0;
    return {stack_pool::instance().acquire(index), size_of_class(index)};
}

// Where the cache cannot take it without memory, or there is none.
[[gnu::noinline]] void release_slowly(std::byte* base, std::size_t index) noexcept {
    if (cache) try {
            auto& warm = cache->classes[index];
            warm.bases.resize(std::max<std::size_t>(64, 2 * warm.bases.size()));
            warm.bases[warm.idle++] = base;
            return;
        } catch (std::bad_alloc const&) { // then it goes where room was reserved for it when it was made
        }
    stack_pool::instance().retire(index, &base, &base + 1);
}

} // namespace

std::size_t default_stack_size() {
    std::size_t const known = known_default.load(std::memory_order_relaxed);
    return known ? known : read_default();
}

// What is rare here, and in the two below, is elsewhere: in line it would have them save six registers.
stack acquire_stack(std::size_t size) {
    if (size == 0) size = default_stack_size();
    if (size > largest_stack) [[unlikely]]
        fail_of_size(size);
    std::size_t const index = class_of(size);
    if (!cache) [[unlikely]]
        make_cache();
    auto& warm = cache->classes[index];
    if (warm.idle == 0) [[unlikely]]
        return acquire_cold(index);
    size = size_of_class(index);
    std::size_t const left = --warm.idle;
    std::byte* const base = warm.bases[left];
    warm.low_water = std::min(warm.low_water, left);
    if (left > 1) fetch_top({warm.bases[left - 2], size}); // after some others: the page, and what will lie there first
    return {base, size};
}

void release_stack(stack unused) noexcept {
    unpoison_stack(unused.base, unused.size, on_valgrind.load(std::memory_order_relaxed));
    std::size_t const index = class_of(unused.size);
    if (cache) [[likely]] {
        auto& warm = cache->classes[index];
        if (warm.idle < warm.bases.size()) [[likely]] {
            warm.bases[warm.idle++] = unused.base;
            return;
        }
    }
    release_slowly(unused.base, index);
}

bool trim_stacks() noexcept {
    if (!cache) return false;
    bool more = false;
    for (std::size_t i = 0; i < class_count; ++i) {
        auto& warm = cache->classes[i];
        cache->retire(i, warm.low_water);
        warm.low_water = warm.idle;
        more |= warm.idle > 0;
    }
    return more;
}

stack_guard guard_in_use() noexcept { return guard_kind.load(std::memory_order_relaxed); }

std::byte* place_on_top(stack where, std::size_t bytes) {
    constexpr std::size_t line = 64;
    std::size_t const below_top = stagger(where) + (bytes + line - 1) / line * line;
    if (below_top > where.size / 2) [[unlikely]]
        fail_of_function(where, bytes);
    return where.top() - below_top;
}

} // namespace coir
