#include "hub/fiber.h"

#include "fiber/backtrace.h"
#include "fiber/describe.h"
#include "hub/interruption.h"
#include "hub/local.h"
#include "hub/scheduler.h"

#include <cstdio>
#include <mutex>
#include <sys/single_threaded.h>
#include <utility>

namespace coir {

namespace {

// Sets it, as the first. An atomic exchange would be a tenth of what starting a fiber costs.
bool claim(std::atomic<bool>& mark) noexcept {
    if (!__libc_single_threaded) return !mark.exchange(true);
    bool const first = !mark.load(std::memory_order_relaxed);
    mark.store(true, std::memory_order_relaxed);
    return first;
}

} // namespace

namespace detail {

// Begins a fiber when its time has come. The timer holds a reference to it.
struct start_timer : timer {
    task& of;
    explicit start_timer(task& to_start)
        : timer([](timer& due) noexcept {
              task& fresh = static_cast<start_timer&>(due).of;
              fresh.later.reset();
              fresh.become(run_state::ready);
              this_scheduler.ready.push(fresh); // which takes over the reference
          }),
          of(to_start) {}
};

// Goes through those who wait for the end of a fiber, in their order, when some of them are links.
struct notifier : callback {
    task& of;
    bool scheduled = false; // under the lock; it holds a reference to the fiber then
    std::uint64_t last_id = 0;

    explicit notifier(task& ending) : callback(&notify), of(ending) {}

    static bool is_link(waiter const& one) noexcept { return !one.who && !one.group; }

    void schedule() {
        hub& here = hub::current(); // which may throw
        scheduled = true;
        of.retain();
        here.run_callback(*this);
    }

    static void notify(callback& due) noexcept;
};

void notifier::notify(callback& due) noexcept {
    auto& self = static_cast<notifier&>(due);
    task& ended = self.of;
    hub& here = *this_scheduler.owner;
    context* last = nullptr; // goes on when all this is done with: the program may end then
    std::unique_lock held{ended.lock};
    while (!ended.waiting.empty()) {
        waiter& one = ended.waiting.pop();
        if (is_link(one)) {
            held.unlock();
            std::unique_ptr<fiber_link> const link{static_cast<fiber_link*>(&one)};
            try {
                link->call(ended);
            } catch (...) {
                report_unhandled({"a link of " + ended.name(), std::current_exception(), {}});
            }
            held.lock();
        } else if (!one.group && one.who->on_this_thread()) { // at once, before the next link is called
            if (!wake_in_place(one)) continue;
            one.granted = true;
            context& who = *one.who;
            if (ended.waiting.empty()) {
                last = &who;
                break;
            }
            held.unlock();
            here.resume(who);
            held.lock();
        } else {
            grant(one);
        }
    }
    self.scheduled = false;
    held.unlock();
    ended.release();
    if (last) here.resume(*last);
}

task::task(stack where) : context(where, "fiber") {
    if (tree_locals_in_use) inherit_tree_locals(*this);
}

// Out of line, where what it owns is known.
task::~task() {
    while (!waiting.empty()) // links of one that was never started
        if (waiter& one = waiting.pop(); notifier::is_link(one)) delete static_cast<fiber_link*>(&one);
}

void task::start() {
    if (started || over) return;
    hub& here = hub::current();
    assert(on_this_thread());
    if (!claim(started)) return;  // another thread has ended it
    parent = this_scheduler.loop; // not counted: the hub outlives its fibers
    here.enlist(*this);
    retain();
    become(run_state::ready);
    this_scheduler.ready.push(*this);
}

void task::start_later(deadline when) {
    if (started || over) return;
    hub& here = hub::current();
    auto in_time = std::make_unique<start_timer>(*this);
    if (!claim(started)) return;
    later = std::move(in_time);
    here.timers().set(*later, when.ns());
    parent = this_scheduler.loop;
    here.enlist(*this);
    retain();
}

void task::go_to(std::uint64_t other) noexcept {
    thread = other;
    if (!on_this_thread()) drop_locals(*this); // those of its tree are this thread's
}

context& task::body() noexcept {
    if (!over) {
        begun = true;
        try {
            watch_throws_prepared(
                thrown_at, [](void* self) { static_cast<task*>(self)->run(); }, this);
            returned = true;
        } catch (fiber_exit const&) {
            thrown_at.reset();
        } catch (...) {
            error = std::current_exception();
        }
        drop_locals(*this);
        if (has_outcome_to_drop() && nobody_can_ask()) {
            drop_outcome();
            drop_locals(*this); // that may have made new ones
        }
        while (interruptions) drop_interruption(*this);
        finish();
    } else if (error && nobody_can_ask()) { // killed before it began
        drop_outcome();
    }
    become(run_state::ended);
    return next_to_run(this_scheduler);
}

// The outcome is there: whoever waits for it goes on.
void task::finish() noexcept {
    if (parent) this_scheduler.owner->strike(*this);
    std::unique_lock held{lock};
    over.store(true, std::memory_order_release);
    if (waiting.empty()) return;
    if (links)
        links->schedule();
    else
        waiting.notify_all();
}

void task::never_begin(std::exception_ptr const& why) noexcept {
    if (!is_exit(why)) error = why;
    drop_call();
    drop_locals(*this);
    if (later) {
        this_scheduler.owner->timers().cancel(*later);
        later.reset();
    }
    bool const in_ready_queue = state == run_state::ready;
    bool const owns_itself = parent && !in_ready_queue;
    finish();
    if (in_ready_queue) return; // body() sees to the rest
    become(run_state::ended);
    if (owns_itself) release();
}

bool task::end_unbegun(std::exception_ptr const& why) noexcept {
    if (over || begun) return over;
    if (!parent) return end_unstarted(why), true; // or another thread does
    never_begin(why);
    return true;
}

bool task::end_unstarted(std::exception_ptr const& why) noexcept {
    if (!claim(started)) return false;
    never_begin(why);
    return true;
}

void task::end_with_thread() {
    auto const exit = std::make_exception_ptr(fiber_exit{});
    if (!end_unbegun(exit)) interrupt(*this, *new thrown_from_outside(exit));
}

// Asked while it still runs. It has its own reference, and who waits for its end, or a link, may have no other.
bool task::nobody_can_ask() noexcept {
    if (references.now() > 1) return false;
    std::lock_guard held{lock};
    return waiting.empty();
}

// What is destroyed here, and the report, are the program's, and may wait: this is called by a fiber, never in the
// middle of another one's wait, and never by the hub.
void task::drop_outcome() noexcept {
    if (error && !error_seen) report_unhandled({name(), error, thrown_at ? describe(*thrown_at) : ""});
    error_seen = true;
    error = nullptr;
    drop_result();
}

void task::unreferenced() noexcept {
    if (has_outcome_to_drop()) [[unlikely]]
        return unreferenced_with_outcome();
    destroy();
}

void task::unreferenced_with_outcome() noexcept {
    bool const in_hub = this_thread.current && this_thread.current == this_scheduler.loop;
    if (task* const other = in_hub ? undertaker() : nullptr) return run_now(*other);
    drop_outcome();
    destroy();
}

void task::unreferenced_on_leaving() noexcept {
    if (task* const other = has_outcome_to_drop() ? undertaker() : nullptr) {
        other->start();
        return other->release();
    }
    unreferenced();
}

link_id add_link(task& to, std::unique_ptr<fiber_link> link) {
    std::unique_ptr<notifier> fresh = std::make_unique<notifier>(to);
    std::unique_lock held{to.lock};
    if (!to.links) to.links = std::move(fresh);
    link->id = link_id{++to.links->last_id};
    link_id const id = link->id;
    to.waiting.push(*link.release());
    if (to.over && !to.links->scheduled) to.links->schedule();
    return id;
}

void run_now(task& fresh) {
    hub& here = hub::current();
    fresh.parent = this_scheduler.loop;
    here.enlist(fresh);
    fresh.started = true;
    fresh.become(run_state::ready);
    here.resume(fresh);
}

} // namespace detail

void any_fiber::unlink(link_id which) const noexcept {
    std::unique_lock held{task_->lock};
    waiter* found = task_->waiting.find([&](waiter const& each) {
        return detail::notifier::is_link(each) && static_cast<detail::fiber_link const&>(each).id == which;
    });
    if (!found) return;
    found->unlink();
    held.unlock();
    delete static_cast<detail::fiber_link*>(found);
}

bool any_fiber::join(deadline until) const {
    std::unique_lock held{task_->lock};
    if (task_->over) return true;
    if (task_ == this_thread.current) throw std::logic_error("join: " + name() + " would wait for itself");
    return task_->waiting.wait(held, until, "the end of fiber", std::int64_t(task_->id));
}

void any_fiber::join_for_result(deadline until) const {
    if (!join(until)) throw timed_out("get: " + name() + " has not ended in time");
    task_->error_seen = true;
    if (task_->error) std::rethrow_exception(task_->error);
    if (!task_->returned) throw fiber_exit{};
}

} // namespace coir
