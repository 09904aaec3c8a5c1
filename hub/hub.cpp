// The loop of a hub, and how it comes and goes. What runs between two rounds of the loop, fiber to fiber, is in
// scheduler.h.

#include "hub/hub.h"

#include "hub/scheduler.h"
#include "hub/watched.h"

#include <algorithm>
#include <cassert>
#include <mutex>
#include <pthread.h>
#include <sched.h>

namespace coir {

constinit thread_local scheduler this_scheduler{};
constinit std::atomic<bool> hub_was_made{false};

namespace {

constexpr std::size_t hub_stack_size = 256 * 1024; // libev and the callbacks of users run on it

// While fibers never stop being ready, I/O is looked at this often. A look is a system call of about a microsecond.
constexpr std::int64_t look_interval = 100'000; // ns

constexpr std::int64_t trim_interval = 1'000'000'000; // ns

} // namespace

hub& hub::current() {
    if (!this_scheduler.owner) [[unlikely]] {
        context::current();                                // the thread's own context outlives the hub
        stack const place = acquire_stack(hub_stack_size); // and so does the thread's cache of stacks
        hub* made;
        try {
            made = new hub(place);
        } catch (...) {
            release_stack(place);
            throw;
        }
        at_thread_end(*made);
        this_scheduler.owner = made;
        this_scheduler.loop = made;
        hub_was_made.store(true, std::memory_order_relaxed);
    }
    return *this_scheduler.owner;
}

hub* hub::existing() noexcept { return this_scheduler.owner; }

bool hub::in_fiber() noexcept { return this_scheduler.owner && this_thread.current != this_scheduler.loop; }

hub::hub(stack where)
    : context(where, "hub"), thread_ending{&close}, registration_(std::in_place, *this),
      loop_(std::make_unique<loop>(registration_->bit())), trim_([](timer& due) noexcept {
          if (trim_stacks()) hub::current().timers_.set(due, steady_now() + trim_interval);
      }),
      thread_(context::current()) {
    prepare(place_on_top(place, 0));
    parent = &thread_;
    thread_.retain();
    static std::once_flag once;
    std::call_once(once, [] { pthread_atfork(nullptr, nullptr, after_fork_in_child); });
}

// Runs when the thread ends. Handles may go on referring to the control block.
void hub::close(thread_ending& which) noexcept {
    hub& self = static_cast<hub&>(which);
    // Posts that are still expected come from threads that use memory of fibers of this hub.
    while (self.expected_posts_ > 0) {
        self.loop_->run(true, timer_heap::none);
        self.run_posted();
    }
    self.registration_.reset();                                              // nobody posts from here on …
    while (self.posting_.load(std::memory_order_acquire) > 0) sched_yield(); // … but some are about to leave post()
    self.run_posted();
    self.loop_.reset();
    this_scheduler.ready.release_memory();
    this_scheduler = {};
    release_stack(self.place);
    std::exchange(self.parent, nullptr)->release();
    self.become(run_state::ended);
    self.release();
}

// Each turn: what other threads posted, one look at the descriptors if it is time for it, the timers, and then the
// fibers, which hand over to each other until none is ready or their budget is spent.
context& hub::body() noexcept {
    for (;;) {
        round();
        scheduler& here = this_scheduler;
        if (here.ready.empty()) continue;
        here.budget = switches_;
        become(run_state::suspended);
        switch_context(*this, here.ready.pop());
    }
}

// Fibers that were ready at the last look at the descriptors run before the next one. What a look finds queues behind
// them anyway, and those that it woke have yet to read what made their descriptors ready: looking again would find the
// same events with nobody waiting for them.
void hub::round() {
    scheduler& here = this_scheduler;
    std::int64_t now = steady_now();
    if (here.budget < 0) adapt_budget(now - last_round_);
    if (mailbox_.load(std::memory_order_relaxed)) run_posted();
    bool const round_over = here.ready.popped() >= looked_at_;
    if (round_over && (here.ready.empty() || timers_.nearest() <= now || now - last_look_ >= look_interval)) {
        if (here.ready.empty() && stuck()) return break_deadlock();
        bool const may_wait = here.ready.empty() && timers_.nearest() > now;
        loop_->run(may_wait, timers_.nearest());
        run_posted();
        looked_at_ = here.ready.pushed();
        last_look_ = now = steady_now();
        timers_.fire_due(now); // after the look: what is ready in time counts, however late the look
    }
    if (!trim_.set() && !here.ready.empty()) timers_.set(trim_, now + trim_interval);
    last_round_ = now;
}

// `spent` is what the fibers took for as many switches as they were given: aims at a turn of the loop every 20 µs.
// Those that only yield would otherwise pay for the turns, and those that compute would keep the loop waiting.
void hub::adapt_budget(std::int64_t spent) noexcept {
    constexpr std::int64_t wanted = 20'000; // ns
    constexpr std::int64_t fewest = 16, most = 256;
    switches_ = int(std::clamp(switches_ * wanted / std::max<std::int64_t>(spent, 1), fewest, most));
}

bool hub::stuck() const noexcept {
    return timers_.size() == std::size_t(trim_.set()) && loop_->waiting() == 0 && expected_posts_ == 0;
}

void hub::break_deadlock() {
    thread_.pending = std::make_exception_ptr(would_block_forever("this would block forever:\n" + report()));
    if (thread_.state == run_state::parked) {
        make_ready(thread_, wake_reason::cancelled);
    } else { // it switched to a greenlet by hand, and that one parked: the error is thrown out of its switch
        become(run_state::suspended);
        switch_context(*this, thread_);
    }
}

void hub::post(posted& what) noexcept {
    posting_.fetch_add(1, std::memory_order_relaxed); // once `what` ran, only this keeps the hub
    posted* newest = mailbox_.load(std::memory_order_relaxed);
    do what.next = newest;
    while (!mailbox_.compare_exchange_weak(newest, &what, std::memory_order_release, std::memory_order_relaxed));
    if (!newest) loop_->interrupt(); // a mailbox that was not empty has been announced already
    posting_.fetch_sub(1, std::memory_order_release);
}

void hub::run_posted() noexcept {
    posted* newest = mailbox_.exchange(nullptr, std::memory_order_acquire);
    posted* oldest = nullptr;
    while (newest) {
        posted* const older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    while (oldest) {
        posted& due = *oldest;
        oldest = oldest->next; // `due` may be gone once it ran
        due.run(due);
    }
}

void hub::enlist(context& born) noexcept {
    born.next_alive = first_alive_;
    born.previous_alive = nullptr;
    if (first_alive_) first_alive_->previous_alive = &born;
    first_alive_ = &born;
    ++alive_;
}

void hub::strike(context& ended) noexcept {
    (ended.previous_alive ? ended.previous_alive->next_alive : first_alive_) = ended.next_alive;
    if (ended.next_alive) ended.next_alive->previous_alive = ended.previous_alive;
    --alive_;
}

std::string hub::report() const {
    std::string lines;
    auto const line = [&](context const& one) {
        static constexpr char const* states[] = {"not started", "ready", "running", "parked", "switched away", "ended"};
        lines += std::string("  ") + one.name() + ": " + states[std::size_t(one.state.load())];
        if (one.state == run_state::parked && one.waits_for) {
            lines += std::string(", waits for ") + one.waits_for;
            if (one.waits_on >= 0) lines += std::string(" ") + std::to_string(one.waits_on);
        }
        lines += "\n";
    };
    line(thread_);
    for (context* each = first_alive_; each; each = each->next_alive) line(*each);
    return lines;
}

// The child has one thread, and of its fibers the one that forked goes on. The others are parked for good: their
// descriptors and timers belong to the parent's loop.
void hub::after_fork_in_child() noexcept {
    hub* const here = existing();
    strike_other_hubs(here);
    if (here) here->after_fork();
}

void hub::after_fork() {
    this_scheduler.ready.clear();
    timers_.clear();
    mailbox_.store(nullptr, std::memory_order_relaxed);
    expected_posts_ = 0;
    loop_.reset(); // its descriptors first: there may be no others left
    loop_ = std::make_unique<loop>(registration_->bit());
    for (context* each = first_alive_; each;) {
        context* const next = each->next_alive;
        if (each != this_thread.current) strike(*each);
        each = next;
    }
}

namespace {

// Where nobody else is ready, or the loop is to have its turn.
[[gnu::noinline]] void yield_to_loop() {
    hub::current();
    scheduler& here = this_scheduler;
    context& self = *this_thread.current;
    self.become(run_state::ready);
    here.ready.push(self);
    switch_context(self, *here.loop);
    self.rethrow_pending();
}

} // namespace

void yield() {
    scheduler& here = this_scheduler;
    if (here.ready.empty() || --here.budget < 0) [[unlikely]]
        return yield_to_loop();
    context& self = *this_thread.current;
    self.become(run_state::ready);
    switch_context(self, here.ready.rotate(self));
    self.rethrow_pending();
}

wake_reason park(context& self, char const* what, std::int64_t on, deadline until) {
    if (until.is_never()) return park(self, what, on);
    struct alarm : timer {
        waiter of;
        explicit alarm(context& waiting)
            : timer([](timer& due) noexcept { wake(static_cast<alarm&>(due).of, wake_reason::timed_out); }),
              of(waiting) {}
    } alarm{self};
    timer_heap& timers = this_scheduler.owner->timers();
    timers.set(alarm, until.ns());
    wake_reason const why = park(self, what, on);
    if (alarm.set()) timers.cancel(alarm);
    return why;
}

wake_reason hub::wait_until(deadline until) {
    hub::current();
    return park(*this_thread.current, "sleep", -1, until);
}

void sleep(deadline until) {
    if (until.ns() <= steady_now()) return yield();
    hub::wait_until(until);
    this_thread.current->rethrow_pending();
}

} // namespace coir
