// The table of turns.

#include "tests/hub/random/turns.h"

#include <array>

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

using namespace turns;

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
