#include "hub/watcher.h"

#include "hub/fiber.h"
#include "hub/registry.h"
#include "hub/scheduler.h"

#include <cassert>
#include <cstdio>
#include <mutex>
#include <stdexcept>
#include <string>

namespace coir {

watcher::watcher(char const* kind, std::int64_t number, bool ref)
    : home_(&hub::current()), thread_(this_thread.number), kind_(kind), number_(number), ref_(ref) {
    turn_.of = link_.of = this;
    list().all.push(link_);
}

watcher::~watcher() {
    assert(!armed_); // end() was called
    if (link_.linked() && is_here()) link_.unlink();
}

watcher_list& watcher::list() const noexcept { return home_->watchers(); }

bool watcher::is_here() const noexcept { return home_ && thread_ == this_thread.number; }

void watcher::check_thread() const {
    if (!home_) throw std::logic_error(std::string("the thread of a hub::") + kind_ + " has ended");
    if (!is_here()) throw std::logic_error(std::string("a hub::") + kind_ + " belongs to another thread");
}

// False if there is nothing left to be stopped. On another thread its hub may be just using it, and would go on.
bool watcher::may_stop() const noexcept {
    if (is_here()) return true;
    bool lives = false; // it does not in a forked child
    if (home_) for_each_hub([&](hub& each, std::uint64_t) { lives |= &each == home_; });
    if (!lives) return false;
    std::fprintf(stderr, "coir: a hub::%s was stopped or destroyed on another thread than its own\n", kind_);
    std::terminate();
}

void watcher::end() noexcept {
    if (may_stop()) {
        assert(waiting_ == 0); // it has to outlive those who wait
        stop();
    }
    armed_ = false;
}

void watcher::begin(std::unique_ptr<call> what) {
    check_thread();
    if (!started_) drop_delivery(); // of its time before
    std::shared_ptr<call> replaced = std::exchange(call_, std::move(what));
    if (std::exchange(started_, true)) return;
    try {
        use();
    } catch (...) {
        started_ = false;
        call_.reset();
        throw;
    }
}

void watcher::use_without_call() {
    check_thread();
    if (!started_) drop_delivery();
    use();
    started_ = true;
}

void watcher::stop() noexcept {
    if (!may_stop()) return;
    auto const last = std::exchange(call_, nullptr); // its destructor may do anything: at the end
    started_ = false;
    drop_delivery();
    unuse();
}

void watcher::drop_delivery() noexcept {
    fired_ = false;
    if (std::exchange(due_, false)) home_->take_back([this](callback const& each) { return &each == &delivery_; });
}

void watcher::use() {
    if (armed_) return;
    arm();
    armed_ = true;
    list().keeping += ref_;
}

void watcher::unuse() noexcept {
    if (armed_ && !started_ && waiting_ == 0) put_out();
}

void watcher::put_out() noexcept {
    armed_ = false;
    list().keeping -= ref_;
    disarm();
}

void watcher::set_ref(bool on) noexcept {
    if (armed_) list().keeping += std::size_t(on) - std::size_t(ref_);
    ref_ = on;
}

// One that waits, from before it is queued until its wait is over, unless a fork came between.
struct watcher::waiting_fiber {
    watcher& of;
    unsigned const forks;
    explicit waiting_fiber(watcher& what) : of(what), forks(what.home_->forks()) {
        of.use();
        ++of.waiting_;
    }
    ~waiting_fiber() {
        if (!of.home_ || of.home_->forks() != forks) return;
        --of.waiting_;
        of.unuse();
    }
};

bool watcher::wait(deadline until) {
    fiber_that_waits();
    check_thread();
    if (std::exchange(fired_, false)) return true;
    waiting_fiber const counted{*this};
    thread_lock unused; // one thread only
    std::unique_lock held{unused};
    return queue_.wait(held, until, kind_, number_);
}

void watcher::fire(bool last) noexcept {
    bool const was_started = last ? std::exchange(started_, false) : started_;
    if (last && armed_) put_out();
    bool seen = false;
    while (!queue_.empty()) seen |= grant(queue_.pop());
    if (call_) {
        if (!std::exchange(due_, true)) home_->run_callback(delivery_);
    } else if (was_started && !seen) {
        fired_ = true;
    }
}

void watcher::fire_at_once() noexcept {
    while (!queue_.empty()) grant(queue_.pop());
    if (call_) call_now();
}

void watcher::delivery::run_due(callback& due) noexcept {
    watcher& of = static_cast<delivery&>(due).of;
    of.due_ = false;
    of.call_now();
}

// It may not exist any more when the call is over.
void watcher::call_now() noexcept {
    char const* const kind = kind_;
    auto const what = started_ ? call_ : std::exchange(call_, nullptr);
    try {
        what->run(*this);
    } catch (...) {
        report_unhandled({std::string("a callback of a hub::") + kind, std::current_exception(), {}});
    }
}

void watcher::after_fork() noexcept {
    waiting_ = 0;
    due_ = fired_ = false;
    while (!queue_.empty()) queue_.pop();
    if (turn_.linked()) turn_.unlink();
    if (forked()) {
        if (!armed_) return;
        list().keeping += ref_;
        fire();
    } else {
        armed_ = started_ = false;
    }
}

void watcher_list::run(watcher_ring& of_a_kind) noexcept {
    int const left = std::exchange(this_scheduler.budget, 0); // as in hub::run_due_callbacks
    of_a_kind.for_each([](watcher& each) { each.fire_at_once(); });
    this_scheduler.budget = left;
}

void watcher_list::forked() noexcept {
    keeping = entries = 0;
    all.for_each([](watcher& each) { each.after_fork(); });
}

void watcher_list::thread_ends() noexcept {
    while (!all.empty()) {
        watcher& last = *all.front().of;
        last.drop_delivery();
        last.started_ = false;
        last.waiting_ = 0;
        while (!last.queue_.empty()) last.queue_.pop();
        if (last.armed_) last.put_out();
        last.thread_ends();
        last.link_.unlink();
        last.home_ = nullptr;
    }
}

} // namespace coir
