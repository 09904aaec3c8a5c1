// Killing: what is thrown where others wait, by the hub, in its turn among those that are ready.

#include "hub/fiber.h"
#include "hub/interruption.h"
#include "hub/registry.h"
#include "hub/scheduler.h"

#include <memory>
#include <utility>
#include <vector>

namespace coir {

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

// Sends the order to the thread that it belongs to. Where that has no hub it cannot have been started, or has ended
// with its thread.
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
    detail::task& block = target.control_block();
    bool const arrives = post_to_thread(block.thread, *sent) ||
                         (!block.end_unstarted(error) && post_to_thread(block.thread, *sent)); // it was, just now
    if (arrives) sent.release();
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

} // namespace coir
