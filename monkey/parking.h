// The parking lot: where fibers wait for what lies at an address, as threads do in the kernel's futexes. What the
// pthread family waits with, and what a futex(2) of a fiber is.
//
// Process-wide: a table of buckets that addresses are hashed to, made when the first fiber parks. A bucket has a
// thread_lock, the queue of those that wait at its addresses, first come first, and a count that tells others without
// the lock whether anybody does: so who unlocks something that nobody waits for pays for one load. The address is only
// a name: nothing is read from it here, and what lay there may be gone when one that was woken goes on.
//
// No wake is lost: who parks counts itself in before it looks, under the lock, whether it still has to wait; who lets
// go does that first, with a locked instruction, and then looks at the count. One of the two sees the other.
//
// Handlers of signals may let go, too (sem_post is async-signal-safe): what they wake goes the way of another thread's
// wakes, and one that interrupts a holder of a bucket's lock on its own thread leaves the waking to that.
#pragma once

#include "fiber/thread_lock.h"
#include "hub/handlers.h"
#include "hub/hub.h"
#include "hub/scheduler.h"
#include "hub/waiter.h"
#include "monkey/in_fiber.h"
#include "monkey/looking_again.h"
#include "monkey/time_limit.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>

namespace coir::monkey {

/// What a kill of the waiting fiber, or a timeout of coir's, does to a wait.
enum class leaving : std::uint8_t {
    never,   ///< nothing: the caller could not be told
    once,    ///< ends the wait that it comes in, and no later one: callers that do not know it look, and wait again
    at_once, ///< ends this wait, and each that begins before it was thrown
};

constexpr std::uint32_t any_bits = ~std::uint32_t{0};
constexpr std::size_t all_of_them = std::numeric_limits<std::size_t>::max();

namespace detail {

struct parked : waiter {
    void const* address = nullptr;
    std::uint64_t arrival = 0; // its number in the bucket, which it keeps when it has to wait again; 0: none yet
    std::uint32_t bits = any_bits;
};

struct alignas(64) bucket {
    thread_lock lock;
    std::atomic<std::uint32_t> count{0}; // of those in the queue, and those that are about to be
    std::uint64_t arrivals = 0;
    wait_queue waiting; // sorted by arrival

    void add(parked& one) noexcept;
};

constexpr unsigned bucket_bits = 10;

extern constinit std::atomic<bucket*> buckets;

inline std::size_t index_of(void const* address) noexcept {
    return std::size_t((reinterpret_cast<std::uintptr_t>(address) >> 2) * 0x9e3779b97f4a7c15u >> (64 - bucket_bits));
}

/// The bucket of `address`; makes the table. Throws std::bad_alloc.
bucket& bucket_of(void const* address);

/// A bucket's lock, with a note for handlers of this thread that it is held.
class bucket_hold {
public:
    explicit bucket_hold(bucket& of) noexcept;
    ~bucket_hold();
    bucket_hold(bucket_hold const&) = delete;

private:
    bucket& of_;
};

std::size_t unpark_now(void const* address, std::size_t count, std::uint32_t bits) noexcept;

} // namespace detail

/// Wakes the first `count` that wait at `address` with one of `bits`; returns how many. What they wait for was changed
/// by a locked instruction before, as libc's unlocking does. Any thread, also in a handler of a signal.
inline std::size_t unpark(void const* address, std::size_t count = 1, std::uint32_t bits = any_bits) noexcept {
#if !defined(__x86_64__)
    std::atomic_thread_fence(std::memory_order_seq_cst); // x86: a locked instruction is a fence
#endif
    detail::bucket* const table = detail::buckets.load(std::memory_order_acquire);
    if (!table || table[detail::index_of(address)].count.load(std::memory_order_relaxed) == 0) [[likely]]
        return 0;
    return detail::unpark_now(address, count, bits);
}

/// The running fiber, as it waits at an address, however often it has to wait again: it keeps its place.
class parking {
public:
    /// `what` is a literal, for reports. `ended_by`: the handlers of signals that end the wait, if any do.
    parking(void const* address, char const* what, leaving how, std::optional<handlers> ended_by = {},
            std::uint32_t bits = any_bits);
    ~parking() {
        if (announced_) withdraw(); // something was thrown
    }
    parking(parking const&) = delete;

    /// **Parks.** Until unparked (ready), `until` has passed, or what the constructor was told. Not at all, and ready,
    /// if `still_needed`, called under the lock, says no; interrupted, if a handler ran since the last time. Throws std::bad_alloc before anything happened.
    template <class StillNeeded>
    wake_reason wait(StillNeeded still_needed, deadline until = {}) {
        {
            detail::bucket_hold const held{bucket_};
            bucket_.count.fetch_add(1, std::memory_order_seq_cst);
            bool const needed = still_needed();
            if (!needed || (ended_by_ && !or_a_handler_.arm(*ended_by_))) {
                bucket_.count.fetch_sub(1, std::memory_order_relaxed);
                return needed ? wake_reason::interrupted : wake_reason::ready;
            }
            queue();
        }
        return park(until);
    }

    /// The same in steps, for what is to happen in between: from announce() on it can be unparked; then park() or
    /// withdraw(), and nothing between them that parks. For waits that no handler ends.
    void announce() noexcept;
    wake_reason park(deadline until = {});
    void withdraw() noexcept;

private:
    void queue() noexcept;
    void leave_queue() noexcept;

    detail::bucket& bucket_;
    char const* const what_;
    leaving const how_;
    std::optional<handlers> const ended_by_;
    ended_by_handlers or_a_handler_;
    detail::parked one_;
    bool announced_ = false;
};

/// **Parks.** Calls `attempt`, under the lock, until it returns something else than EBUSY, and returns that; or
/// ETIMEDOUT, ECANCELED, EINTR. `unseen()`: what it waits for may come without an unpark.
template <class Attempt, class Unseen>
int park_until(parking& here, Attempt attempt, time_limit const& limit, Unseen unseen) {
    looking_again again;
    for (;;) {
        if (limit.over()) {
            int const last = attempt();
            return last == EBUSY ? ETIMEDOUT : last;
        }
        deadline until = limit.next();
        if (unseen()) until = std::min(until, again.next());
        int result = EBUSY;
        wake_reason const why = here.wait([&] { return (result = attempt()) == EBUSY; }, until);
        if (result != EBUSY) return result;
        if (why == wake_reason::cancelled) return ECANCELED;
        if (why == wake_reason::interrupted) return EINTR;
    }
}

} // namespace coir::monkey
