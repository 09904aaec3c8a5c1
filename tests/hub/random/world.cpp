#include "tests/hub/random/world.h"

#include <algorithm>
#include <fcntl.h>
#include <set>
#include <sys/socket.h>
#include <unistd.h>

using coir::deadline;
using namespace std::chrono_literals;

void conduit::open() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw std::system_error(errno, std::generic_category(), "socketpair");
    written = read = 0;
}

void conduit::shut() noexcept {
    ++generation;
    for (int& end : ends) {
        coir::hub::forget_fd(end);
        close(std::exchange(end, -1));
    }
}

namespace {

// A world has few of the kinds, so that those meet often.
std::vector<int> some_kinds(dice roll) {
    std::vector<int> some;
    auto const enough = roll.chance(20) ? 40 : 3 + roll.below(8);
    while (some.size() < enough) some.push_back(int(roll.below(kinds_of_turns)));
    return some;
}

unsigned percent_of(dice roll, unsigned which) {
    for (unsigned i = 0; i < which; ++i) roll.next();
    return std::array{0u, 10u, 40u, 80u}[roll.below(4)];
}

} // namespace

world::world(std::uint64_t seed, bool several_threads, char const* test)
    : story(seed, test), several(several_threads), swallows(percent_of(dice(seed), 1)),
      limited(percent_of(dice(seed), 2)), patient(percent_of(dice(seed), 3)), kinds(some_kinds(dice(seed + 1))),
      permits(dice(seed).below(3)), permits_at_first(permits.value()), seats(1 + dice(seed).below(2)),
      seats_at_first(seats.value()), meeting(1 + dice(seed).below(4)), countdown(dice(seed).below(6)),
      counts_left(int(dice(seed).below(6))), line("queue"), bounded_line("bounded queue", 1 + dice(seed).below(3)),
      pile("lifo queue", dice(seed).below(3)), ranking("priority queue", dice(seed).below(4)),
      work("joinable queue", dice(seed).below(4)), exchange("channel") {
    for (conduit& each : conduits) each.open();
}

namespace {

struct limit_error {
    coir::timeout const* of;
};

// A turn under `depth` timeouts: each ends its own scope, once.
void under_limits(world& in, player& me, int depth) {
    if (depth == 0) return take_turn(in, me);
    struct scope {
        player& me;
        coir::timeout limit;
        scope(player& of, bool own_error)
            : me(of), limit(soon(of.roll), own_error ? std::make_exception_ptr(limit_error{&limit}) : nullptr) {
            me.limits.push_back(&limit);
        }
        ~scope() { me.limits.pop_back(); }
    } here{me, me.roll.chance(30)};
    auto const in_force = [&](coir::timeout const* which) { return std::ranges::count(me.limits, which) == 1; };
    bool raised = false;
    try {
        under_limits(in, me, depth - 1);
        if (me.roll.chance(10)) here.limit.restart(soon(me.roll));
        if (me.roll.chance(30)) coir::yield();
    } catch (coir::timed_out const& late) {
        in.check(std::ranges::count_if(me.limits, [&](auto const* each) { return each->raised(late); }) == 1,
                 "a timeout was raised outside of its scope");
        raised = here.limit.raised(late);
        if (!raised) throw;
    } catch (limit_error const& late) {
        in.check(in_force(late.of), "a timeout with an own error was raised outside of its scope");
        raised = late.of == &here.limit;
        if (!raised) throw;
    }
    if (!raised) return;
    in.check(here.limit.expired() && !here.limit.pending(), "a timeout was raised, but says that it has not passed");
    in.story.add(me.number, "  timed out", depth);
    try {
        coir::yield();
    } catch (coir::timed_out const& late) {
        in.check(!here.limit.raised(late), "a timeout was raised twice");
        throw;
    }
}

void live(world& in, player& me, int turns) {
    for (int i = 0; i < turns && !in.closing; ++i) {
        try {
            if (me.roll.chance(in.limited))
                under_limits(in, me, int(1 + me.roll.below(3)));
            else
                take_turn(in, me);
        } catch (poison const& deadly) {
            in.story.add(me.number, "  poisoned", deadly.number);
            in.check(deadly.target == me.number, "a fiber was killed that was not meant");
            std::lock_guard writing{in.writing};
            in.check(in.kills[std::size_t(deadly.number)].seen++ == 0, "a kill was thrown twice");
            if (in.closing || !me.roll.chance(in.swallows)) throw;
        } catch (coir::fiber_exit const&) {
            in.story.add(me.number, "  exits");
            in.check(me.exits_sent > 0, "fiber_exit was thrown in a fiber that nobody killed");
            if (in.closing || !me.roll.chance(in.swallows)) throw;
        }
        in.check(me.limits.empty(), "(test) a scope was not left");
    }
}

} // namespace

counted play(world& in, player& me, int turns) {
    me.begun = true;
    in.check(!in.own.has_value(), "a fiber has a local that it has not made");
    *in.own;
    struct end {
        world& in;
        player& of;
        ~end() {
            of.over = true;
            in.story.add(of.number, "over");
        }
    } const at_end{in, me};
    live(in, me, turns);
    coir::context const& self = coir::context::current();
    if (!self.interruptions) return {};
    try {
        coir::yield();
    } catch (poison const& deadly) {
        std::lock_guard writing{in.writing};
        in.check(in.kills[std::size_t(deadly.number)].seen++ == 0, "a kill was thrown twice");
        return {};
    } catch (coir::fiber_exit const&) {
        in.check(me.exits_sent > 0, "fiber_exit was thrown in a fiber that nobody killed");
        return {};
    }
    in.fail("a kill that waited for a fiber's next wait was not thrown by it");
    return {};
}

void kill_one(world& in, dice& roll, player& target, int killer) {
    coir::fiber<counted> const it = target.self;
    if (!it) return;
    bool const myself = killer == target.number;
    bool const unbegun = !in.several && !target.begun;
    bool const parked = !in.several && target.waits_strictly && it.control_block().state == coir::run_state::parked;
    coir::kill_options how;
    if (roll.chance(60)) {
        std::lock_guard writing{in.writing};
        int const number = int(in.kills.size());
        in.kills.emplace_back().target = target.number;
        how.error = std::make_exception_ptr(poison{number, target.number});
    } else {
        ++target.exits_sent;
    }
    how.block = killer >= 0 && roll.chance(60);
    if (how.block) how.until = soon_or_never(in, roll);
    in.story.add(killer, how.block ? "kills and waits" : "kills", target.number);
    if (parked) target.must_throw = true;
    bool const ended = it.kill(how);
    if (ended) in.check(it.ready(), "kill() returned true, but the fiber has not ended");
    if (how.block && how.until.is_never() && !myself) in.check(ended, "kill() did not wait for the end");
    if (unbegun) in.check(it.ready() && !target.begun, "a fiber that was killed before it began was not ended by that");
}

void poke(world& in, dice& roll) {
    switch (roll.below(6)) {
    case 0: in.events[0].set(); break;
    case 1: in.events[1].clear(); break;
    case 2:
        ++in.permits_added;
        in.permits.release();
        break;
    case 3:
        if (int const fd = roll.one_of(in.conduits).ends[1];
            fd >= 0 && send(fd, "p", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
            ++in.conduits[0].written;
        break;
    case 4:
        if (in.counts_left.fetch_sub(1) > 0) in.countdown.count_down();
        break;
    default: in.meeting.abort();
    }
}

namespace {

template <class Stock>
void close_stock(world& in, dice& roll, Stock& which) {
    if constexpr (requires { which.of.shutdown_now(); }) {
        if (roll.chance(30)) {
            which.books.drop();
            which.of.shutdown_now();
            if (!in.several) which.inside.clear();
        }
    }
    which.of.shutdown();
}

template <class F>
void for_each_stock(world& in, F&& what) {
    what(in.line);
    what(in.bounded_line);
    what(in.pile);
    what(in.ranking);
    what(in.work);
    what(in.exchange);
}

} // namespace

void close_all(world& in, dice& roll) {
    if (!in.closing.exchange(true)) {
        for_each_stock(in, [&](auto& each) { close_stock(in, roll, each); });
        for (conduit& each : in.conduits) {
            if (in.several)
                for (int const end : each.ends) coir::hub::forget_fd(end);
            else if (each.ends[0] >= 0)
                each.shut();
        }
        for (std::size_t i = 0; i < in.answers.size(); ++i)
            if (!in.answer_claimed[i].exchange(true)) in.answers[i].set(int(i));
    }
    for (coir::event& each : in.events) each.set();
    ++in.permits_added;
    in.permits.release();
    if (in.counts_left.fetch_sub(1) > 0) in.countdown.count_down();
    in.meeting.abort();
}

void audit(world& in) {
    auto const nobody_waits = [&](coir::source& in_what) {
        return !in_what.waiting.find([](coir::waiter const& each) { return each.who != nullptr; });
    };
    for (player const& each : in.players) in.check(each.self.ready(), "a fiber has not ended");
    for (coir::event& each : in.events) in.check(nobody_waits(each), "a waiter was left in an event");
    in.check(nobody_waits(in.permits) && nobody_waits(in.seats), "a waiter was left in a semaphore");
    in.check(nobody_waits(in.countdown), "a waiter was left in a latch");
    in.check(in.permits_taken == 0 && in.permits.value() == in.permits_at_first + in.permits_added,
             "a semaphore's value is not what it should be");
    in.check(in.seats.value() == in.seats_at_first, "a bounded semaphore's value is not what it should be");
    in.check(!in.door.locked() && !in.gate.locked() && !in.news_lock.locked(), "a lock is held by nobody that lives");
    for (std::size_t i = 1; i < in.meeting.parties(); ++i)
        in.check(in.met[i] == in.met[0], "some came through a barrier without the others");
    for_each_stock(in, [&](auto& each) {
        for (;;) { // what was left inside
            try {
                std::optional<item> const rest = each.of.try_get();
                if (!rest) break;
                each.books.got(rest->number);
            } catch (coir::queue_shut_down const&) {
                break;
            }
        }
        if (char const* const fault = each.books.fault()) in.fail(std::string(each.books.what()) + ": " + fault);
    });
    in.check(in.exchange.of.balance() == 0, "a waiter was left in a channel");
    for (kill_record const& each : in.kills) in.check(each.seen <= 1, "a kill was thrown twice");
    for (link_record const& each : in.links) {
        bool const wanted = each.kind == link_record::failure   ? !each.of.successful()
                            : each.kind == link_record::success ? each.of.successful()
                                                                : true;
        in.check(each.called <= int(wanted), "a link was called that was not to be");
        if (each.called_when_unlinked < 0)
            in.check(each.called == int(wanted), "a link was not called");
        else if (!in.several)
            in.check(each.called == each.called_when_unlinked, "a link was called after it had been taken back");
    }
}
