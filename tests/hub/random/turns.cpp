// What a player can do in a turn: a wait of every kind, and what it has to find when the wait is over. What
// interrupts a wait leaves the turn; then nothing may have been done.

#include "hub/interruption.h"
#include "hub/scheduler.h"
#include "tests/hub/random/virtual_time.h"
#include "tests/hub/random/world.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <sys/socket.h>

using coir::deadline;
using namespace std::chrono_literals;

// On a grid, so that much is due in the same moment.
deadline soon(dice& roll) {
    constexpr std::int64_t grid = 20'000; // ns
    if (roll.chance(10)) return deadline(0s);
    return deadline::at((coir::steady_now() / grid + 1 + std::int64_t(roll.below(roll.chance(20) ? 30 : 4))) * grid);
}

deadline soon_or_never(world& in, dice& roll) {
    return roll.chance(in.patient) && !in.closing ? deadline::never() : soon(roll);
}

namespace {

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

void must_be_late(world& in, deadline until) {
    in.check(!until.is_never(), "a wait without a deadline timed out");
    in.check(in.several || coir::steady_now() >= until.ns(), "a wait timed out before its deadline");
}

// Waits with something in hand.
void linger(player& me) {
    if (me.roll.chance(40)) coir::yield();
    if (me.roll.chance(20)) coir::sleep(soon(me.roll));
}

player& somebody(world& in, player& me) { return in.players[me.roll.below(in.players.size())]; }

// --- time and descriptors

void sleep_a_while(world& in, player& me) {
    deadline const until = soon(me.roll);
    strictly(in, me, [&] { return coir::sleep(until), true; });
    in.check(coir::steady_now() >= until.ns(), "sleep() came back too early");
}

void step_aside(world&, player& me) { me.roll.chance(30) ? coir::idle() : coir::yield(); }

void wait_for_descriptor(world& in, player& me) {
    conduit& pair = me.roll.one_of(in.conduits);
    auto const generation = pair.generation.load();
    int const fd = pair.ends[me.roll.below(2)];
    if (fd < 0) return;
    auto const way = me.roll.chance(85) ? coir::hub::readable : coir::hub::writable;
    auto const how = me.roll.chance(50) ? coir::closing::seen : coir::closing::unseen;
    deadline const until = soon_or_never(in, me.roll);
    std::array<coir::hub::interest, 2> const both{{{fd, way}, {pair.ends[0], way}}};
    auto const why = strictly(in, me, [&] {
        auto const reason =
            me.roll.chance(70) ? coir::hub::wait_fd(fd, way, until, how) : coir::hub::wait_any_fd(both, until, how);
        if (reason == coir::wake_reason::cancelled) {
            coir::interruption_point();
            in.fail("a wait for a descriptor was cancelled by nothing");
        }
        return reason;
    });
    bool const same = generation == pair.generation;
    switch (why) {
    case coir::wake_reason::timed_out: return must_be_late(in, until);
    case coir::wake_reason::closed:
        return in.check(!same || in.closing, "a descriptor is said to be closed, and is not");
    default: break;
    }
    char bytes[2];
    if (same && recv(fd, bytes, 1 + me.roll.below(2), MSG_DONTWAIT) > 0) ++pair.read;
}

void send_byte(world& in, player& me) {
    conduit& pair = me.roll.one_of(in.conduits);
    int const fd = pair.ends[me.roll.below(2)];
    if (fd >= 0 && send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1) ++pair.written;
}

void close_descriptor(world& in, player& me) {
    if (in.several) return; // their numbers are known to all threads
    conduit& pair = me.roll.one_of(in.conduits);
    if (pair.ends[0] < 0) return;
    pair.shut();
    if (me.roll.chance(30)) coir::yield();
    if (pair.ends[0] < 0 && !in.closing) pair.open();
}

// --- events, semaphores, locks

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

// --- queues

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
auto next_of(stock<coir::lifo_queue<item>>& from) { return from.inside.end() - 1; }
auto next_of(stock<coir::priority_queue<item>>& from) {
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

void put_item(world& in, player& me) {
    with_some_queue(in, me, [&](auto& to) { put_into(in, me, to); });
}

void get_item(world& in, player& me) {
    with_some_queue(in, me, [&]<class Stock>(Stock& from) {
        if (!get_from(in, me, from)) return;
        if constexpr (std::is_same_v<Stock, decltype(in.work)>) {
            linger(me);
            ++in.work_done;
            in.work.of.task_done();
        }
    });
}

void look_at_item(world& in, player& me) {
    with_some_queue(in, me, [&](auto& from) {
        deadline const until = soon_or_never(in, me.roll);
        bool const at_once = me.roll.chance(20);
        std::optional<item> const seen =
            at_once ? from.of.try_peek() : strictly(in, me, [&] { return from.of.peek(until); });
        if (seen)
            is_next(in, from, *seen);
        else if (!at_once)
            must_be_late(in, until);
    });
}

void wait_for_work_done(world& in, player& me) {
    deadline const until = soon_or_never(in, me.roll);
    if (!strictly(in, me, [&] { return in.work.of.join(until); })) must_be_late(in, until);
}

void put_to_channel(world& in, player& me) { put_into(in, me, in.exchange); }
void get_from_channel(world& in, player& me) { get_from(in, me, in.exchange); }

// --- several things

// Cases of select(), and what is to be done when each is chosen.
class choices {
public:
    template <class Case>
    void add(Case one, std::function<void()> then) {
        auto const kept = std::make_shared<Case>(std::move(one));
        cases_.push_back(kept.get());
        kept_.push_back(kept);
        then_.push_back(std::move(then));
    }
    std::span<coir::select_case* const> cases() const noexcept { return cases_; }
    void chosen(std::size_t which) { then_[which](); }

private:
    std::vector<coir::select_case*> cases_;
    std::vector<std::shared_ptr<void>> kept_;
    std::vector<std::function<void()>> then_;
};

void choose(world& in, player& me) {
    choices all;
    std::deque<item> got;
    auto const add_get = [&](auto& from) {
        item& to = got.emplace_back();
        all.add(from.of.on_get(to), [&] { left(in, from, to); });
    };
    auto const add_put = [&](auto& to) {
        if (!to.books.can_make()) return;
        item one = to.books.made(int(me.roll.below(4)));
        int const number = one.number, rank = one.rank;
        all.add(to.of.on_put(std::move(one)), [&in, &to, number, rank] { entered(in, to, number, rank); });
    };
    for (auto left_to_add = 1 + me.roll.below(4); left_to_add > 0; --left_to_add) {
        switch (me.roll.below(9)) {
        case 0: with_some_queue(in, me, add_get); break;
        case 1: with_some_queue(in, me, add_put); break;
        case 2: add_get(in.exchange); break;
        case 3: add_put(in.exchange); break;
        case 4: all.add(me.roll.one_of(in.events).on_set(), [] {}); break;
        case 5:
            all.add(in.permits.on_acquire(), [&] {
                in.permits_taken++;
                in.permits_taken--;
                in.permits.release();
            });
            break;
        case 6: {
            player const& other = somebody(in, me);
            if (&other == &me || !other.self) break;
            coir::any_fiber const handle = other.self;
            all.add(handle.on_end(),
                    [&in, handle] { in.check(handle.ready(), "select() saw the end of a fiber that has not ended"); });
            break;
        }
        case 7:
            if (int const fd = me.roll.one_of(in.conduits).ends[0]; fd >= 0)
                all.add(coir::on_readable(fd, coir::closing::seen), [] {});
            break;
        default: all.add(me.roll.one_of(in.answers).on_set(), [] {});
        }
    }
    deadline const until = soon_or_never(in, me.roll);
    if (me.roll.chance(10)) all.add(coir::otherwise(), [] {});
    if (!until.is_never()) all.add(coir::after(until), [&] { must_be_late(in, until); });
    if (!all.cases().empty()) all.chosen(strictly(in, me, [&] { return coir::detail::select(all.cases()); }));
}

void wait_for_several(world& in, player& me) {
    std::vector<coir::waitable> things;
    for (auto left_to_add = me.roll.below(6); left_to_add > 0; --left_to_add) {
        player const& other = somebody(in, me);
        switch (me.roll.below(4)) {
        case 0: things.push_back(me.roll.one_of(in.events)); break;
        case 1: things.push_back(in.permits); break;
        case 2: things.push_back(me.roll.one_of(in.answers)); break;
        default:
            if (&other != &me && other.self) things.push_back(other.self);
        }
    }
    coir::wait_options const options{soon_or_never(in, me.roll), 1 + me.roll.below(6)};
    std::size_t came = 0;
    for (coir::waitable const& each : coir::iwait(things, options)) {
        in.check(++came <= options.count && came <= things.size(), "iwait() gave more than it was to");
        for (player const& one : in.players)
            if (one.self && each == coir::waitable(one.self))
                in.check(one.self.ready(), "iwait() gave a fiber that has not ended");
        if (me.roll.chance(20)) break;
    }
}

// --- fibers

// What another fiber ended with comes out of get(): told from what the caller itself is interrupted with.
void join_somebody(world& in, player& me) {
    player& other = somebody(in, me);
    if (&other == &me || !other.self) return;
    coir::fiber<counted> const of = other.self;
    deadline const until = soon_or_never(in, me.roll);
    if (me.roll.chance(50)) {
        if (strictly(in, me, [&] { return of.join(until); }))
            in.check(of.ready(), "join() returned before the end");
        else
            must_be_late(in, until);
        return;
    }
    try {
        strictly(in, me, [&] { return of.get(until); });
        in.check(of.returned(), "get() of a fiber that has no result");
    } catch (poison const& deadly) {
        if (deadly.target == me.number) throw;
        in.check(of.ready() && of.exception(), "get() threw what the fiber has not ended with");
    } catch (coir::fiber_exit const&) {
        if (!of.ready() || of.returned() || !of.successful()) throw;
    } catch (coir::timed_out const& late) {
        for (coir::timeout const* each : me.limits)
            if (each->raised(late)) throw;
        must_be_late(in, until);
    }
}

void kill_somebody(world& in, player& me) { kill_one(in, me.roll, somebody(in, me), me.number); }

void kill_several(world& in, player& me) {
    std::vector<coir::any_fiber> all;
    for (player& each : in.players) {
        if (&each == &me || !each.self || !me.roll.chance(15)) continue;
        ++each.exits_sent;
        all.push_back(each.self);
    }
    if (me.roll.chance(50)) {
        coir::killall(all, {.block = false});
    } else if (coir::killall(all, {.until = soon_or_never(in, me.roll)})) {
        for (auto const& each : all) in.check(each.ready(), "killall() returned true, but one has not ended");
    }
}

void spawn_somebody(world& in, player& me) {
    if (in.several || in.players.size() >= 24) return;
    player& fresh = in.players.emplace_back();
    fresh.number = int(in.players.size()) - 1;
    fresh.roll = dice(me.roll.another());
    int const turns = int(1 + me.roll.below(8));
    auto const life = [&in, &fresh, turns, alive = counted()] { return play(in, fresh, turns); };
    switch (me.roll.below(3)) {
    case 0: fresh.self = coir::spawn(life); break;
    case 1: fresh.self = coir::spawn_later(soon(me.roll), life); break;
    default:
        coir::fiber const made{life};
        fresh.self = made;
        struct start {
            coir::any_fiber of;
            ~start() { of.start(); }
        } const at_end{made};
        if (me.roll.chance(50)) coir::yield();
        if (me.roll.chance(30)) made.start_later(soon(me.roll));
        if (me.roll.chance(30)) kill_one(in, me.roll, fresh, me.number);
    }
}

void link_to_somebody(world& in, player& me) {
    player& other = somebody(in, me);
    if (!other.self) return;
    std::unique_lock writing{in.writing};
    link_record& record = in.links.emplace_back();
    writing.unlock();
    record.kind = link_record::kind_of(me.roll.below(4));
    record.of = other.self;
    in.story.add(me.number, "  links kind", record.kind);
    in.story.add(me.number, "  to", other.number);
    bool const waits = me.roll.chance(50);
    auto const callback = [&in, &record, waits, alive = counted()](coir::fiber<counted> const& ended) {
        in.check(ended.ready() && ended == record.of, "a link was called for another fiber, or before the end");
        in.check(record.called++ == 0, "a link was called twice");
        in.story.add(-1, "  link called, kind", record.kind);
        if (waits && record.kind != link_record::raw) coir::sleep(1us);
    };
    switch (record.kind) {
    case link_record::any_end: record.id = other.self.link(callback); break;
    case link_record::success: record.id = other.self.link_value(callback); break;
    case link_record::failure: record.id = other.self.link_exception(callback); break;
    case link_record::raw: record.id = other.self.rawlink(callback); break;
    }
    if (!me.roll.chance(30)) return;
    linger(me);
    other.self.unlink(record.id);
    record.called_when_unlinked = record.called;
    in.story.add(me.number, "  unlinked");
}

void link_to_source(world& in, player& me) {
    auto const calls = std::make_shared<std::atomic<int>>(0);
    auto const callback = [&in, calls, alive = counted()](auto&) {
        in.check(++*calls == 1, "a link of an event or semaphore was called twice");
    };
    auto const link = [&](auto& to) {
        coir::link_id const id = to.rawlink(callback);
        linger(me);
        if (me.roll.chance(50)) to.unlink(id);
    };
    me.roll.chance(50) ? link(me.roll.one_of(in.events)) : link(in.permits);
}

// --- elsewhere

void have_it_done(world& in, player&) {
    std::binary_semaphore gate{0};
    if (virtual_time* const time = virtual_time::here())
        time->hold_back(gate);
    else
        gate.release();
    int done = 0;
    int const result = coir::offload([&, alive = counted()] {
        gate.acquire();
        return ++done;
    });
    in.check(result == 1 && done == 1, "an offloaded call was not made once");
}

void post_something(world& in, player& me) {
    coir::hub& to = *me.roll.one_of(in.hubs);
    to.post([&in, roll = dice(me.roll.another()), alive = counted()]() mutable { poke(in, roll); });
}

void generate(world& in, player& me) {
    coir::generator<int> numbers{[&, alive = counted()](auto& out) {
        for (int i = 0;; ++i) {
            counted const on_the_stack;
            switch (me.roll.below(5)) {
            case 0: coir::sleep(soon(me.roll)); break;
            case 1: coir::yield(); break;
            case 2: in.events[0].wait(soon_or_never(in, me.roll)); break;
            case 3:
                if (auto const got = in.line.of.get(soon_or_never(in, me.roll))) left(in, in.line, *got);
                break;
            default: break;
            }
            out.yield(i);
        }
    }};
    for (int i = 0, count = int(me.roll.below(5)); i < count; ++i) {
        in.check(numbers.next() == i, "a generator went back or ahead");
        linger(me);
    }
}

constexpr std::array kinds{sleep_a_while,
                           step_aside,
                           wait_for_descriptor,
                           send_byte,
                           close_descriptor,
                           wait_for_event,
                           signal_event,
                           take_permit,
                           take_seat,
                           enter_room,
                           pass_gate,
                           wait_for_news,
                           send_news,
                           meet,
                           count_down,
                           answer,
                           put_item,
                           get_item,
                           look_at_item,
                           wait_for_work_done,
                           put_to_channel,
                           get_from_channel,
                           choose,
                           wait_for_several,
                           join_somebody,
                           kill_somebody,
                           kill_several,
                           spawn_somebody,
                           link_to_somebody,
                           link_to_source,
                           have_it_done,
                           post_something,
                           generate};
constexpr std::array names{
    "sleep", "step aside", "descriptor",     "send byte",   "close",  "event",      "signal", "permit", "seat",
    "room",  "gate",       "news",           "send news",   "meet",   "count down", "answer", "put",    "get",
    "look",  "work done",  "channel put",    "channel get", "select", "iwait",      "join",   "kill",   "killall",
    "spawn", "link",       "link to source", "offload",     "post",   "generate"};
static_assert(kinds.size() == kinds_of_turns && names.size() == kinds_of_turns);

} // namespace

void take_turn(world& in, player& me) {
    auto const kind = std::size_t(me.roll.one_of(in.kinds));
    in.story.add(me.number, names[kind]);
    try {
        kinds[kind](in, me);
    } catch (coir::queue_shut_down const&) {
        in.check(in.closing, "a queue that was not shut down says that it was");
    }
    in.story.add(me.number, "  done");
}
