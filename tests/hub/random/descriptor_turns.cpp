// Turns that wait for the time or a descriptor.

#include "tests/hub/random/turns.h"

#include <array>
#include <sys/socket.h>

namespace turns {

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

} // namespace turns
