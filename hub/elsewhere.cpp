// What other threads send a hub: things to run, and fibers of its own that may go on. Two lists that anyone pushes to
// without a lock, newest first; the hub takes them whole.

#include "hub/hub.h"
#include "hub/scheduler.h"

namespace coir {

template <class Node>
void hub::push(std::atomic<Node*>& list, Node& what, Node* Node::*next) noexcept {
    posting_.fetch_add(1, std::memory_order_relaxed); // once `what` was taken, only this keeps the hub
    Node* newest = list.load(std::memory_order_relaxed);
    do what.*next = newest;
    while (!list.compare_exchange_weak(newest, &what, std::memory_order_release, std::memory_order_relaxed));
    if (!newest && loop_) loop_->interrupt(); // a list that was not empty has been announced already
    posting_.fetch_sub(1, std::memory_order_release);
}

void hub::post(posted& what) noexcept { push(mailbox_, what, &posted::next); }

void hub::wake_from_elsewhere(context& who) noexcept { push(woken_, who, &context::next_woken); }

// Of several such wakes the last one counts: the fiber left the park of an earlier one before another could find it.
void wake_elsewhere(context& who, hub& home, std::uint32_t epoch) noexcept {
    who.woken_epoch.store(epoch, std::memory_order_relaxed);
    if (who.woken_elsewhere.exchange(true, std::memory_order_acq_rel)) return; // on its way
    who.retain();
    home.wake_from_elsewhere(who);
}

namespace {

// Turns a list that was pushed to from the front: oldest first.
template <class Node>
Node* reversed(Node* newest, Node* Node::*next) noexcept {
    Node* oldest = nullptr;
    while (newest) oldest = std::exchange(newest, std::exchange(newest->*next, oldest));
    return oldest;
}

} // namespace

void hub::run_posted() noexcept {
    context* woken = reversed(woken_.exchange(nullptr, std::memory_order_acquire), &context::next_woken);
    while (woken) {
        context& who = *std::exchange(woken, woken->next_woken);
        who.woken_elsewhere.exchange(false, std::memory_order_acq_rel); // from here on it may be pushed again
        bool const waits =
            who.epoch == who.woken_epoch.load(std::memory_order_relaxed) && who.state == run_state::parked;
        if (waits) make_ready(who, wake_reason::ready);
        who.release();
    }
    posted* due = reversed(mailbox_.exchange(nullptr, std::memory_order_acquire), &posted::next);
    while (due) {
        posted& one = *std::exchange(due, due->next); // may be gone once it ran
        one.run(one);
    }
}

// In a forked child nothing that was on its way arrives. The fiber that goes on, and the thread's own, can be woken
// again.
void hub::forget_posted() noexcept {
    mailbox_.store(nullptr, std::memory_order_relaxed);
    posting_.store(0, std::memory_order_relaxed);
    context* const kept[] = {this_thread.current, &thread_};
    for (context* each = woken_.exchange(nullptr, std::memory_order_relaxed); each; each = each->next_woken)
        if (each == kept[0]) each->release();
    for (context* each : kept) each->woken_elsewhere.store(false, std::memory_order_relaxed);
}

} // namespace coir
