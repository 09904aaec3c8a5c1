#include "hub/waiter.h"

#include "hub/interruption.h"
#include "hub/scheduler.h"

namespace coir {

bool wait_queue::notify_one() noexcept {
    while (!empty())
        if (grant(pop())) return true;
    return false;
}

void wait_queue::notify_all() noexcept {
    while (!empty()) grant(pop());
}

void wait_queue::hand_out(std::size_t& left) noexcept {
    while (left > 0 && !empty()) {
        waiter& one = pop();
        bool const takes = one.takes; // it may be gone once it is granted
        if (grant(one) && takes) --left;
    }
}

wake_reason wait_queue::wait_quietly(waiter& one, std::unique_lock<thread_lock>& held, deadline until, char const* what,
                                     std::int64_t on) {
    context& self = fiber_that_waits();
    one.who = &self;
    one.home = this_scheduler.owner;
    one.epoch = self.epoch;
    push(one);
    held.unlock();
    wake_reason const why = until.is_never() ? park(self, what, on) : park(self, what, on, until); // the first is inline
    held.lock(); // whoever granted it has let go of it then
    if (one.queued()) one.unlink();
    return one.granted ? wake_reason::ready : why;
}

bool wait_queue::wait(waiter& one, std::unique_lock<thread_lock>& held, deadline until, char const* what,
                      std::int64_t on) {
    wake_reason const why = wait_quietly(one, held, until, what, on);
    if (why == wake_reason::cancelled) throw_interruption(*this_thread.current);
    return why == wake_reason::ready;
}

bool wait_queue::wait_through(std::unique_lock<thread_lock>& held, char const* what, bool (*is_there)(void*),
                              void* of) {
    if (is_there(of)) return false;
    context& self = fiber_that_waits();
    waiter one;
    one.who = &self;
    one.home = this_scheduler.owner;
    push(one);
    for (;;) {
        one.epoch = self.epoch;
        held.unlock();
        park_through(self, what);
        held.lock();
        if (one.granted) return true;
        if (is_there(of)) break;
        if (!one.queued()) push_front(one); // it was taken out in vain while it was interrupted
    }
    if (one.queued()) one.unlink();
    return false;
}

} // namespace coir
