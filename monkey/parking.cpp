#include "monkey/parking.h"

#include "fiber/at_fork.h"
#include "monkey/signals.h"

#include <memory>
#include <new>
#include <pthread.h>

namespace coir::monkey {

namespace detail {

constinit std::atomic<bucket*> buckets{nullptr};

namespace {

constexpr std::size_t bucket_count = std::size_t{1} << bucket_bits;

// This thread's, for its handlers.
constinit thread_local bool holds_bucket = false;
constinit thread_local bool left_to_holder = false; // a handler could not wake whom it should have

// Of all who wait only the fiber that forked is left, and it does not wait. Another thread may have held a lock.
void forget_all_in_child() noexcept {
    bucket* const table = buckets.load(std::memory_order_relaxed);
    for (std::size_t i = 0; table && i < bucket_count; ++i) {
        new (&table[i].lock) thread_lock;
        table[i].count.store(0, std::memory_order_relaxed);
        new (&table[i].waiting) wait_queue; // what is in the old one lies on stacks that never run again
    }
    holds_bucket = false;
}
COIR_AT_FORK(forks) = {at_fork::order::others, nullptr, nullptr, &forget_all_in_child};

// Never destroyed: fibers may wait after static destruction has begun.
bucket* make_buckets() {
    fork_table::look_after();
    std::unique_ptr<bucket[]> made{new bucket[bucket_count]};
    bucket* seen = nullptr;
    if (!buckets.compare_exchange_strong(seen, made.get(), std::memory_order_seq_cst)) return seen;
    return made.release();
}

// In a handler the ready queue of its thread may be in the middle of a change. And a holder that makes up for a handler
// may find itself, queued and about to park.
bool grant_to(waiter& one) noexcept {
    if (one.group || (handlers_running() == 0 && one.who != this_thread.current)) return grant(one);
    one.granted = true;
    wake_elsewhere(*one.who, *one.home, one.epoch);
    return true;
}

template <class Matches>
std::size_t unpark_in(bucket& in, std::size_t count, Matches matches) noexcept {
    bucket_hold const held{in};
    std::size_t woken = 0;
    in.waiting.for_each([&](waiter& each) {
        if (woken == count) return false;
        if (!matches(static_cast<parked&>(each))) return true;
        each.unlink();
        in.count.fetch_sub(1, std::memory_order_relaxed);
        if (grant_to(each)) ++woken;
        return true;
    });
    return woken;
}

// Everybody may be who a handler meant: all look again.
void unpark_everybody() noexcept {
    bucket* const table = buckets.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < bucket_count; ++i)
        if (table[i].count.load(std::memory_order_relaxed) > 0)
            unpark_in(table[i], all_of_them, [](parked const& each) { return each.bits != 0; });
}

} // namespace

bucket& bucket_of(void const* address) {
    bucket* table = buckets.load(std::memory_order_acquire);
    if (!table) table = make_buckets();
    return table[index_of(address)];
}

void bucket::add(parked& one) noexcept {
    if (one.arrival == 0) {
        one.arrival = ++arrivals;
        return waiting.push(one);
    }
    waiter* const later = waiting.find([&](waiter& each) { return static_cast<parked&>(each).arrival > one.arrival; });
    if (!later) return waiting.push(one);
    one.next = later;
    one.previous = later->previous;
    later->previous->next = &one;
    later->previous = &one;
}

bucket_hold::bucket_hold(bucket& of) noexcept : of_(of) {
    holds_bucket = true;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    of_.lock.lock();
}

bucket_hold::~bucket_hold() {
    of_.lock.unlock();
    std::atomic_signal_fence(std::memory_order_seq_cst);
    holds_bucket = false;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (left_to_holder) [[unlikely]] {
        left_to_holder = false;
        unpark_everybody();
    }
}

std::size_t unpark_now(void const* address, std::size_t count, std::uint32_t bits) noexcept {
    if (holds_bucket) [[unlikely]] { // in a handler that interrupted the holder
        left_to_holder = true;
        return 0;
    }
    return unpark_in(bucket_of(address), count,
                     [&](parked const& each) { return each.address == address && (each.bits & bits) != 0; });
}

} // namespace detail

parking::parking(void const* address, char const* what, leaving how, std::optional<handlers> ended_by,
                 std::uint32_t bits)
    : bucket_(detail::bucket_of(address)), what_(what), how_(how), ended_by_(ended_by) {
    notice_handlers(); // also those that end nothing: they may unpark
    one_.address = address;
    one_.bits = bits;
}

void parking::queue() noexcept {
    one_.who = this_thread.current;
    one_.home = this_scheduler.owner;
    one_.epoch = one_.who->epoch;
    one_.granted = false;
    bucket_.add(one_);
    announced_ = true;
}

void parking::announce() noexcept {
    detail::bucket_hold const held{bucket_};
    bucket_.count.fetch_add(1, std::memory_order_seq_cst);
    queue();
}

void parking::withdraw() noexcept {
    detail::bucket_hold const held{bucket_};
    leave_queue();
}

void parking::leave_queue() noexcept {
    announced_ = false;
    if (!one_.queued()) return;
    one_.unlink();
    bucket_.count.fetch_sub(1, std::memory_order_relaxed);
}

// What interrupts a wait that cannot be left is passed over: the fiber waits on, in its place. If it was to be unparked
// while it was interrupted, it has lost its place, and others may have gone on: it looks again.
wake_reason parking::park(deadline until) {
    context& self = *one_.who;
    for (;;) {
        wake_reason const why =
            how_ == leaving::at_once ? coir::park(self, what_, -1, until) : coir::park_through(self, what_, -1, until);
        detail::bucket_hold const held{bucket_};
        bool const passed_over = why == wake_reason::cancelled && how_ == leaving::never;
        if (passed_over && one_.queued()) {
            one_.epoch = self.epoch;
            continue;
        }
        leave_queue();
        return one_.granted || passed_over ? wake_reason::ready : why;
    }
}

} // namespace coir::monkey
