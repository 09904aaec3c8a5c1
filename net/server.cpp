// How a server accepts, and how it ends. One fiber accepts, and sleeps while there are as many handlers as may be;
// whatever it or someone in stop() waits for, it is told by changed().

#include "net/server.h"

#include "fiber/context.h"
#include "hub/hub.h"
#include "hub/local.h"
#include "net/stream.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <unistd.h>
#include <unordered_set>

namespace coir::net {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t shortest_delay = 10'000'000, longest_delay = 1'000'000'000; // ns, gevent's
constexpr auto patience = 1s; // with handlers that were killed, gevent's

bool is_shortage(int error) noexcept {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

} // namespace

bool peer_went_away(std::exception const& error, address const& peer) {
    std::string_view const text = error.what();
    if (text.find(peer.to_string()) == text.npos) return false;
    if (dynamic_cast<end_of_stream const*>(&error)) return true;
    auto const* const failed = dynamic_cast<std::system_error const*>(&error);
    if (!failed) return false;
    constexpr std::errc gone[] = {std::errc::connection_reset,   std::errc::broken_pipe, std::errc::connection_aborted,
                                  std::errc::not_connected,      std::errc::timed_out,   std::errc::host_unreachable,
                                  std::errc::network_unreachable};
    return std::ranges::any_of(gone, [&](std::errc each) { return failed->code() == each; });
}

namespace detail {

// A handler that stops its own server, for as long as it does.
struct serving::not_waited_for {
    serving& in;
    bool is_handler = false;

    explicit not_waited_for(serving& of) : in(of) {
        for (any_fiber const& each : of.handlers_.members())
            if (each.is_current()) {
                of.stopping_.push_back(each);
                is_handler = true;
                of.changed(); // others wait no more for this one
            }
    }
    ~not_waited_for() {
        if (!is_handler) return;
        std::erase_if(in.stopping_, [](any_fiber const& each) { return each.is_current(); });
    }
};

// Whose handler a fiber is.
static local<serving*>& handled_by() {
    static local<serving*> of;
    return of;
}

void serving::enter_handler() { *handled_by() = this; }

serving* serving::of_this_handler() { return *handled_by(); }

serving::serving(server_options chosen, address where)
    : options_([&] {
          if (chosen.name.empty()) chosen.name = "server " + where.to_string();
          return std::move(chosen);
      }()),
      where_(where), handlers_(options_.max_handlers) {}

void serving::start() {
    check_thread();
    if (accepting()) return;
    while (acceptor_ && !acceptor_.is_current()) wait();
    if (stage_ == stage::closed) open();
    failed_ = nullptr;
    given_up_ = false;
    if (!acceptor_) {
        fiber<void> const fresh({.name = options_.name}, [mine = shared_from_this()] { mine->accept_all(); });
        fresh.rawlink([mine = shared_from_this()](fiber<void> const&) {
            mine->acceptor_ = {}; // the last handle: what it ended with is reported now
            mine->changed();
        });
        fresh.start();
        acceptor_ = fresh;
    }
    thread_ = this_thread.number;
    process_ = getpid();
    stage_ = stage::accepting;
}

// One connection, and then whoever is ready, the new handler too, has a turn.
void serving::accept_all() {
    try {
        while (accepting()) {
            if (handlers_.full()) {
                wait();
                continue;
            }
            take_one();
            coir::yield();
        }
    } catch (...) {
        if (!accepting()) return;
        close();
        if (serving_forever_ == 0) throw;
        failed_ = std::current_exception();
    }
}

void serving::begin(fiber<void> const& handler, address const& peer) {
    handler.set_name(options_.name + ", peer " + peer.to_string());
    handlers_.add(handler); // first, so that it has left when this is told of its end
    try {
        handler.rawlink([mine = shared_from_this(), peer](fiber<void> const& ended) {
            // Asked for here, and not by a catch in the handler's fiber: a report tells where it was thrown first.
            if (mine->is_ignored(ended.control_block().error, peer)) ended.exception();
            if (!mine->accepting() && mine->handlers_.empty()) mine->all_have_ended();
            mine->changed();
        });
    } catch (...) {
        handlers_.discard(handler);
        throw;
    }
    handler.start();
}

bool serving::is_ignored(std::exception_ptr const& error, address const& peer) const try {
    if (!error || !options_.ignore) return false;
    std::rethrow_exception(error);
} catch (std::exception const& what) {
    return options_.ignore(what, peer);
} catch (...) {
    return false;
}

std::system_error serving::out_of_memory() const {
    return std::system_error(ENOMEM, std::generic_category(), options_.name + ": out of memory");
}

// False if it is none. What is told is told when it begins.
bool serving::begin_shortage(std::system_error const& error, std::int64_t& delay) {
    if (!is_shortage(error.code().value()) || !accepting()) return false;
    bool const begins = delay == 0;
    delay = std::clamp(2 * delay, shortest_delay, longest_delay);
    if (begins && options_.on_shortage)
        options_.on_shortage(error);
    else if (begins && !std::exchange(said_, true))
        std::fprintf(stderr, "coir: %s: %s; it serves on, new connections wait\n", options_.name.c_str(), error.what());
    return true;
}

// A handler that ends gives back what is short.
void serving::wait_out(std::int64_t delay) {
    if (delay > 0 && accepting()) wait(std::chrono::nanoseconds(delay));
    if (!accepting()) throw fiber_exit();
}

void serving::close() noexcept {
    if (stage_ == stage::closed) return;
    stage_ = stage::closed;
    shut();
    if (handlers_.empty()) all_have_ended();
    changed();
}

bool serving::stop(deadline until) {
    auto const mine = shared_from_this(); // a handler may destroy the server meanwhile
    check_thread();
    close();
    if (forked()) return true;
    struct under_way {
        serving& in;
        explicit under_way(serving& of) : in(of) { ++in.stops_; }
        ~under_way() {
            --in.stops_;
            in.changed();
        }
    } const counted(*this);
    not_waited_for const self(*this);
    end_idle_ones();
    if (others_end(until)) return true;
    kill_others();
    if (others_end(patience)) return true;
    given_up_ = true;
    changed();
    return false;
}

void serving::serve_forever() {
    struct waiting {
        std::size_t& count;
        explicit waiting(std::size_t& of) : count(of) { ++count; }
        ~waiting() { --count; }
    };
    auto const mine = shared_from_this();
    waiting const counted(serving_forever_);
    if (stage_ == stage::made) start();
    check_thread();
    try {
        while (!failed_ && (acceptor_ || (!given_up_ && (!handlers_.empty() || stops_ > 0)))) wait();
        if (failed_) std::rethrow_exception(std::exchange(failed_, nullptr));
    } catch (...) {
        stop(patience);
        throw;
    }
}

void serving::end() noexcept {
    close();
    if (thread_ == 0 || forked() || !hub::existing()) return;
    check_thread();
    not_waited_for const self(*this);
    kill_others();
    if (acceptor_ && !acceptor_.is_current()) acceptor_.kill({.block = false});
    std::unique_lock held{lock_};
    auto const alone = [this] { return !others_at_work() && (!acceptor_ || acceptor_.is_current()); };
    while (!alone()) waiting_.wait_through(held, "the end of a server", alone);
}

void serving::check_thread() const {
    if (thread_ != 0 && thread_ != this_thread.number && !forked())
        throw std::logic_error(options_.name + ": only the thread that started it may stop it");
}

bool serving::forked() const noexcept { return process_ != 0 && process_ != getpid(); }

bool serving::others_at_work() const noexcept { return handlers_.size() > stopping_.size(); }

bool serving::others_end(deadline until) {
    while (others_at_work())
        if (!wait(until)) return !others_at_work();
    return true;
}

void serving::kill_others() {
    for (any_fiber const& each : handlers_.members())
        if (std::ranges::find(stopping_, each) == stopping_.end()) handlers_.killone(each, {.block = false});
}

// Killed ones leave the list when they run.
void serving::end_idle_ones() {
    std::unordered_set<context const*> idle;
    for (between_requests const* each = idle_; each; each = each->earlier_) idle.insert(each->handler_);
    for (any_fiber const& each : handlers_.members())
        if (!each.is_current() && idle.contains(&each.control_block())) handlers_.killone(each, {.block = false});
}

void serving::add(between_requests& idle) noexcept {
    idle.earlier_ = std::exchange(idle_, &idle);
    if (idle.earlier_) idle.earlier_->later_ = &idle;
}

void serving::remove(between_requests& idle) noexcept {
    (idle.later_ ? idle.later_->earlier_ : idle_) = idle.earlier_;
    if (idle.earlier_) idle.earlier_->later_ = idle.later_;
}

bool serving::wait(deadline until) {
    std::unique_lock held{lock_};
    return waiting_.wait(held, until, "something of a server");
}

void serving::changed() noexcept {
    std::lock_guard held{lock_};
    waiting_.notify_all();
}

} // namespace detail

between_requests::between_requests() : of_(detail::serving::of_this_handler()), handler_(this_thread.current) {
    if (!of_) return;
    if (!of_->accepting()) throw fiber_exit();
    of_->add(*this);
}

between_requests::~between_requests() {
    if (of_) of_->remove(*this);
}

} // namespace coir::net
