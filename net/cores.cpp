// A worker's life, as its crew sees it: attend() begins it, hears over a pair of sockets that it is ready, or why it
// ends, and at the end begins another one, unless it was told to stop. What it is told over the same pair is until
// when.

#include "net/cores.h"

#include "fiber/describe.h"
#include "hub/hub.h"
#include "hub/mutex.h"
#include "hub/pool.h"
#include "hub/watchers.h"
#include "net/unix.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <mutex>
#include <optional>
#include <sched.h>
#include <stdexcept>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace coir::net {
namespace {

using namespace std::chrono_literals;

constexpr char says_ready = '\1'; // all else that comes is why it ends
constexpr std::int64_t shortest_delay = 100'000'000, longest_delay = 10'000'000'000; // ns, before a worker is replaced
constexpr std::int64_t long_enough = 1'000'000'000; // ns that a worker has lived to be replaced at once
constexpr auto patience = 2s;                       // with workers whose time is over
constexpr std::size_t stack_of_process = 1 << 20;   // the forked child goes on where it was forked

[[noreturn]] void fail(int error, std::string const& what) {
    throw std::system_error(error, std::generic_category(), what);
}

// Who listens with SO_REUSEPORT would share the port with any other of this user who does.
void refuse_if_in_use(address const& where) {
    socket asking(where.family(), SOCK_STREAM, 0, where);
    asking.set_option(SOL_SOCKET, SO_REUSEADDR, 1, "set SO_REUSEADDR on");
    asking.bind(where, "listen on");
}

class side final : public detail::worker_side {
public:
    side(unix_stream crew, std::chrono::nanoseconds grace, bool signals)
        : crew_(std::move(crew)), grace_(grace), signals_(signals) {}

    void serve(server& made) override {
        group stops;
        auto const stop = [&](deadline until) { stops.spawn([&made, until] { made.stop(until); }); };
        std::vector<std::unique_ptr<signal_handler>> handlers;
        if (signals_)
            for (int const each : {SIGTERM, SIGINT})
                handlers.push_back(std::make_unique<signal_handler>(each, [&] { stop(grace_); }));
        made.start();
        crew_.write_all(std::string_view(&says_ready, 1));
        auto const orders = spawn({.name = "orders of the crew"}, [&] {
            std::int64_t until;
            try {
                for (;;) {
                    crew_.read_exactly(std::as_writable_bytes(std::span(&until, 1)));
                    stop(deadline::at(until));
                }
            } catch (std::exception const&) { // the crew is gone
                stop(grace_);
            }
        });
        struct end {
            any_fiber const& orders;
            group& stops;
            ~end() {
                orders.kill();
                stops.kill();
            }
        } const at_end{orders, stops};
        made.serve_forever();
    }

    void tell(std::string const& why) noexcept {
        try {
            crew_.write_all(why, 1s);
        } catch (...) {} // it hears the end all the same
    }

private:
    unix_stream crew_;
    std::chrono::nanoseconds const grace_;
    bool const signals_;
};

} // namespace

unsigned usable_processors() {
    for (int room = 1024;; room *= 2) {
        std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set{CPU_ALLOC(room), [](cpu_set_t* of) { CPU_FREE(of); }};
        if (!set) throw std::bad_alloc();
        std::size_t const size = CPU_ALLOC_SIZE(room);
        if (sched_getaffinity(0, size, set.get()) == 0) return unsigned(std::max(1, CPU_COUNT_S(size, set.get())));
        if (errno != EINVAL || room > 1 << 20) fail(errno, "ask how many processors may be used");
    }
}

namespace detail {

class crew_inside : public std::enable_shared_from_this<crew_inside> {
public:
    crew_inside(address const& where, worker_body body, crew_options options)
        : body_(std::move(body)), options_(std::move(options)) {
        if (options_.workers == 0) options_.workers = usable_processors();
        bool const one_queue =
            options_.one_queue || options_.workers == 1 || options_.kind == worker_kind::process || !where.is_ip();
        if (!one_queue) refuse_if_in_use(where);
        queues_.emplace_back(where, listen_options{options_.backlog, !one_queue});
        where_ = queues_.front().local_address();
        if (!one_queue)
            while (queues_.size() < options_.workers)
                queues_.emplace_back(where_, listen_options{options_.backlog, true});
        places_.resize(options_.workers);
    }

    void start() {
        if (stopping_) throw std::logic_error("crew at " + where_.to_string() + ": it was stopped");
        if (started_) return;
        if (options_.signals) watch_signals();
        started_ = true;
        auto const fresh = hire_all();
        places_ = fresh;
        if (all_are_ready(fresh) || stopping_) return;
        std::string const why = why_not(fresh);
        stop(deadline(0s));
        throw std::runtime_error("crew at " + where_.to_string() + ": " + why);
    }

    bool reload() {
        std::lock_guard const one_at_a_time(reloading_);
        if (!started_ || stopping_) return false;
        auto const fresh = hire_all();
        bool const good = all_are_ready(fresh);
        if (stopping_) return false; // which has told all
        deadline const until = options_.grace;
        if (!good) {
            say("it was not reloaded, and the old workers go on: " + why_not(fresh));
            for (auto const& each : fresh) order(*each, until); // some may have accepted already
            return false;
        }
        for (auto const& each : std::exchange(places_, fresh)) order(*each, until);
        return true;
    }

    bool stop(deadline until) {
        auto const mine = shared_from_this();
        struct under_way {
            crew_inside& in;
            explicit under_way(crew_inside& of) : in(of) { ++in.stops_; }
            ~under_way() {
                --in.stops_;
                in.changed();
            }
        } const counted(*this);
        stopping_ = true;
        queues_.clear();
        for (auto const& each : alive_) order(*each, until);
        changed();
        if (all_have_ended(until) || all_have_ended(patience)) return true;
        if (options_.kind == worker_kind::thread) return false;
        for (auto const& each : alive_)
            if (each->process && !each->collected) ::kill(each->process, SIGKILL);
        return all_have_ended({});
    }

    void serve_forever() {
        auto const mine = shared_from_this();
        if (!stopping_) start();
        while (!stopping_ || !alive_.empty() || stops_ > 0) wait({});
    }

    void end() noexcept {
        signals_.clear();
        if (alive_.empty()) return;
        spawn({.name = "end of a crew"}, [mine = shared_from_this()] { mine->stop(deadline(0s)); });
        std::unique_lock held{lock_};
        auto const alone = [this] { return alive_.empty(); };
        while (!alone()) waiting_.wait_through(held, "the end of a crew", alone);
    }

    std::size_t ready() const noexcept {
        return std::size_t(
            std::ranges::count_if(places_, [](auto const& each) { return each && each->ready && !each->ended; }));
    }
    address const& where() const noexcept { return where_; }

private:
    // Before there are workers, and until there are none: what calls the crew gracefully down is never lost.
    void watch_signals() {
        for (int const each : {SIGTERM, SIGINT})
            signals_.push_back(std::make_unique<signal_handler>(
                each, [this] { stop(std::exchange(told_to_stop_, true) ? deadline(0s) : deadline(options_.grace)); }));
        signals_.push_back(std::make_unique<signal_handler>(SIGHUP, [this] {
            auto const mine = shared_from_this();
            reload();
        }));
    }

    struct worker {
        std::size_t place;
        std::int64_t delay = 0; // before it is replaced, ns
        std::int64_t born = steady_now();
        unix_stream channel{};
        std::thread thread{};
        pid_t process = 0;
        bool collected = false; // the process, whose number may be another's from then on
        bool ready = false, told = false, ended = false;
        std::string why{}; // it ended
    };
    using worker_ptr = std::shared_ptr<worker>;

    worker_ptr hire(std::size_t place, std::int64_t delay = 0) {
        auto const fresh = std::make_shared<worker>(worker{place, delay});
        alive_.push_back(fresh);
        try {
            spawn({.name = "worker " + std::to_string(place) + " of " + where_.to_string(),
                   .stack_size = options_.kind == worker_kind::process ? stack_of_process : 0},
                  [mine = shared_from_this(), fresh] { mine->attend(fresh); });
        } catch (...) {
            std::erase(alive_, fresh);
            throw;
        }
        return fresh;
    }
    std::vector<worker_ptr> hire_all() {
        std::vector<worker_ptr> all;
        for (std::size_t place = 0; place < places_.size(); ++place) all.push_back(hire(place));
        return all;
    }

    void attend(worker_ptr const& one) {
        try {
            if (stopping_ || one->told) throw std::runtime_error("it was not begun");
            auto [near, far] = unix_stream::pair();
            one->channel = std::move(near);
            if (options_.kind == worker_kind::thread)
                begin_thread(*one, std::move(far));
            else
                begin_process(*one, std::move(far));
            if (options_.kind == worker_kind::thread)
                hear_thread(*one);
            else
                hear_process(*one);
        } catch (std::exception const& error) {
            one->why = error.what();
        }
        one->ended = true;
        one->channel.close();
        std::erase(alive_, one);
        if (stopping_ && alive_.empty()) signals_.clear();
        changed();
        replace(one);
    }

    void begin_thread(worker& one, unix_stream far) {
        int const fd = ::fcntl(queue_of(one).native(), F_DUPFD_CLOEXEC, 0);
        if (fd < 0) fail(errno, "listen on " + where_.to_string());
        auto from = std::make_unique<listener>(socket(fd, where_));
        one.thread = std::thread([mine = shared_from_this(), from = std::move(from), far = std::move(far)]() mutable {
            mine->work(std::move(*from), std::move(far), false);
        });
    }

    void begin_process(worker& one, unix_stream far) {
        std::fflush(nullptr); // or the child writes it, too
        pid_t const child = ::fork();
        if (child < 0) fail(errno, "fork a worker");
        if (child == 0) {
            // What is the crew's: a sibling that kept its end of another's pair would hide that the crew has gone.
            for (auto const& each : alive_) each->channel.close();
            listener from = std::move(queue_of(one));
            queues_.clear();
            std::optional<signal_handler> unheard;
            if (options_.signals) unheard.emplace(SIGHUP, [] {});
            bool const good = work(std::move(from), std::move(far), options_.signals);
            std::fflush(nullptr);
            ::_exit(good ? 0 : 1);
        }
        one.process = child;
    }

    // The worker itself. What it tells of its own accord is why it ends.
    bool work(listener from, unix_stream crew, bool signals) noexcept {
        side mine(std::move(crew), options_.grace, signals);
        try {
            body_(std::move(from), mine);
            return true;
        } catch (...) {
            mine.tell(describe(std::current_exception()));
            return false;
        }
    }

    // To the end, or until `until`.
    void hear(worker& one, deadline until = {}) try {
        std::array<char, 512> buffer;
        while (std::size_t const got = one.channel.read_some(buffer, until)) {
            std::string_view said(buffer.data(), got);
            if (!one.ready && said.front() == says_ready) {
                said.remove_prefix(1);
                one.ready = true;
                changed();
            }
            one.why += said;
        }
    } catch (std::system_error const&) {} // ECONNRESET: it has ended with an order unread

    void hear_thread(worker& one) {
        struct joined { // also if this fiber is killed: the thread uses what is the program's
            worker& of;
            ~joined() { of.thread.join(); }
        } const at_end{one};
        try {
            hear(one);
        } catch (...) {
            order(one, deadline(0s));
            throw;
        }
    }

    // The end of the process tells, not that of the pair: a child of its own may have kept that open.
    void hear_process(worker& one) {
        auto const hearing = spawn([&] { hear(one); });
        struct killed {
            any_fiber const& one;
            ~killed() { one.kill(); }
        };
        hub::child child(one.process);
        {
            killed const at_end{hearing};
            child.wait();
        }
        one.collected = true;
        hear(one, 0s);
        int const status = child.status().value_or(0);
        std::string const end = WIFSIGNALED(status) ? "it was killed by signal " + std::to_string(WTERMSIG(status)) +
                                                          " (" + strsignal(WTERMSIG(status)) + ")"
                                                    : "it exited with " + std::to_string(WEXITSTATUS(status));
        one.why = one.why.empty() ? end : one.why + "; " + end;
    }

    // One that lived for a while is replaced at once; one that does not get that far is to cost little.
    void replace(worker_ptr const& gone) {
        auto const has_place = [&] { return !stopping_ && !gone->told && places_[gone->place] == gone; };
        if (!has_place() || (!gone->ready && gone->delay == 0)) return; // the second: start() and reload() tell
        bool const lived = gone->ready && steady_now() - gone->born >= long_enough;
        std::int64_t const delay = lived ? 1 : std::clamp(2 * gone->delay, shortest_delay, longest_delay);
        say("worker " + std::to_string(gone->process ? std::size_t(gone->process) : gone->place) + " has ended: " +
            gone->why + "; another one is started" + (lived ? "" : " in " + std::to_string(delay / 1'000'000) + " ms"));
        for (deadline const until = deadline::at(steady_now() + delay); has_place();)
            if (!wait(until)) break;
        if (has_place()) places_[gone->place] = hire(gone->place, delay);
    }

    void order(worker& one, deadline until) noexcept {
        one.told = true;
        std::int64_t const at = until.ns();
        try {
            if (one.channel.is_open()) one.channel.write_all(std::as_bytes(std::span(&at, 1)));
        } catch (...) {} // it has ended
    }

    bool all_are_ready(std::vector<worker_ptr> const& those) {
        auto const ready = [&] { return std::ranges::all_of(those, [](auto const& each) { return each->ready; }); };
        auto const ended = [&] { return std::ranges::any_of(those, [](auto const& each) { return each->ended; }); };
        while (!ready() && !ended() && !stopping_) wait({});
        return !ended() && !stopping_;
    }
    static std::string why_not(std::vector<worker_ptr> const& those) {
        for (auto const& each : those)
            if (each->ended) return "a worker ended before it was ready: " + each->why;
        return "it was stopped";
    }

    bool all_have_ended(deadline until) {
        while (!alive_.empty())
            if (!wait(until)) return alive_.empty();
        return true;
    }

    bool wait(deadline until) {
        std::unique_lock held{lock_};
        return waiting_.wait(held, until, "the workers of a crew");
    }
    void changed() noexcept {
        std::lock_guard held{lock_};
        waiting_.notify_all();
    }

    void say(std::string const& what) const {
        if (options_.say)
            options_.say("crew at " + where_.to_string() + ": " + what);
        else
            std::fprintf(stderr, "coir: crew at %s: %s\n", where_.to_string().c_str(), what.c_str());
    }

    listener& queue_of(worker const& one) { return queues_[one.place % queues_.size()]; }

    worker_body const body_;
    crew_options options_;
    std::vector<listener> queues_; // until it is stopped
    address where_;
    std::vector<worker_ptr> places_; // who has each; others in alive_ are on their way in or out
    std::vector<worker_ptr> alive_;
    std::vector<std::unique_ptr<signal_handler>> signals_;
    std::size_t stops_ = 0; // calls of stop() under way: serve_forever() returns after those
    bool started_ = false, stopping_ = false, told_to_stop_ = false;
    mutex reloading_;
    thread_lock lock_;
    wait_queue waiting_; // for anything of the above
};

} // namespace detail

crew::crew(net::address const& where, detail::worker_body body, crew_options options, int)
    : inside_(std::make_shared<detail::crew_inside>(where, std::move(body), std::move(options))) {}
crew::~crew() { inside_->end(); }
void crew::start() { inside_->start(); }
bool crew::reload() { return inside_->reload(); }
bool crew::stop(deadline until) { return inside_->stop(until); }
void crew::serve_forever() { inside_->serve_forever(); }
std::size_t crew::ready() const noexcept { return inside_->ready(); }
net::address const& crew::address() const noexcept { return inside_->where(); }

} // namespace coir::net
