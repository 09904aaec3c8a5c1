// A fiber that does nothing: made and joined one at a time, and 10,000 at once. The limit is a bare context
// on a stack that was used before: made, entered, and left.

#include "bare.h"
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
    bench::compare(
        "spawn and join, one at a time",
        {{"make_fcontext and jump", [&] { return bare_one_at_a_time(stacks); }}, {"coir", ours_one_at_a_time}},
        {{60, ""}}, {.runs = 31});
    bench::compare("spawn 10,000, join all, each",
                   {{"make_fcontext and jump", [&] { return bare_all_at_once(stacks); }}, {"coir", ours_all_at_once}},
                   {{45, ""}}, {.runs = 31});
}
