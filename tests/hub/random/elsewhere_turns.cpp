// Turns whose work is done by another: a worker, a hub, a generator.

#include "tests/hub/random/turns.h"
#include "tests/hub/random/virtual_time.h"

#include <semaphore>

namespace turns {

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

} // namespace turns
