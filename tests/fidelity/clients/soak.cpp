// All the clients that there are, mixed, on one thread: fibers connect, ask and disconnect, again and again. Some are
// refused, some are killed, some run into a time limit of coir's or of their library's, wherever they are then. Each
// operation must end as it is meant to.
//
//     SOAK                                         says what kinds of clients it has
//     SOAK SEED SECONDS KIND WHERE NOWHERE [...]   per kind a server, and an address that refuses
//
// That goes on for so many seconds, until nobody has anything under way; then it says
// "quiet FIBERS ANSWERED REFUSED KILLED TIMED_OUT LIMITED", the fibers that are left and what became of the
// operations, and waits for a line. It goes on with another round when it gets one, and ends when there is no more.

#include "client.h"
#include "crowd.h"

#include "monkey/monkey.h"

#include <algorithm>
#include <csignal>
#include <iostream>
#include <random>

namespace {

using namespace clients;
using namespace std::chrono_literals;

constexpr int workers = 24;
constexpr double answer_times[] = {0.01, 0.05, 0.1, 0.2}; // seconds
constexpr double too_long = 3;                            // … for whoever has a limit
constexpr auto patience = 60s;                            // until a round that does not end counts as stuck

struct served {
    kind of;
    std::string where, nowhere;
};

struct tally {
    int answered = 0, refused = 0, killed = 0, timed_out = 0, limited = 0;
};

class soaking {
public:
    soaking(std::vector<served> const& all, std::mt19937& dice, std::chrono::seconds length)
        : all_(all), dice_(dice), end_(std::chrono::steady_clock::now() + length) {}

    /// **Parks.** Until all have ended.
    tally run() {
        ticking const ticker;
        std::vector<coir::fiber<void>> fibers;
        for (int i = 0; i < workers; ++i) fibers.push_back(coir::spawn({.stack_size = roomy}, &soaking::work, this));
        coir::timeout const limit{end_ + patience};
        coir::joinall(fibers);
        for (auto const& each : fibers) each.get();
        if (ticker.ticks() == 0) throw std::runtime_error("nobody ticked beside the operations");
        return done_;
    }

private:
    template <class T>
    T roll(T least, T most) {
        return std::uniform_int_distribution<T>(least, most)(dice_);
    }

    std::chrono::milliseconds soon() { return std::chrono::milliseconds(roll(0, 300)); }

    void work() {
        while (std::chrono::steady_clock::now() < end_) {
            auto const& server = all_[roll<std::size_t>(0, all_.size() - 1)];
            switch (roll(0, 9)) {
            case 0: refused(server); break;
            case 1: killed(server); break;
            case 2: timed_out(server); break;
            case 3: limited(server); break;
            default: server.of.connect(server.where, 0)->operation(answer_times[roll(0, 3)]); ++done_.answered;
            }
        }
    }

    static void must_fail(served const& by, char const* what, std::string const& where, int limit) {
        try {
            by.of.connect(where, limit)->operation(too_long);
        } catch (failure const&) {
            return;
        }
        throw std::runtime_error(std::string(by.of.name) + " got an answer though it was " + what);
    }

    void refused(served const& by) {
        must_fail(by, "refused", by.nowhere, 0);
        ++done_.refused;
    }

    void limited(served const& by) {
        must_fail(by, "limited", by.where, 1);
        ++done_.limited;
    }

    void killed(served const& by) {
        auto const victim = coir::spawn({.stack_size = roomy}, [&by] { must_fail(by, "killed", by.where, 0); });
        coir::sleep(soon());
        victim.kill();
        if (!victim.successful()) victim.get();
        ++done_.killed;
    }

    void timed_out(served const& by) {
        coir::timeout limit{soon()};
        try {
            must_fail(by, "timed out", by.where, 0);
        } catch (coir::timed_out const& late) {
            if (!limit.raised(late)) throw;
        }
        if (!limit.expired()) throw std::runtime_error(std::string(by.of.name) + " failed before it was timed out");
        ++done_.timed_out;
    }

    std::vector<served> const& all_;
    std::mt19937& dice_;
    std::chrono::steady_clock::time_point end_;
    tally done_;
};

} // namespace

int main(int argc, char** argv) {
    std::vector<std::string> const words(argv + 1, argv + argc);
    if (words.empty()) {
        for (auto const& each : kinds()) std::cout << each.name << '\n';
        return 0;
    }
    std::signal(SIGPIPE, SIG_IGN);
    try {
        std::vector<served> all;
        for (std::size_t i = 2; i + 2 < words.size(); i += 3) {
            auto const of = std::ranges::find(kinds(), words[i], &kind::name);
            if (of == kinds().end()) throw std::runtime_error("there is no client for " + words[i]);
            all.push_back({*of, words[i + 1], words[i + 2]});
        }
        if (all.empty()) throw std::runtime_error("no servers");
        if (!coir::monkey::is_patched("poll") || !coir::monkey::is_patched("recv"))
            throw std::runtime_error("the shim is not there");
        std::mt19937 dice(unsigned(std::stoul(words[0])));
        std::chrono::seconds const length(std::stoi(words[1]));
        std::string line;
        do {
            tally const done = soaking(all, dice, length).run();
            std::cout << "quiet " << coir::hub::current().alive() << ' ' << done.answered << ' ' << done.refused << ' '
                      << done.killed << ' ' << done.timed_out << ' ' << done.limited << std::endl;
        } while (std::getline(std::cin, line));
    } catch (coir::timed_out const&) {
        std::cout << "stuck\n" << coir::hub::current().report() << std::flush;
        std::_Exit(1); // the stuck fibers would hold up the end
    } catch (std::exception const& error) {
        std::cout << "wrong " << error.what() << std::flush;
        std::_Exit(1);
    }
}
