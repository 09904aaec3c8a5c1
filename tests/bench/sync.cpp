// Two fibers that wait for each other: a round trip over two channels that keep nothing, and a mutex of which one holds
// it over a yield while the other asks for it. The limit is what cannot be left out, a jump there and a jump back.

#include "bare.h"
#include "peer.h"
#include "sides.h"

#include "coir.h"

#include <string>
#include <vector>

namespace {

using bench::fcontext_t;
using bench::jump_fcontext;
using bench::transfer_t;

constexpr std::size_t count = 100'000;

double two_jumps() {
    bench::bare_stacks const stacks(1);
    fcontext_t other = stacks.make(0, [](transfer_t came) {
        for (;;) came = jump_fcontext(came.fctx, nullptr);
    });
    return bench::cost_of_each(count, [&] {
        for (std::size_t i = 0; i < count; ++i) other = jump_fcontext(other, nullptr).fctx;
    });
}

double channel() {
    coir::channel<int> there, back;
    auto const other = coir::spawn([&] {
        for (std::size_t i = 0; i < count; ++i) back.put(there.get());
    });
    double const each = bench::cost_of_each(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            there.put(int(i));
            back.get();
        }
    });
    other.join();
    return each;
}

double mutex() {
    coir::mutex one;
    auto const body = [&] {
        for (std::size_t i = 0; i < count / 2; ++i) {
            one.lock();
            coir::yield();
            one.unlock();
        }
    };
    return bench::cost_of_each(count, [&] {
        auto const a = coir::spawn(body), b = coir::spawn(body);
        a.join();
        b.join();
    });
}

void row(std::string const& work, std::string const& request, double (*ours)(), std::vector<std::string> const& peers,
         bench::target const& wanted) {
    std::vector<bench::side> sides{{"two jumps", two_jumps}, {"coir", ours}};
    for (auto const& each : peers) sides.push_back(bench::peer(each, request + " " + std::to_string(count)));
    bench::compare(work, sides, {wanted});
}

} // namespace

int main() {
    row("channel, a round trip", "channel", channel, {"boost fiber", "go", "gevent"}, {45, ""});
    row("mutex, held over a yield while another waits", "mutex", mutex,
        {"boost fiber", "go", "state threads", "gevent", "pth"}, {25, ""});
}
