// A yield among N fibers that do nothing else. The limit is a ring of N bare contexts in which each jumps to
// the next. The main thread is one of the N on both sides, and holds the clock.

#include "bare.h"
#include "peer.h"
#include "sides.h"
#include "work.h"

#include "coir.h"

#include <chrono>
#include <numeric>
#include <random>
#include <vector>

namespace {

using bench::fcontext_t;
using bench::jump_fcontext;
using bench::transfer_t;

// In which order the fibers come to run: as they were made, or at random.
std::vector<std::size_t> order_of(std::size_t count, bool random) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    if (random) std::shuffle(order.begin() + 1, order.end(), std::mt19937_64{1});
    return order;
}

struct ring_node {
    fcontext_t at = nullptr;
    ring_node* next = nullptr;

    void hand_over() {
        transfer_t const came = jump_fcontext(next->at, this);
        static_cast<ring_node*>(came.data)->at = came.fctx;
    }
};

template <int depth>
void run_for_ever(transfer_t came) {
    auto* const previous = static_cast<ring_node*>(came.data);
    previous->at = came.fctx;
    ring_node& self = *previous->next;
    for (;;) bench::at_depth<depth>([&self] { self.hand_over(); });
}

template <int depth>
double bare(std::size_t count, std::size_t rounds, bool random) {
    bench::bare_stacks const stacks(count);
    std::vector<ring_node> ring(count);
    auto const order = order_of(count, random);
    for (std::size_t i = 0; i < count; ++i) {
        ring[order[i]].next = &ring[order[(i + 1) % count]];
        if (i > 0) ring[order[i]].at = stacks.make(order[i], run_for_ever<depth>);
    }
    auto const turn = [&ring] { bench::at_depth<depth>([&ring] { ring[0].hand_over(); }); };
    for (int i = 0; i < 2; ++i) turn();
    return bench::cost_of_each(count * rounds, [&] {
        for (std::size_t i = 0; i < rounds; ++i) turn();
    });
}

template <int depth>
double ours(std::size_t count, std::size_t rounds, bool random) {
    bool stop = false;
    auto const turn = [] { bench::at_depth<depth>([] { coir::yield(); }); };
    // Those who sleep wake in the order of their deadlines, which all pass before they are looked at.
    auto const order = order_of(count, random);
    auto const soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    std::vector<coir::any_fiber> fibers;
    for (std::size_t i = 1; i < count; ++i)
        fibers.push_back(coir::spawn([&, rank = order[i]] {
            if (random) coir::sleep(soon + std::chrono::nanoseconds(rank));
            while (!stop) turn();
        }));
    if (random) coir::sleep(soon + std::chrono::milliseconds(1));
    for (int i = 0; i < 2; ++i) turn();
    double const each = bench::cost_of_each(count * rounds, [&] {
        for (std::size_t i = 0; i < rounds; ++i) turn();
    });
    stop = true;
    coir::joinall(fibers);
    return each;
}

template <int depth = 0>
void row(std::string const& work, std::size_t count, bool random, std::vector<bench::target> const& wanted,
         std::vector<std::string> const& peers) {
    std::size_t const rounds = std::max<std::size_t>(2'000'000 / count, 20);
    std::vector<bench::side> sides{{"jump_fcontext", [=] { return bare<depth>(count, rounds, random); }},
                                   {"coir", [=] { return ours<depth>(count, rounds, random); }}};
    for (auto const& each : peers) { // fewer turns: some take a hundred times as long
        std::size_t const turns = std::max<std::size_t>(200'000 / count, 2);
        sides.push_back(bench::peer(each, "yield " + std::to_string(count) + " " + std::to_string(turns) + " " +
                                              std::to_string(depth)));
    }
    bench::compare(work, sides, wanted);
}

} // namespace

int main() {
    std::vector<std::string> const all{"boost fiber", "go", "state threads", "gevent", "pth"};
    std::vector<bench::target> const wanted{{1.6, "jump_fcontext"}, {1 / 2.0, "boost fiber"}, {1 / 6.0, "go"}};
    row("yield, 10 fibers", 10, false, wanted, all);
    row("yield, 1,000 fibers", 1'000, false, wanted, all);
    row<8>("yield, 10 fibers, at call depth 8", 10, false, {{15, ""}, {0.25, "jump_fcontext"}}, {"boost fiber", "go"});
    row<16>("yield, 10 fibers, at call depth 16", 10, false, {{25, ""}, {0.25, "jump_fcontext"}},
            {"boost fiber", "go"});
    // The peers' run in the order in which they were made, the easiest.
    row("yield, 100,000 fibers, in order", 100'000, false, {{35, ""}, {1 / 2.5, "boost fiber"}}, {"boost fiber", "go"});
    row("yield, 100,000 fibers, random order", 100'000, true, {{35, ""}, {1 / 2.5, "boost fiber"}},
        {"boost fiber", "go"});
}
