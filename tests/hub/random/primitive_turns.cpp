// Turns with events, semaphores and locks.

#include "tests/hub/random/turns.h"

namespace turns {

void wait_for_event(world& in, player& me) {
    std::size_t const which = me.roll.below(in.events.size());
    deadline const until = soon_or_never(in, me.roll);
    if (!in_turn(in, me, in.event_order[which], [&] { return in.events[which].wait(until); })) must_be_late(in, until);
}

void signal_event(world& in, player& me) {
    coir::event& which = me.roll.one_of(in.events);
    bool const pulse = me.roll.chance(50);
    if (pulse || me.roll.chance(50)) which.set();
    if (pulse || me.roll.chance(60)) which.clear();
}

void take_permit(world& in, player& me) {
    deadline const until = soon_or_never(in, me.roll);
    if (me.roll.chance(15)) {
        if (!strictly(in, me, [&] { return in.permits.wait(until); })) must_be_late(in, until);
        return;
    }
    bool const taken = me.roll.chance(20) ? in.permits.try_acquire()
                                          : in_turn(in, me, in.permit_order, [&] { return in.permits.acquire(until); });
    if (!taken) return;
    struct held {
        world& in;
        ~held() {
            --in.permits_taken;
            in.permits.release();
        }
    } const permit{in};
    in.check(++in.permits_taken <= in.permits_at_first + in.permits_added, "a semaphore was acquired too often");
    linger(me);
}

void take_seat(world& in, player& me) {
    deadline const until = soon_or_never(in, me.roll);
    if (!strictly(in, me, [&] { return in.seats.acquire(until); })) return must_be_late(in, until);
    struct held {
        world& in;
        ~held() {
            --in.seats_taken;
            in.seats.release();
        }
    } const seat{in};
    in.check(++in.seats_taken <= in.seats_at_first, "a bounded semaphore was acquired too often");
    linger(me);
}

void enter_room(world& in, player& me) {
    deadline const until = soon_or_never(in, me.roll);
    bool const mine =
        me.roll.chance(20) ? in.door.try_lock() : in_turn(in, me, in.door_order, [&] { return in.door.lock(until); });
    if (!mine) return;
    std::lock_guard const held{in.door, std::adopt_lock};
    struct stay {
        world& in;
        explicit stay(world& where) : in(where) { in.check(++in.in_the_room == 1, "two fibers hold a mutex"); }
        ~stay() { --in.in_the_room; }
    } const here{in};
    linger(me);
}

void pass_gate(world& in, player& me) {
    deadline const until = soon_or_never(in, me.roll);
    if (!strictly(in, me, [&] { return in.gate.lock(until); })) return must_be_late(in, until);
    std::lock_guard const held{in.gate, std::adopt_lock};
    in.check(++in.inside_gate == 1, "two fibers hold an rlock");
    struct stay {
        world& in;
        ~stay() { --in.inside_gate; }
    } const here{in};
    linger(me);
    std::lock_guard const again{in.gate};
    linger(me);
}

void wait_for_news(world& in, player& me) {
    deadline const until = soon_or_never(in, me.roll);
    std::unique_lock held{in.news_lock};
    struct presence {
        world& in;
        explicit presence(world& where) noexcept : in(where) { ++in.news_waiters; }
        ~presence() { --in.news_waiters; }
    } const here{in};
    if (in_turn(in, me, in.news_order, [&] { return in.news.wait(held, until); }))
        in.check(++in.news_read <= in.news_sent, "a condition was notified less often than waits for it returned true");
}

void send_news(world& in, player& me) {
    std::lock_guard const held{in.news_lock};
    if (me.roll.chance(70)) {
        ++in.news_sent;
        in.news.notify_one();
    } else {
        in.news_sent += in.news_waiters;
        in.news.notify_all();
    }
}

void meet(world& in, player& me) {
    try {
        // Not strictly: who is killed after having arrived, but before the last, goes through with the others.
        auto const missing = in.meeting.arrive_and_wait(soon_or_never(in, me.roll));
        in.check(missing < in.meeting.parties(), "more were missing at a barrier than it is for");
        ++in.met[missing];
    } catch (coir::broken_barrier const&) {
        in.meeting.reset();
    }
}

void count_down(world& in, player& me) {
    if (me.roll.chance(40) && in.counts_left.fetch_sub(1) > 0) in.countdown.count_down();
    deadline const until = soon_or_never(in, me.roll);
    if (strictly(in, me, [&] { return in.countdown.wait(until); }))
        in.check(in.counts_left <= 0, "a latch opened too early");
    else
        must_be_late(in, until);
}

void answer(world& in, player& me) {
    std::size_t const which = me.roll.below(in.answers.size());
    if (me.roll.chance(10) && !in.answer_claimed[which].exchange(true)) return in.answers[which].set(int(which));
    deadline const until = soon_or_never(in, me.roll);
    if (!strictly(in, me, [&] { return in.answers[which].wait(until); })) return must_be_late(in, until);
    in.check(in.answers[which].get() == int(which), "an async_result has another value than it was given");
}

} // namespace turns
