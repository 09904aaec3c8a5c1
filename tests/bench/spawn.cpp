// A fiber that does nothing: made and joined one at a time, and 10,000 at once. The limit is a bare context
// on a stack that was used before: made, entered, and left.

#include "bare.h"
#include "peer.h"
#include "sides.h"

#include "coir.h"

#include <vector>

namespace {

using bench::fcontext_t;
using bench::jump_fcontext;
using bench::transfer_t;

constexpr std::size_t count = 10'000;

void leave(transfer_t came) { jump_fcontext(came.fctx, came.data); }

double bare_one_at_a_time(bench::bare_stacks const& stacks) {
    return bench::cost_of_each(count, [&] {
        for (std::size_t i = 0; i < count; ++i) jump_fcontext(stacks.make(0, leave), nullptr);
    });
}

double ours_one_at_a_time() {
    return bench::cost_of_each(count, [] {
        for (std::size_t i = 0; i < count; ++i) coir::spawn([] {}).join();
    });
}

double bare_all_at_once(bench::bare_stacks const& stacks) {
    std::vector<fcontext_t> contexts(count);
    return bench::cost_of_each(count, [&] {
        for (std::size_t i = 0; i < count; ++i) contexts[i] = stacks.make(i, leave);
        for (fcontext_t each : contexts) jump_fcontext(each, nullptr);
    });
}

double ours_all_at_once() {
    std::vector<coir::fiber<void>> fibers(count);
    return bench::cost_of_each(count, [&] {
        for (auto& each : fibers) each = coir::spawn([] {});
        coir::joinall(fibers);
        for (auto& each : fibers) each = {};
    });
}

} // namespace

int main() {
    bench::bare_stacks const stacks(count);
    std::string const times = std::to_string(count);
    auto const peers = [&](std::string const& work, std::vector<bench::side> sides,
                           std::vector<std::string> const& names) {
        for (auto const& each : names) sides.push_back(bench::peer(each, work + " " + times));
        return sides;
    };
    bench::compare(
        "spawn and join, one at a time",
        peers("spawn",
              {{"make_fcontext and jump", [&] { return bare_one_at_a_time(stacks); }}, {"coir", ours_one_at_a_time}},
              {"state threads", "boost fiber", "go", "gevent", "pth"}),
        {{60, ""}, {1 / 4.0, "go"}, {1 / 4.0, "boost fiber"}}, {.runs = 31});
    bench::compare(
        "spawn 10,000, join all, each",
        peers("spawn_all",
              {{"make_fcontext and jump", [&] { return bare_all_at_once(stacks); }}, {"coir", ours_all_at_once}},
              {"state threads", "boost fiber", "go", "gevent"}),
        {{45, ""}}, {.runs = 31, .in_a_row = 10});
}
