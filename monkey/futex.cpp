// futex(2), which programs call by syscall(2): libstdc++ for std::atomic's waits, for std::future and for the guards of
// function-local statics. A fiber waits in the parking lot; wakes of any thread look there first.
//
// A wake by another process is not seen: unless the caller says that its futex is private (libstdc++'s guards do not),
// the fiber looks again after a while whether the number has changed. Requeueing wakes those fibers that it would have
// moved, and FUTEX_WAKE_OP those of both addresses: futex(2) lets a wait end without a reason. What has to do with
// priority inheritance, and futex_waitv, blocks. A fiber that is killed in a wait is told EINTR, once.

#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/parking.h"
#include "monkey/times.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <linux/futex.h>

namespace coir::monkey {
namespace {

int load(int const* word) noexcept { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }

// Between the store of who wakes, which need not be a locked instruction, and its look at who waits.
void full_fence() noexcept {
#if defined(__x86_64__)
    asm volatile("lock; orl $0, -4(%%rsp)" ::: "memory", "cc"); // ThreadSanitizer knows no fences
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

struct futex_wait_call {
    int* word;
    int operation; // with its flags
    int expected;
    timespec const* limit;
    unsigned bits;

    bool is_absolute() const noexcept { return (operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET; }
    bool is_private() const noexcept { return operation & FUTEX_PRIVATE_FLAG; }

    // The kernel's word, without waiting: whether the number has changed, and every error. ETIMEDOUT: it would block.
    long attempt() const noexcept {
        timespec const over{};
        return kernel(SYS_futex, word, operation, expected, &over, nullptr, bits);
    }
};

long wait(futex_wait_call const& call) {
    if (call.limit && !valid(*call.limit)) return -EINVAL;
    if (long const result = call.attempt(); result != -ETIMEDOUT) return result;
    timespec end{};
    if (call.limit && !call.is_absolute()) {
        deadline const until = deadline_after(*call.limit);
        end = {until.ns() / 1'000'000'000, until.ns() % 1'000'000'000};
    } else if (call.limit) {
        end = *call.limit;
    }
    bool const by_real_time = call.is_absolute() && call.operation & FUTEX_CLOCK_REALTIME;
    time_limit const limit{by_real_time ? CLOCK_REALTIME : CLOCK_MONOTONIC, call.limit ? &end : nullptr};
    parking here{call.word, "futex", leaving::once, call.limit ? handlers::any : handlers::without_restart, call.bits};
    looking_again again;
    while (!limit.over()) {
        bool changed = false;
        deadline until = limit.next();
        if (!call.is_private()) until = std::min(until, again.next());
        wake_reason const why = here.wait(
            [&] {
                changed = load(call.word) != call.expected;
                return !changed;
            },
            until);
        if (changed) return -EAGAIN;
        if (why == wake_reason::ready) return 0;
        if (why == wake_reason::cancelled || why == wake_reason::interrupted) return -EINTR;
    }
    return -ETIMEDOUT;
}

long wake(int* word, int operation, int count, unsigned bits) noexcept {
    full_fence();
    std::size_t const wanted = std::size_t(std::max(count, 1)); // the kernel's 0 wakes one, too
    std::size_t const woken = unpark(word, wanted, bits);
    if (woken == wanted) return long(woken);
    long const others = kernel(SYS_futex, word, operation, int(wanted - woken), nullptr, nullptr, bits);
    return others < 0 && woken == 0 ? others : long(woken) + std::max(others, 0l);
}

// `count` are woken at `word`, and as many as `more` woken or moved.
long wake_and_requeue(int* word, int operation, int count, long more, int* other, unsigned third) noexcept {
    long const result = kernel(SYS_futex, word, operation, count, more, other, third);
    if (result < 0) return result;
    long woken = long(unpark(word, std::size_t(std::max(count, 0)) + std::size_t(std::clamp(more, 0l, long(INT_MAX)))));
    if ((operation & FUTEX_CMD_MASK) == FUTEX_WAKE_OP) woken += long(unpark(other, all_of_them));
    return result + woken;
}

} // namespace

long body::futex(int* word, int operation, int number, timespec const* limit, int* other, unsigned third) {
    auto const more = reinterpret_cast<long>(limit); // what the others take there
    switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
        if (!in_fiber()) break;
        return wait({word, operation, number, limit, any_bits});
    case FUTEX_WAIT_BITSET:
        if (!in_fiber()) break;
        return wait({word, operation, number, limit, third});
    case FUTEX_WAKE: return wake(word, operation, number, any_bits);
    case FUTEX_WAKE_BITSET:
        if (third == 0) return -EINVAL;
        return wake(word, operation, number, third);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_WAKE_OP: return wake_and_requeue(word, operation, number, more, other, third);
    default: break;
    }
    return kernel(SYS_futex, word, operation, number, limit, other, third);
}

} // namespace coir::monkey
