// Barriers: fibers and threads come to one, and the last is to let all go on. libc cannot be told of fibers that came
// without one of its waits for each; so the rounds are counted here, for all threads and from the program's start on
// (rows ALWAYS): nobody is ever in libc's. pthread_barrier_wait is no cancellation point and ends by nothing else, so a
// thread may as well wait here; and so does a fiber that is killed.
//
// A barrier that is shared with other processes is libc's: a fiber comes to it by a thread of its own (lasting.h).

#include "fiber/at_fork.h"
#include "fiber/futex.h"
#include "fiber/thread_lock.h"
#include "monkey/bodies.h"
#include "monkey/lasting.h"
#include "monkey/libc_layout.h"
#include "monkey/parking.h"
#include "monkey/real.h"

#include <mutex>
#include <pthread.h>

namespace coir::monkey {
namespace {

// A thread without fibers, or a hub in a callback.
struct waiting_thread : waiter_group {
    std::atomic<int> goes_on{0};
    bool take(waiter&) noexcept override {
        goes_on.store(1, std::memory_order_release);
        futex_wake(goes_on, 1); // it may be gone already: the address is enough
        return true;
    }
    void wait() noexcept {
        while (!goes_on.load(std::memory_order_acquire)) futex_wait(goes_on, 0);
    }
};

struct arrival : waiter {
    bool released = false; // the last has come; whether this one could be granted or was just being interrupted
    ~arrival() {
        if (queued()) unlink();
    }
};

// Those that have come to a barrier since it last let all go on. Lies on the stack of the first of them, which leaves
// after the last has come.
struct round {
    pthread_barrier_t const* of;
    unsigned came = 0;
    wait_queue waiting;
    round* next = nullptr;
};

constinit thread_lock lock;
constinit round* first_round = nullptr;

void forget_all_in_child() noexcept {
    new (&lock) thread_lock;
    first_round = nullptr;
}
COIR_AT_FORK(forks) = {at_fork::order::others, nullptr, nullptr, &forget_all_in_child};

round** find(pthread_barrier_t const* barrier) noexcept {
    round** link = &first_round;
    while (*link && (*link)->of != barrier) link = &(*link)->next;
    return link;
}

void end(round** link) noexcept {
    round& over = **link;
    *link = over.next;
    while (!over.waiting.empty()) {
        auto& one = static_cast<arrival&>(over.waiting.pop());
        one.released = true;
        grant(one);
    }
}

[[gnu::noinline]] void wait_as_thread(arrival& one, std::unique_lock<thread_lock>& held) noexcept {
    waiting_thread me;
    one.group = &me;
    held.unlock();
    me.wait();
    held.lock(); // whoever let it go on has let go of `me` then
}

[[gnu::noinline]] void wait_as_fiber(arrival& one, std::unique_lock<thread_lock>& held) {
    context& self = *this_thread.current;
    one.who = &self;
    one.home = this_scheduler.owner;
    while (!one.released) {
        one.epoch = self.epoch;
        held.unlock();
        park_through(self, "pthread barrier", -1, deadline::never());
        held.lock();
    }
}

void wait_in(round& in, std::unique_lock<thread_lock>& held) {
    arrival one;
    in.waiting.push(one);
    if (in_fiber())
        wait_as_fiber(one, held);
    else
        wait_as_thread(one, held);
}

constexpr long last_of_all = -PTHREAD_BARRIER_SERIAL_THREAD; // as an error would be returned

long wait_in_libc(pthread_barrier_t* barrier) {
    auto const wait = [=] { return long(-real.pthread_barrier_wait(barrier)); };
    return in_fiber() ? lasting_through(wait, "shared pthread barrier") : wait();
}

} // namespace

long body::pthread_barrier_wait(pthread_barrier_t* barrier) {
    if (is_shared(barrier)) return wait_in_libc(barrier);
    fork_table::look_after();
    unsigned const count = count_of(barrier);
    std::unique_lock held{lock};
    round** const link = find(barrier);
    unsigned const came = 1 + (*link ? (*link)->came : 0);
    if (came >= count) {
        if (*link) end(link);
        return last_of_all;
    }
    if (*link) {
        (*link)->came = came;
        wait_in(**link, held);
    } else {
        round mine{barrier, came, {}, first_round};
        first_round = &mine;
        wait_in(mine, held);
    }
    return 0;
}

} // namespace coir::monkey
