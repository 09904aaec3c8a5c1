// Uses one client library from many concurrent fibers, on one thread, in a world that is as it should be or in one that
// is not, and checks what becomes of each.
//
//     CLIENT MODE KIND WHERE
//
// alone       one operation, unmeasured: the server works
// concurrent  one operation alone, then 100 at once: they must not take more than 1.5 × the time of one
// refused     nobody listens at WHERE: each must fail to connect
// dying       says "under way" and waits for whoever reads that to kill the server: each must fail
// killed      the fibers are killed in the middle of their operations, whose calls must fail
// timed_out   the same by a timeout of coir's
// limited     the same by the library's own means
// faulted     in a world where any call may fail (../faulty/): each operation is answered rightly, or fails by the
//             library's own word
//
// Says what it saw on stdout, ends with 1 if that is wrong.

#include "crowd.h"

#include "monkey/monkey.h"
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <sys/resource.h>

namespace {

using namespace clients;
using namespace std::chrono_literals;

constexpr int at_once = 100;
constexpr double wait = 0.2;     // seconds that the server takes …
constexpr double for_ever = 300; // … and those that nobody wants to see the end of
constexpr double most_times_one = 1.5;
constexpr int most_looks = 5;

void require(bool holds, std::string const& what) {
    if (!holds) throw std::runtime_error(what);
}

std::ptrdiff_t entries(char const* directory) {
    return std::distance(std::filesystem::directory_iterator(directory), {});
}

double cpu_ms() {
    rusage used;
    getrusage(RUSAGE_SELF, &used);
    auto const in_ms = [](timeval const& time) { return double(time.tv_sec) * 1e3 + double(time.tv_usec) / 1e3; };
    return in_ms(used.ru_utime) + in_ms(used.ru_stime);
}

double in_ms(std::chrono::duration<double> time) { return time.count() * 1e3; }

double median(std::vector<double> of) {
    std::nth_element(of.begin(), of.begin() + std::ptrdiff_t(of.size() / 2), of.end());
    return of[of.size() / 2];
}

std::string list(std::map<std::string, int> const& said) {
    std::string all;
    for (auto const& [what, often] : said) all += "\n    " + std::to_string(often) + " × " + what;
    return all;
}

std::string list(std::vector<double> const& times) {
    std::string all;
    for (double const each : times) all += (all.empty() ? "" : " ") + std::to_string(std::lround(each));
    return all;
}

void alone(kind const& of, std::string const& where) {
    crowd const one({of, where, 1, 0.01});
    require(one.answered == 1, "no answer:" + list(one.refused) + list(one.failed));
}

/// The middle one of some rounds of `count` operations at once, in ms; what else is seen is added up.
struct rounds {
    rounds(kind const& of, std::string const& where, int count, int number) {
        for (int i = 0; i < number; ++i) {
            double const before = cpu_ms();
            crowd const round({of, where, count, wait});
            require(round.answered == count, "no answer:" + list(round.refused) + list(round.failed));
            require(round.most == count, "only " + std::to_string(round.most) + " operations were under way at once");
            require(round.ticks > 0, "nobody ticked while they waited");
            times.push_back(in_ms(round.operating));
            connecting.push_back(in_ms(round.connecting));
            cpu.push_back(cpu_ms() - before);
            ticks += round.ticks;
        }
    }
    std::vector<double> times, connecting, cpu;
    std::uint64_t ticks = 0;
};

// Whatever else this machine does at the moment can only lengthen a round: when the hundred are late they are looked
// at again.
void concurrent(kind const& of, std::string const& where) {
    double ratio = 0;
    for (int look = 0; look < most_looks; ++look) {
        rounds const one(of, where, 1, 3), many(of, where, at_once, 5);
        ratio = median(many.times) / median(one.times);
        std::cout << "  one: " << list(one.times) << " ms, client's CPU " << list(one.cpu) << " ms\n  " << at_once
                  << ": " << list(many.times) << " ms, before that connecting " << list(many.connecting)
                  << " ms, client's CPU " << list(many.cpu) << " ms; all under way at once, " << many.ticks
                  << " ticks, " << entries("/proc/self/task") << " threads\n  " << ratio << " × one" << std::endl;
        if (ratio <= most_times_one) return;
    }
    throw std::runtime_error("the hundred take too long");
}

void refused(kind const& of, std::string const& where) {
    crowd const all({of, where, at_once, wait});
    std::cout << "  " << list(all.refused) << std::endl;
    require(all.connected == 0, std::to_string(all.connected) + " connected");
}

/// A hundred operations that the server does not end, and `middle`: none of them may succeed, and all must end.
void none_answered(plan const& made, int killed = 0) {
    crowd const all(made);
    std::cout << "  " << all.ticks << " ticks" << list(all.refused) << list(all.failed) << std::endl;
    require(all.connected == at_once, "only " + std::to_string(all.connected) + " connected");
    require(all.most == at_once, "only " + std::to_string(all.most) + " operations were under way at once");
    require(all.answered == 0, std::to_string(all.answered) + " got an answer");
    require(all.killed == killed, std::to_string(all.killed) + " fibers were killed");
    require(all.ticks > 0 || (!made.timeout && !made.limit), "nobody ticked while they waited");
    require(!made.timeout || all.expired == at_once, "only " + std::to_string(all.expired) + " timeouts");
}

void dying(kind const& of, std::string const& where) {
    none_answered({of, where, at_once, for_ever, 0, {}, [](crowd&) { std::cout << "under way" << std::endl; }});
}

void killed(kind const& of, std::string const& where) {
    none_answered(
        {of, where, at_once, for_ever, 0, {}, [](crowd& all) { coir::killall(all.fibers, {.block = false}); }},
        at_once);
    alone(of, where);
}

void timed_out(kind const& of, std::string const& where) {
    none_answered({of, where, at_once, for_ever, 0, 300ms});
    alone(of, where);
}

void limited(kind const& of, std::string const& where) {
    none_answered({of, where, at_once, for_ever, 1});
    alone(of, where);
}

std::ptrdiff_t sockets() {
    return std::ranges::count_if(std::filesystem::directory_iterator("/proc/self/fd"), [](auto const& entry) {
        std::error_code gone; // the directory's own
        return std::filesystem::read_symlink(entry.path(), gone).string().starts_with("socket:");
    });
}

// Where there is no memory for a fiber there are fewer; what a client throws then is as good as a failure.
void faulted(kind const& of, std::string const& where) {
    auto const open = sockets();
    int answered = 0, unanswered = 0;
    std::map<std::string, int> failed;
    auto const operate = [&] {
        for (int i = 0; i < 3; ++i) try {
                of.connect(where, 0)->operation(0.05);
                ++answered;
            } catch (std::exception const& error) {
                ++unanswered;
                ++failed[error.what()];
            }
    };
    std::vector<coir::fiber<void>> fibers;
    ticking const ticker;
    try {
        for (int i = 0; i < 20; ++i) fibers.push_back(coir::spawn({.stack_size = roomy}, operate));
    } catch (std::exception const& error) {
        ++failed[error.what()];
    }
    coir::joinall(fibers);
    std::cout << "  " << answered << " answered, " << unanswered << " not, " << ticker.ticks() << " ticks"
              << list(failed) << std::endl;
    require(answered + unanswered == 3 * int(fibers.size()), "not all operations ended");
    require(sockets() == open, "sockets were left open");
    for (auto const& [what, often] : failed)
        for (char const* const wrong : {"the answer is", "no answer", "a reply of type"})
            require(!what.starts_with(wrong), "a wrong answer");
}

struct mode {
    std::string name;
    void (*run)(kind const&, std::string const&);
};
mode const modes[] = {{"alone", alone},   {"concurrent", concurrent}, {"refused", refused}, {"dying", dying},
                      {"killed", killed}, {"timed_out", timed_out},   {"limited", limited}, {"faulted", faulted}};

} // namespace

int main(int argc, char** argv) {
    std::vector<std::string> const words(argv + 1, argv + argc);
    auto const mode = std::ranges::find(modes, words.size() == 3 ? words[0] : "", &mode::name);
    auto const kind = std::ranges::find(kinds(), words.size() == 3 ? words[1] : "", &kind::name);
    if (mode == std::end(modes) || kind == kinds().end()) {
        std::cerr << "usage: " << argv[0]
                  << " alone|concurrent|refused|dying|killed|timed_out|limited|faulted KIND WHERE\n";
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    try {
        for (char const* const call : {"connect", "poll", "read", "recv", "send", "write"})
            require(coir::monkey::is_patched(call), std::string(call) + " is not the shim's");
        std::cout << kind->name << ' ' << mode->name << std::endl;
        if (mode->name == "faulted") { // what the hub keeps for good may come late there
            faulted(*kind, words[2]);
            return 0;
        }
        // Behind this what the library and the hub keep for good is there. A server dies but once.
        (mode->name == "dying" ? alone : mode->run)(*kind, words[2]);
        auto const open = entries("/proc/self/fd");
        mode->run(*kind, words[2]);
        require(entries("/proc/self/fd") == open, "descriptors were left open");
        require(coir::hub::current().alive() == 0, "fibers are left: " + coir::hub::current().report());
    } catch (std::exception const& error) {
        std::cout << "  " << kind->name << ' ' << mode->name << ": " << error.what() << std::endl;
        return 1;
    }
}
