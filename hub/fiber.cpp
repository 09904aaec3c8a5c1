#include "hub/fiber.h"

#include "fiber/describe.h"
#include "hub/hub.h"
#include "hub/scheduler.h"

#include <cstdio>

namespace coir {
namespace detail {

void start(task& fresh, spawn_options&& options) {
    hub& here = hub::current();
    if (!options.name.empty()) fresh.given_name = std::make_unique<std::string>(std::move(options.name));
    fresh.parent = this_scheduler.loop; // not counted: the hub outlives its fibers
    fresh.become(run_state::ready);
    here.enlist(fresh);
    this_scheduler.ready.push(fresh);
}

context& task::body() noexcept {
    try {
        rethrow_pending();
        run();
        returned = true;
    } catch (fiber_exit const&) {
    } catch (...) {
        error = std::current_exception();
    }
    become(run_state::ended);
    while (!joiners.empty()) wake(joiners.pop(), wake_reason::ready);
    this_scheduler.owner->strike(*this);
    return next_to_run(this_scheduler);
}

void task::unreferenced() noexcept {
    if (error && !error_seen)
        std::fprintf(stderr, "coir: %s ended with an exception that nobody fetched: %s\n", name().c_str(),
                     describe(error).c_str());
    destroy();
}

} // namespace detail

bool any_fiber::join(deadline until) const {
    if (task_->ended()) return true;
    if (!task_->on_this_thread()) throw std::logic_error("join: " + name() + " belongs to another thread");
    context& self = context::current();
    if (task_ == &self) throw std::logic_error("join: " + name() + " would wait for itself");
    waiter one{self};
    task_->joiners.push(one);
    wake_reason const why = park(self, "the end of fiber", std::int64_t(task_->id), until);
    if (one.queued()) one.unlink();
    if (why == wake_reason::cancelled) self.rethrow_pending();
    return task_->ended();
}

void any_fiber::join_for_result(deadline until) const {
    if (!join(until)) throw timed_out("get: " + name() + " has not ended in time");
    task_->error_seen = true;
    if (task_->error) std::rethrow_exception(task_->error);
    if (!task_->returned) throw fiber_exit{};
}

} // namespace coir
