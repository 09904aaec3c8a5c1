// Turns with other players: joined, killed, spawned, linked to.

#include "tests/hub/random/turns.h"

using namespace std::chrono_literals;

namespace turns {

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

} // namespace turns
