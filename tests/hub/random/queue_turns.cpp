// Turns with the queues and the channel.

#include "tests/hub/random/turns.h"

namespace turns {

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

} // namespace turns
