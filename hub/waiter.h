// Who waits, and the queues they wait in. A waiter lies on the stack of the fiber that waits, so a wait allocates
// nothing; it is in at most one queue, and leaves it before its wait returns.
//
// The invariant that keeps stale wakes out: a waiter carries its fiber's epoch, which moves on at every wake.
#pragma once

#include "fiber/context.h"

namespace coir {

struct waiter {
    waiter* next = nullptr; // in the queue's ring; null while in none
    waiter* previous = nullptr;
    context* who = nullptr;
    std::uint32_t epoch = 0;

    waiter() = default;
    explicit waiter(context& waiting) noexcept : who(&waiting), epoch(waiting.epoch) {}
    waiter(waiter const&) = delete;
    waiter& operator=(waiter const&) = delete;

    bool queued() const noexcept { return next != nullptr; }

    void unlink() noexcept {
        next->previous = previous;
        previous->next = next;
        next = previous = nullptr;
    }
};

/// First in, first out; leaving from the middle is O(1). Belongs to the thing that is waited for.
class wait_queue {
public:
    wait_queue() noexcept { head_.next = head_.previous = &head_; }

    bool empty() const noexcept { return head_.next == &head_; }

    void push(waiter& last) noexcept {
        last.next = &head_;
        last.previous = head_.previous;
        head_.previous->next = &last;
        head_.previous = &last;
    }

    waiter& pop() noexcept {
        waiter& first = *head_.next;
        first.unlink();
        return first;
    }

private:
    waiter head_; // of a ring: an empty queue is linked to itself
};

} // namespace coir
