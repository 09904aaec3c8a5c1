// Who waits, and the queues they wait in. A waiter lies on the stack of the fiber that waits, so a wait allocates
// nothing; it is in at most one queue, and leaves it before its wait returns.
//
// Two invariants keep wakes from being lost or doubled:
// * a waiter carries its fiber's epoch, which moves on at every wake: a wake that comes too late is recognised;
// * who takes a waiter out of a primitive's queue says so in `granted`, under the primitive's lock. Whatever else wakes
//   the fiber in that moment, it finds there that it has got what it waited for.
#pragma once

#include "fiber/context.h"
#include "fiber/thread_lock.h"
#include "hub/deadline.h"

#include <cstddef>
#include <mutex>

namespace coir {

class hub;
struct waiter;

/// Several waiters of one fiber, or something that is told without a fiber waiting.
struct COIR_API waiter_group {
    /// `one`, out of its queue, could be granted: true to take it. Under the lock of the queue's owner; any thread.
    /// Wakes the fiber itself if there is one to be woken.
    virtual bool take(waiter& one) noexcept = 0;
    /// Whether take() would say so now, as far as this thread can know.
    virtual bool would_take() const noexcept { return true; }

protected:
    ~waiter_group() = default;
};

// A place in a queue's ring; null while in none.
struct queue_place {
    queue_place* next = nullptr;
    queue_place* previous = nullptr;

    queue_place() = default;
    queue_place(queue_place const&) = delete;
    queue_place& operator=(queue_place const&) = delete;

    bool queued() const noexcept { return next != nullptr; }

    void unlink() noexcept {
        next->previous = previous;
        previous->next = next;
        next = previous = nullptr;
    }
};

struct waiter : queue_place {
    context* who = nullptr;
    hub* home = nullptr;           // the fiber's hub
    waiter_group* group = nullptr; // null for a wait for one thing
    void* slot = nullptr;          // what it brings, or where what it gets is put
    std::uint32_t epoch = 0;
    bool granted = false; // it was taken out because what it waits for is there
    bool takes = true;    // it uses up what it waits for; one that only looks leaves it to the next

    waiter() = default;
    explicit waiter(context& waiting) noexcept : who(&waiting), epoch(waiting.epoch) {}
};

/// First in, first out; leaving from the middle is O(1). Belongs to the thing that is waited for, whose lock it is
/// under.
class COIR_API wait_queue {
public:
    wait_queue() noexcept { head_.next = head_.previous = &head_; }
    ~wait_queue() {
        while (!empty()) pop(); // of fibers that are parked for good
    }

    bool empty() const noexcept { return head_.next == &head_; }

    void push(waiter& last) noexcept {
        last.next = &head_;
        last.previous = head_.previous;
        head_.previous->next = &last;
        head_.previous = &last;
    }

    void push_front(waiter& first) noexcept {
        first.previous = &head_;
        first.next = head_.next;
        head_.next->previous = &first;
        head_.next = &first;
    }

    waiter& pop() noexcept {
        waiter& first = static_cast<waiter&>(*head_.next);
        first.unlink();
        return first;
    }

    /// Has the first's memory fetched while something else is done, and then that of its fiber's control block; the
    /// queue must not be empty.
    void prefetch_first() const noexcept { __builtin_prefetch(static_cast<waiter*>(head_.next)); }
    void prefetch_who() const noexcept { __builtin_prefetch(static_cast<waiter*>(head_.next)->who); }

    /// Counts them.
    std::size_t count() const noexcept {
        std::size_t all = 0;
        for (queue_place const* each = head_.next; each != &head_; each = each->next) ++all;
        return all;
    }

    /// The first of which `is_it` says so; null if there is none.
    template <class Predicate>
    waiter* find(Predicate is_it) noexcept {
        for (queue_place* each = head_.next; each != &head_; each = each->next)
            if (auto& one = static_cast<waiter&>(*each); is_it(one)) return &one;
        return nullptr;
    }

    /// Calls `what` for each in order, until it returns false. It may unlink the one that it is called for.
    template <class Function>
    void for_each(Function what) noexcept {
        for (queue_place *each = head_.next, *next; each != &head_; each = next) {
            next = each->next;
            if (!what(static_cast<waiter&>(*each))) return;
        }
    }

    /// Grants the first that can still be granted; false if none can. The caller holds the lock.
    bool notify_one() noexcept;
    void notify_all() noexcept;
    /// Grants in order while `left` is not 0; each that takes what it waits for uses up one. The caller holds the lock.
    void hand_out(std::size_t& left) noexcept;

    /// **Parks.** The running fiber, at the end of the queue, until granted or `until` has passed; true if granted.
    /// Throws what interrupts it. `held` is the lock, released meanwhile and held again afterwards, also after
    /// throwing. `what`, a literal, and `on` go into reports.
    bool wait(std::unique_lock<thread_lock>& held, deadline until, char const* what, std::int64_t on = -1) {
        waiter one;
        return wait(one, held, until, what, on);
    }
    /// The same with a waiter that carries more.
    bool wait(waiter& one, std::unique_lock<thread_lock>& held, deadline until, char const* what, std::int64_t on = -1);
    /// The same, but tells what ended the wait, `cancelled`, instead of throwing: for hooks, whose callers are C.
    wake_reason wait_quietly(waiter& one, std::unique_lock<thread_lock>& held, deadline until, char const* what,
                             std::int64_t on = -1);
    /// The same for a wait that cannot be left: what interrupts it is thrown by the fiber's next one. While the fiber
    /// is about to run for that it can be granted nothing, and who would have done so finds an empty queue: so before
    /// each park `is_there()` tells, under the lock, whether what it waits for is there without; then it returns false.
    template <class IsThere>
    bool wait_through(std::unique_lock<thread_lock>& held, char const* what, IsThere is_there) {
        return wait_through(
            held, what, [](void* of) { return bool((*static_cast<IsThere*>(of))()); }, &is_there);
    }

private:
    bool wait_through(std::unique_lock<thread_lock>& held, char const* what, bool (*is_there)(void*), void* of);

    queue_place head_; // of a ring: an empty queue is linked to itself
};

} // namespace coir
