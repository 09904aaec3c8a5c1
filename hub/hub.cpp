// The loop of a hub, and how it comes and goes. What runs between two rounds of the loop, fiber to fiber, is in
// scheduler.h.

#include "hub/hub.h"

#include "fiber/at_fork.h"
#include "fiber/backtrace.h"
#include "hub/fiber.h"
#include "hub/ring.h"
#include "hub/scheduler.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace coir {

constinit thread_local scheduler this_scheduler{};
constinit std::atomic<bool> hub_was_made{false};
constinit std::atomic<bool> ring_was_made{false};

namespace {

constexpr std::size_t hub_stack_size = 256 * 1024; // libev and the callbacks of users run on it

// While fibers never stop being ready, I/O is looked at this often. A look is a system call of about a microsecond.
constexpr std::int64_t look_interval = 100'000; // ns

// The thread's own: a greenlet's ancestors lead there.
context& context_of_thread() {
    context* each = &context::current();
    while (each->parent) each = each->parent;
    return *each;
}

constexpr std::int64_t trim_interval = 1'000'000'000; // ns

} // namespace

hub& hub::current() {
    hub* const present = this_scheduler.owner;
    return present ? *present : make_for_this_thread();
}

hub& hub::make_for_this_thread() {
    hub_was_made.store(true, std::memory_order_relaxed); // before it makes descriptors
    prepare_to_watch_throws();
    context::current();                                // the thread's own context outlives the hub
    stack const place = acquire_stack(hub_stack_size); // and so does the thread's cache of stacks
    hub* made;
    try {
        made = new hub(place);
    } catch (...) {
        release_stack(place);
        throw;
    }
    at_thread_end(*made); // which the thread's own context has prepared: it does not throw
    this_scheduler.owner = made;
    this_scheduler.loop = made;
    this_thread.last_resort = made;
    return *made;
}

hub* hub::existing() noexcept { return this_scheduler.owner; }

bool hub::in_fiber() noexcept { return this_scheduler.owner && this_thread.current != this_scheduler.loop; }

hub::hub(stack where)
    : context(where, "hub"), thread_ending{&close}, loop_(std::make_unique<loop>(0)),
      timers_(std::max(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 0), steady_now()), trim_([](coir::timer& due) noexcept {
          if (trim_stacks()) hub::current().timers_.set(due, steady_now() + trim_interval);
      }),
      greenlets_(this_thread.first_greenlet), thread_(context_of_thread()), registration_(*this) {
    loop_->set_bit(registration_.bit());
    context::prepare(place_on_top(place, 0));
    parent = &thread_;
    thread_.retain();
}

hub::~hub() = default;

// Runs when the thread ends. Handles may go on referring to the control block.
void hub::close(thread_ending& which) noexcept {
    hub& self = static_cast<hub&>(which);
    bool const fibers_run = this_thread.current == &self.thread_; // not, if one of them called pthread_exit
    // What others have posted may start a fiber, which is to be ended, and those may let others post.
    auto const end_all = [&] {
        if (fibers_run) do {
                self.run_posted();
                self.end_fibers();
            } while (self.has_mail());
        // Posts that are still expected come from threads that use memory of fibers of this hub.
        while (self.expected_posts_ > 0) {
            self.look(true, timer_heap::none);
            self.run_posted();
        }
    };
    if (fibers_run)
        while (self.in_callback_) step_back(); // which let this thread go on
    end_all();
    self.watchers_.thread_ends();
    self.registration_.leave();                                              // nobody posts from here on …
    while (self.posting_.load(std::memory_order_acquire) > 0) sched_yield(); // … but some are about to leave post()
    self.run_posted();
    end_all();
    if (self.ring_) self.ring_->stop_receivers();
    self.ring_.reset();
    self.watchers_.thread_ends();
    this_scheduler.ready.release_memory();
    this_scheduler = {};
    this_thread.last_resort = nullptr;
    self.become(run_state::ended);
    if (self.alive_ > 0) return; // what other threads may still find in their queues leads here
    self.loop_.reset();
    release_stack(self.place);
    std::exchange(self.parent, nullptr)->release();
    self.release();
}

// Kills the fibers that are left, so that their destructors run: they may wait, and are killed again if they do.
void hub::end_fibers() noexcept {
    constexpr int patience = 16, turns = 1000;
    while (thread_.interruptions) drop_interruption(thread_);
    for (int tries = 0; (alive_ > 0 || !this_scheduler.ready.empty()) && tries < patience; ++tries) {
        for (context *each = first_alive_, *next; each; each = next) {
            next = each->next_alive;
            static_cast<detail::task&>(*each).end_with_thread();
        }
        for (int turn = 0; !this_scheduler.ready.empty() && turn < turns; ++turn) step_back();
        if (expected_posts_ > 0) {
            tries = 0;
            look(true, timer_heap::none);
            run_posted();
        }
    }
    if (alive_ > 0)
        std::fprintf(stderr,
                     "coir: a thread ended, but %zu of its fibers would not, however often they were killed:\n%s",
                     alive_, report().c_str());
}

// Each turn: what other threads posted, one look at the descriptors if it is time for it, the timers, and then the
// fibers, which hand over to each other until none is ready or their budget is spent. A callback stands in the ready
// queue as the loop itself.
context& hub::body() noexcept {
    scheduler& here = this_scheduler;
    for (;;) {
        run_due_callbacks();
        if (here.ready.empty() || --here.budget < 0) {
            round();
            if (here.ready.empty()) continue;
            here.budget = switches_;
        }
        context& next = here.ready.pop();
        if (&next == this) continue;
        become(run_state::suspended);
        switch_context(*this, next);
    }
}

void hub::run_callback(callback& what) {
    ready_queue& ready = this_scheduler.ready;
    what.next = nullptr;
    what.place = ready.pushed();
    *std::exchange(last_callback_, &what.next) = &what;
    ready.push(*this);
}

void hub::run_due_callbacks() noexcept {
    while (first_callback_ && first_callback_->place < this_scheduler.ready.popped()) {
        callback& due = *first_callback_;
        first_callback_ = due.next;
        if (!first_callback_) last_callback_ = &first_callback_;
        in_callback_ = true;
        int const left = std::exchange(this_scheduler.budget, 0); // a yield() is to see that it runs on the loop
        due.run(due);
        this_scheduler.budget = left;
        in_callback_ = false;
    }
}

void hub::resume(context& ready) {
    int const left = std::exchange(this_scheduler.budget, 0); // it hands back to the loop, not to the next
    become(run_state::suspended);
    switch_context(*this, ready);
    this_scheduler.budget = left;
}

// Fibers that were ready at the last look at the descriptors run before the next one. What a look finds queues behind
// them anyway, and those that it woke have yet to read what made their descriptors ready: looking again would find the
// same events with nobody waiting for them.
void hub::round() {
    scheduler& here = this_scheduler;
    std::int64_t now = steady_now();
    if (here.budget < 0) adapt_budget(now - last_round_);
    struct on_the_loop { // a yield() in what is called here is to see that
        scheduler& of;
        int const left = std::exchange(of.budget, 0);
        ~on_the_loop() { of.budget = left; }
    } const until_the_end{here};
    if (has_mail()) run_posted();
    if (ring_ && ring_->has_work()) ring_->run();
    if (handlers_run(handlers::any) != handlers_known_) [[unlikely]]
        end_waits_by_handlers();
    bool const round_over = here.ready.popped() >= looked_at_;
    if (round_over && (here.ready.empty() || timers_.nearest() <= now || now - last_look_ >= look_interval)) {
        if (!watchers_.preparing.empty()) [[unlikely]]
            watchers_.run(watchers_.preparing);
        std::int64_t nearest = timers_.nearest(), latest = timers_.latest();
        bool hopes = false;
        if (here.ready.empty() && idlers_.empty() && stuck()) {
            if (!settle()) return;
            hopes = true;
            nearest = std::min(nearest, now + patience_);
            latest = std::min(latest, now + patience_);
        }
        bool const may_wait = here.ready.empty() && idlers_.empty() && watchers_.idling.empty() && nearest > now;
        look(may_wait, latest);
        if (hopes) stop_hoping(*this);
        run_posted();
        if (!watchers_.checking.empty()) [[unlikely]]
            watchers_.run(watchers_.checking);
        looked_at_ = here.ready.pushed();
        last_look_ = now = steady_now();
        timers_.fire_due(now); // after the look: what is ready in time counts, however late the look
        if (here.ready.empty()) {
            idlers_.notify_all();
            watchers_.run(watchers_.idling);
        } else {
            patience_ = 0;
        }
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
    std::size_t const timers = timers_.size() - finishing_timers_ - trim_.set();
    return timers + (loop_ ? loop_->waiting() : 0) + receiving_ + expected_posts_ + watchers_.keeping ==
           watchers_.entries;
}

// Nothing is left here that could wake anyone. True if another thread may: then it is looked again before long, because
// threads end without telling.
bool hub::settle() {
    constexpr std::int64_t at_first = 10'000'000, at_most = 60'000'000'000; // ns
    if (alive_ == finishing_ && !finishers_.empty()) {
        finishers_.notify_all();
        return false;
    }
    std::string lines;
    // A thread that has been told, and waits in what it cannot leave, is not told again.
    bool const told = waiting_for(thread_).interrupted();
    if (told || begin_hoping(*this, lines) == outlook::someone_may_wake_it) {
        patience_ = std::clamp(2 * patience_, at_first, at_most);
        return true;
    }
    if (finishers_.empty())
        break_deadlock(lines);
    else
        finishers_.notify_all();
    return false;
}

void hub::break_deadlock(std::string const& lines) {
    auto error = std::make_exception_ptr(would_block_forever("this would block forever:\n" + lines));
    interrupt(thread_, *new thrown_from_outside(std::move(error)));
}

bool hub::join(deadline until) {
    std::optional<counting> one_less, no_reason_to_stay;
    if (&fiber_that_waits() != &thread_) one_less.emplace(*this, finishing_);
    if (!until.is_never()) no_reason_to_stay.emplace(*this, finishing_timers_);
    thread_lock unused; // one thread only
    std::unique_lock held{unused};
    return finishers_.wait(held, until, "the end of all others");
}

void hub::wait_until_idle() {
    thread_lock unused;
    std::unique_lock held{unused};
    idlers_.wait(held, {}, "a moment when nobody is ready");
}

void idle() { hub::current().wait_until_idle(); }

std::string hub::report() const {
    std::string lines;
    auto const line = [&](context& one) {
        static constexpr char const* states[] = {"not started", "ready", "running", "parked", "switched away", "ended"};
        lines += std::string("  ") + one.name() + ": " + states[std::size_t(one.state.load())];
        context const& waits = waiting_for(one);
        if (&waits != &one) lines += ", in " + waits.name();
        if (waits.state == run_state::parked && waits.waits_for) {
            lines += std::string(", waits for ") + waits.waits_for;
            if (waits.waits_on >= 0) lines += std::string(" ") + std::to_string(waits.waits_on);
        }
        lines += "\n";
    };
    line(thread_);
    for (context* each = first_alive_; each; each = each->next_alive) line(*each);
    for (context* each = greenlets_; each; each = each->next_alive) // a generator's body has its consumer's line
        if (!each->stands_for && (each->state == run_state::parked || each->state == run_state::ready)) line(*each);
    return lines;
}

// The child has one thread, and of its fibers the one that forked goes on. The others are parked for good: their
// descriptors and timers belong to the parent's loop.
struct hub_at_fork {
    static void before() noexcept {
        if (hub* const here = hub::existing(); here && here->ring_) here->ring_->hand_in();
    }
    static void in_child() noexcept {
        hub* const here = hub::existing();
        strike_other_hubs(here, here ? here->registration_.bit() : 0);
        if (here) here->after_fork();
    }
};

COIR_AT_FORK(hubs_at_fork) = {at_fork::order::threads, &hub_at_fork::before, nullptr, &hub_at_fork::in_child};

void hub::make_loop() { loop_ = std::make_unique<loop>(registration_.bit()); }

// Without a loop (EMFILE, ENFILE, ENOMEM in a forked child) there are still timers and other threads: the hub looks for
// them every millisecond. Who is to wait for a descriptor is told the error.
void hub::look(bool may_wait, std::int64_t until) {
    if (ring_ && ring_->has_work()) {
        ring_->run();
        may_wait = may_wait && this_scheduler.ready.empty() && !ring_->has_work();
    }
    if (!loop_) [[unlikely]] {
        try {
            make_loop();
            may_wait = false; // what came meanwhile has told nobody
        } catch (...) {
            std::int64_t const left = std::clamp<std::int64_t>(until - steady_now(), 0, 999'999);
            timespec const pause{0, long(left)};
            if (may_wait && !has_mail()) syscall(SYS_nanosleep, &pause, nullptr);
            return;
        }
    }
    loop_->run(may_wait, until);
}

void hub::after_fork() {
    ++forks_;
    this_scheduler.ready.clear();
    first_callback_ = nullptr;
    last_callback_ = &first_callback_;
    timers_.clear(this_thread.current);
    while (!until_handlers_.empty()) until_handlers_.pop();
    forget_posted();
    expected_posts_ = receiving_ = finishing_ = finishing_timers_ = 0;
    if (ring_) ring_->is_the_parents();
    loop_.reset(); // its descriptors first: there may be no others left
    try {
        make_loop();
    } catch (...) {} // tried again at every look; a child that only begins another program needs none
    ring_.reset();
    has_no_ring_ = false;
    watchers_.forked();
    if (&thread_ != this_thread.current) ++thread_.epoch;
    for (context* each = first_alive_; each;) {
        context* const next = each->next_alive;
        if (each != this_thread.current) {
            ++each->epoch; // whatever it waits for, nobody wakes it
            strike(*each);
        }
        each = next;
    }
}

namespace {

// Where the loop is to have its turn, or there is none yet.
[[gnu::noinline]] void step_back_to_loop() {
    context& self = fiber_that_waits();
    scheduler& here = this_scheduler;
    self.become(run_state::ready);
    here.ready.push(self);
    switch_context(self, *here.loop);
}

[[gnu::always_inline]] inline void step_back_now() {
    scheduler& here = this_scheduler;
    if (--here.budget < 0) [[unlikely]]
        return step_back_to_loop();
    if (here.ready.empty()) return; // nobody else can run
    context& self = *this_thread.current;
    assert(&self != here.loop);
    self.become(run_state::ready);
    switch_context(self, here.ready.rotate(self));
}

} // namespace

void step_back() noexcept { step_back_now(); }

void yield() {
    step_back_now();
    interruption_point();
}

context& fiber_that_cannot_wait_yet() {
    hub::current();
    context& self = *this_thread.current;
    if (&self == this_scheduler.loop)
        throw std::logic_error("a hub's own callback cannot wait: spawn a fiber for that");
    return self;
}

namespace {

// Wakes a fiber when its time is over, unless something else has.
struct alarm : timer {
    waiter of;
    alarm(context& waiting, deadline until)
        : timer([](timer& due) noexcept { wake(static_cast<alarm&>(due).of, wake_reason::timed_out); }), of(waiting) {
        this_scheduler.owner->timers().set(*this, until.ns());
    }
    ~alarm() {
        if (set()) this_scheduler.owner->timers().cancel(*this);
    }
};

} // namespace

wake_reason park(context& self, char const* what, std::int64_t on, deadline until) {
    if (until.is_never()) return park(self, what, on);
    alarm const limit{self, until};
    return park(self, what, on);
}

wake_reason park_through(context& self, char const* what, std::int64_t on, deadline until) {
    if (until.is_never()) return park_through(self, what, on);
    alarm const limit{self, until};
    return park_through(self, what, on);
}

wake_reason hub::wait_until(deadline until) { return park(fiber_that_waits(), "sleep", -1, until); }

void sleep(deadline until) {
    if (until.ns() <= steady_now()) return yield();
    hub::wait_until(until);
    interruption_point();
}

} // namespace coir
