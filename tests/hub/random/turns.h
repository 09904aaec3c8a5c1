// What a player can do in a turn: a wait of every kind, and what it has to find when the wait is over. What
// interrupts a wait leaves the turn; then nothing may have been done.
#pragma once

#include "tests/hub/random/world.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace turns {

using coir::deadline;

// Calls something that waits and that throws when it is interrupted while it is parked.
template <class F>
auto strictly(world& in, player& me, F&& wait) {
    struct strictness {
        player& of;
        explicit strictness(player& who) noexcept : of(who) {
            of.waits_strictly = true;
            of.must_throw = false;
        }
        ~strictness() { of.waits_strictly = false; }
    } const from_here{me};
    auto result = wait();
    in.check(!me.must_throw, "a wait was interrupted, but returned as if it had not been");
    return result;
}

// Calls something that waits in a queue and says whether it was granted.
template <class F>
auto in_turn(world& in, player& me, turn_order& order, F&& wait) {
    if (in.several) return strictly(in, me, wait);
    std::uint64_t const ticket = order.come();
    coir::context const& self = coir::context::current();
    auto const epoch = self.epoch;
    auto granted = strictly(in, me, wait);
    if (granted && self.epoch != epoch && !self.interruptions)
        in.check(order.served(ticket), "who waited longer was passed over");
    return granted;
}

inline void must_be_late(world& in, deadline until) {
    in.check(!until.is_never(), "a wait without a deadline timed out");
    in.check(in.several || coir::steady_now() >= until.ns(), "a wait timed out before its deadline");
}

// Waits with something in hand.
inline void linger(player& me) {
    if (me.roll.chance(40)) coir::yield();
    if (me.roll.chance(20)) coir::sleep(soon(me.roll));
}

inline player& somebody(world& in, player& me) { return in.players[me.roll.below(in.players.size())]; }

template <class Stock>
void entered(world& in, Stock& to, int number, int rank) {
    to.books.put(number);
    if constexpr (!requires { to.of.balance(); }) {
        if (in.several) return;
        to.inside.push_back({number, rank});
        in.check(to.of.size() == to.inside.size(), "a queue holds another number of items than came and went");
    }
}

template <class Queue>
auto next_of(stock<Queue>& from) {
    return from.inside.begin();
}
inline auto next_of(stock<coir::lifo_queue<item>>& from) { return from.inside.end() - 1; }
inline auto next_of(stock<coir::priority_queue<item>>& from) {
    return std::ranges::min_element(from.inside, {}, &std::pair<int, int>::second);
}

template <class Stock>
void is_next(world& in, Stock& from, item const& got) {
    if (in.several) return;
    in.check(!from.inside.empty() && next_of(from)->first == got.number, "a queue gave another item than the next");
}

template <class Stock>
void left(world& in, Stock& from, item const& got) {
    in.check(got.number >= 0, "an item that was got had been moved from");
    from.books.got(got.number);
    if constexpr (!requires { from.of.balance(); }) {
        if (in.several) return;
        is_next(in, from, got);
        from.inside.erase(next_of(from));
        in.check(from.of.size() == from.inside.size(), "a queue holds another number of items than came and went");
    }
}

template <class Stock>
void put_into(world& in, player& me, Stock& to) {
    if (!to.books.can_make()) return;
    item one = to.books.made(int(me.roll.below(4)));
    int const number = one.number, rank = one.rank;
    deadline const until = soon_or_never(in, me.roll);
    bool const at_once = me.roll.chance(20);
    bool const done = at_once ? to.of.try_put(std::move(one))
                              : in_turn(in, me, to.putting, [&] { return to.of.put(std::move(one), until); });
    if (done) return entered(in, to, number, rank);
    in.check(one.number == number, "an item is gone, but its put() failed");
    if (!at_once) must_be_late(in, until);
}

template <class Stock>
bool get_from(world& in, player& me, Stock& from) {
    bool const at_once = me.roll.chance(20);
    deadline const until = soon_or_never(in, me.roll);
    std::optional<item> const got =
        at_once ? from.of.try_get() : in_turn(in, me, from.getting, [&] { return from.of.get(until); });
    if (got)
        left(in, from, *got);
    else if (!at_once)
        must_be_late(in, until);
    return got.has_value();
}

template <class F>
void with_some_queue(world& in, player& me, F&& use) {
    switch (me.roll.below(5)) {
    case 0: return use(in.line);
    case 1: return use(in.bounded_line);
    case 2: return use(in.pile);
    case 3: return use(in.ranking);
    default: return use(in.work);
    }
}

// descriptor_turns.cpp
void sleep_a_while(world& in, player& me);
void step_aside(world& in, player& me);
void wait_for_descriptor(world& in, player& me);
void send_byte(world& in, player& me);
void close_descriptor(world& in, player& me);

// primitive_turns.cpp
void wait_for_event(world& in, player& me);
void signal_event(world& in, player& me);
void take_permit(world& in, player& me);
void take_seat(world& in, player& me);
void enter_room(world& in, player& me);
void pass_gate(world& in, player& me);
void wait_for_news(world& in, player& me);
void send_news(world& in, player& me);
void meet(world& in, player& me);
void count_down(world& in, player& me);
void answer(world& in, player& me);

// queue_turns.cpp
void put_item(world& in, player& me);
void get_item(world& in, player& me);
void look_at_item(world& in, player& me);
void wait_for_work_done(world& in, player& me);
void put_to_channel(world& in, player& me);
void get_from_channel(world& in, player& me);

// several_turns.cpp
void choose(world& in, player& me);
void wait_for_several(world& in, player& me);

// fiber_turns.cpp
void join_somebody(world& in, player& me);
void kill_somebody(world& in, player& me);
void kill_several(world& in, player& me);
void spawn_somebody(world& in, player& me);
void link_to_somebody(world& in, player& me);
void link_to_source(world& in, player& me);

// elsewhere_turns.cpp
void have_it_done(world& in, player& me);
void post_something(world& in, player& me);
void generate(world& in, player& me);

} // namespace turns
