#include "hub/fiber.h"

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
    ~notifier() {
        while (!of.waiting.empty()) drop(of.waiting.pop());
    }

    static void drop(waiter& one) noexcept {
        if (!one.who && !one.group) delete static_cast<fiber_link*>(&one);
    }

    void schedule() {
        scheduled = true;
        of.retain();
        hub::current().run_callback(*this);
    }

    static void notify(callback& due) noexcept;
};

namespace {

// An exception on its way to a fiber that did not wait when it was sent: it is thrown where the fiber waits when those
// that were ready before have run.
struct delivery final : callback {
    context& target;
    thrown_from_outside& what;

    delivery(context& to, thrown_from_outside& thrown) : callback(&deliver), target(to), what(thrown) { to.retain(); }

    static void deliver(callback& due) noexcept {
        std::unique_ptr<delivery> const self{static_cast<delivery*>(&due)};
        context& waits = waiting_for(self->target);
        if (waits.ended()) {
            self->what.take();
        } else if (waits.state == run_state::suspended) { // by hand
            waits.pending = self->what.take();
            this_scheduler.owner->resume(waits, wake_reason::cancelled);
        } else {
            bool const parked = waits.state == run_state::parked;
            queue_interruption(waits, self->what);
            if (parked) this_scheduler.owner->resume(waits, wake_reason::cancelled);
        }
        self->target.release();
    }
};

} // namespace

void notifier::notify(callback& due) noexcept {
    auto& self = static_cast<notifier&>(due);
    task& ended = self.of;
    std::unique_lock held{ended.lock};
    while (!ended.waiting.empty()) {
        waiter& one = ended.waiting.pop();
        if (!one.who && !one.group) {
            held.unlock();
            std::unique_ptr<fiber_link> const link{static_cast<fiber_link*>(&one)};
            try {
                link->call(ended);
            } catch (...) {
                report_unhandled({"a link of " + ended.name(), std::current_exception(), {}});
            }
            held.lock();
        } else if (!one.group && one.who->on_this_thread()) { // at once, before the next link is called
            context& who = *one.who;
            if (one.epoch != who.epoch || who.state != run_state::parked) continue;
            one.granted = true;
            held.unlock();
            this_scheduler.owner->resume(who, wake_reason::ready);
            held.lock();
        } else {
            grant(one);
        }
    }
    self.scheduled = false;
    held.unlock();
    ended.release();
}

task::task(stack where) : context(where, "fiber") {}

// Out of line, where what it owns is known.
task::~task() = default;

void task::start() {
    if (started || over) return;
    hub& here = hub::current();
    assert(on_this_thread());
    parent = this_scheduler.loop; // not counted: the hub outlives its fibers
    here.enlist(*this);
    if (tree_locals_in_use) inherit_tree_locals(*this);
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
    if (tree_locals_in_use) inherit_tree_locals(*this);
    started = true;
    retain();
}

context& task::body() noexcept {
    if (!over) {
        begun = true;
        try {
            run();
            returned = true;
        } catch (fiber_exit const&) {
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

void task::kill_here(std::exception_ptr error_to_throw) {
    if (over) return;
    if (!begun) return never_begin(error_to_throw);
    auto& thrown = *new thrown_from_outside(std::move(error_to_throw));
    context& waits = waiting_for(*this);
    if (waits.state == run_state::parked)
        interrupt(waits, thrown);
    else if (waits.state == run_state::running)
        queue_interruption(waits, thrown);
    else
        this_scheduler.owner->run_callback(*new delivery(*this, thrown));
}

void task::end_with_thread() { kill_here(std::make_exception_ptr(fiber_exit{})); }

void task::unreferenced() noexcept {
    if (error && !error_seen) report_unhandled({name(), error, {}});
    destroy();
}

link_id add_link(task& to, std::unique_ptr<fiber_link> link) {
    auto fresh = std::make_unique<notifier>(to);
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
    here.resume(fresh, wake_reason::ready);
}

} // namespace detail

void any_fiber::unlink(link_id which) const noexcept {
    std::unique_lock held{task_->lock};
    waiter* found = task_->waiting.find([&](waiter const& each) {
        return !each.who && !each.group && static_cast<detail::fiber_link const&>(each).id == which;
    });
    if (!found) return;
    found->unlink();
    held.unlock();
    delete static_cast<detail::fiber_link*>(found);
}

bool any_fiber::join(deadline until) const { return wait_for_end(until, false); }

bool any_fiber::wait_for_end(deadline until, bool first) const {
    std::unique_lock held{task_->lock};
    if (task_->over) return true;
    if (task_ == this_thread.current) throw std::logic_error("join: " + name() + " would wait for itself");
    waiter one;
    one.first = first;
    return task_->waiting.wait(one, held, until, "the end of fiber", std::int64_t(task_->id));
}

void any_fiber::join_for_result(deadline until) const {
    if (!join(until)) throw timed_out("get: " + name() + " has not ended in time");
    task_->error_seen = true;
    if (task_->error) std::rethrow_exception(task_->error);
    if (!task_->returned) throw fiber_exit{};
}

void any_fiber::send(std::exception_ptr error) const {
    if (!error) error = std::make_exception_ptr(fiber_exit{});
    if (task_->on_this_thread()) return task_->kill_here(std::move(error));
    struct order final : posted {
        any_fiber to;
        std::exception_ptr error;
        order(any_fiber const& target, std::exception_ptr what)
            : posted([](posted& due) noexcept {
                  std::unique_ptr<order> const self{static_cast<order*>(&due)};
                  self->to.task_->kill_here(std::move(self->error));
              }),
              to(target), error(std::move(what)) {}
    };
    auto sent = std::make_unique<order>(*this, std::move(error));
    if (post_to_thread(task_->thread, *sent)) sent.release(); // else its thread has ended, and it with that
}

bool any_fiber::kill(kill_options options) const {
    if (ready()) return true;
    send(std::move(options.error));
    if (task_ == this_thread.current) {
        if (options.block) interruption_point();
        return false;
    }
    return options.block ? wait_for_end(options.until, true) : ready();
}

bool killall(std::vector<any_fiber> all, kill_options options) {
    for (any_fiber const& each : all)
        if (!each.ready()) each.send(options.error);
    bool ended = true;
    for (any_fiber const& each : all)
        ended &=
            options.block && each.task_ != this_thread.current ? each.wait_for_end(options.until, true) : each.ready();
    if (options.block) interruption_point(); // it was among them
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
