#include "hub/fiber.h"

#include "fiber/backtrace.h"
#include "fiber/describe.h"
#include "hub/interruption.h"
#include "hub/local.h"
#include "hub/scheduler.h"

#include <cstdio>
#include <mutex>
#include <utility>

namespace coir {

namespace {

bool is_exit(std::exception_ptr const& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (fiber_exit const&) {
        return true;
    } catch (...) {
        return false;
    }
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
        scheduled = true;
        of.retain();
        hub::current().run_callback(*this);
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
    parent = this_scheduler.loop; // not counted: the hub outlives its fibers
    here.enlist(*this);
    started = true;
    retain();
    become(run_state::ready);
    this_scheduler.ready.push(*this);
}

void task::start_later(deadline when) {
    if (started || over) return;
    hub& here = hub::current();
    later = std::make_unique<start_timer>(*this);
    here.timers().set(*later, when.ns());
    parent = this_scheduler.loop;
    here.enlist(*this);
    started = true;
    retain();
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
        while (interruptions) drop_interruption(*this);
        finish();
    }
    become(run_state::ended);
    return next_to_run(this_scheduler);
}

// The outcome is there: whoever waits for it goes on.
void task::finish() noexcept {
    if (started) this_scheduler.owner->strike(*this);
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
    bool const owns_itself = started && !in_ready_queue;
    finish();
    if (in_ready_queue) return; // body() sees to the rest
    become(run_state::ended);
    if (owns_itself) release();
}

bool task::end_unbegun(std::exception_ptr const& why) noexcept {
    if (!over && !begun) never_begin(why);
    return over;
}

void task::end_with_thread() {
    auto const exit = std::make_exception_ptr(fiber_exit{});
    if (!end_unbegun(exit)) interrupt(*this, *new thrown_from_outside(exit));
}

void task::unreferenced() noexcept {
    if (error && !error_seen) report_unhandled({name(), error, thrown_at ? describe(*thrown_at) : ""});
    destroy();
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

namespace {

// Fibers of this thread that are to be killed, one after the other, when those that were ready before have run. Who
// kills them goes on when each has ended or waits again, before anyone else.
class killing final : callback {
public:
    // Takes over those that have not ended by now.
    killing(std::vector<any_fiber>& all, std::exception_ptr const& error) : callback(&run_all) {
        for (any_fiber const& each : all) {
            detail::task& target = each.control_block();
            if (target.end_unbegun(error)) continue;
            auto& thrown = *new thrown_from_outside(error);
            // One that waits is not to be given anything any more; the others get it where they wait by then.
            bool const waits = waiting_for(target).state == run_state::parked;
            targets_.push_back({each, thrown, waits ? interrupt_in_place(target, thrown) : nullptr});
        }
    }
    ~killing() {
        if (killer_) killer_->over = true;
    }
    bool empty() const noexcept { return targets_.empty(); }

    /// **Parks** until each has been thrown into, if `killer` wants to know. Frees itself afterwards.
    void run(bool block) {
        this_scheduler.owner->run_callback(*this);
        if (!block) return;
        context& self = fiber_that_waits();
        waiting_killer one(self);
        killer_ = &one;
        park(self, "those that it kills");
        if (one.granted) return;
        if (!one.over) killer_ = nullptr;
        throw_interruption(self);
    }

private:
    struct waiting_killer : waiter {
        bool over = false; // the order is gone; perhaps after something else has interrupted the killer
        using waiter::waiter;
    };
    struct target {
        any_fiber of;
        thrown_from_outside& thrown;
        context* interrupted; // and has not run since; null if it was not waiting
    };

    static void run_all(callback& due) noexcept {
        std::unique_ptr<killing> self{static_cast<killing*>(&due)};
        hub& here = *this_scheduler.owner;
        unsigned const forks = here.forks();
        for (target& each : self->targets_) {
            if (here.forks() != forks) return; // a child, in which the rest of them are gone
            context* next = each.interrupted;
            if (!next && each.of.ready()) {
                each.thrown.take();
            } else if (!next) {
                next = interrupt_in_place(each.of.control_block(), each.thrown);
            }
            if (next) here.resume(*next);
        }
        if (!self->killer_ || !wake_in_place(*self->killer_)) return;
        self->killer_->granted = true;
        context& killer = *self->killer_->who;
        self.reset(); // the program may end when the killer goes on
        here.resume(killer);
    }

    std::vector<target> targets_;
    waiting_killer* killer_ = nullptr; // on its stack
};

// Kills fibers of this thread.
void kill_here(std::vector<any_fiber> all, std::exception_ptr const& error, bool block) {
    auto order = std::make_unique<killing>(all, error);
    if (!order->empty()) order.release()->run(block);
}

// Sends the order to the thread that they belong to. One whose thread has ended has ended with it.
void kill_elsewhere(any_fiber const& target, std::exception_ptr const& error) {
    struct order final : posted {
        any_fiber to;
        std::exception_ptr error;
        order(any_fiber const& target, std::exception_ptr what)
            : posted([](posted& due) noexcept {
                  std::unique_ptr<order> const self{static_cast<order*>(&due)};
                  kill_here({self->to}, self->error, false);
              }),
              to(target), error(std::move(what)) {}
    };
    auto sent = std::make_unique<order>(target, error);
    if (post_to_thread(target.control_block().thread, *sent)) sent.release();
}

} // namespace

bool any_fiber::kill(kill_options options) const { return killall({*this}, std::move(options)); }

bool killall(std::vector<any_fiber> all, kill_options options) {
    std::exception_ptr const error = options.error ? options.error : std::make_exception_ptr(fiber_exit{});
    std::vector<any_fiber> here;
    for (any_fiber const& each : all)
        if (each.ready())
            continue;
        else if (each.control_block().on_this_thread())
            here.push_back(each);
        else
            kill_elsewhere(each, error);
    kill_here(std::move(here), error, options.block);
    bool ended = true;
    for (any_fiber const& each : all)
        ended &= options.block && !each.is_current() ? each.join(options.until) : each.ready();
    return ended;
}

namespace {

struct unhandled_hook {
    thread_lock lock;
    std::shared_ptr<std::function<void(unhandled_exception const&)> const> function;
};

// Never destroyed: fibers may end after static destruction has begun.
unhandled_hook& current_hook() {
    static unhandled_hook& only = *new unhandled_hook;
    return only;
}

} // namespace

std::function<void(unhandled_exception const&)>
on_unhandled_exception(std::function<void(unhandled_exception const&)> hook) {
    unhandled_hook& current = current_hook();
    auto next = std::make_shared<std::function<void(unhandled_exception const&)> const>(std::move(hook));
    {
        std::lock_guard held{current.lock};
        std::swap(current.function, next);
    }
    return next ? *next : nullptr;
}

void report_unhandled(unhandled_exception const& what) noexcept {
    unhandled_hook& current = current_hook();
    std::unique_lock held{current.lock};
    auto const hook = current.function;
    held.unlock();
    if (hook && *hook) return (*hook)(what);
    std::fprintf(stderr, "coir: %s ended with an exception that nobody fetched: %s\n%s", what.name.c_str(),
                 describe(what.error).c_str(), what.where.c_str());
}

} // namespace coir
