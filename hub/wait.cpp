#include "hub/wait.h"

#include "hub/interruption.h"
#include "hub/scheduler.h"

#include <algorithm>
#include <mutex>

namespace coir {

completion_order::completion_order(std::vector<waitable> of, wait_options options)
    : of_(std::move(of)), nodes_(of_.size()), who_(fiber_that_waits()), home_(*this_scheduler.owner),
      left_(std::min(options.count, of_.size())), until_(options.until) {
    for (std::size_t i = 0; i < of_.size(); ++i) {
        node& one = nodes_[i];
        one.who = &who_;
        one.group = this;
        one.takes = false;
        std::lock_guard held{of_[i].of_->lock};
        if (of_[i].of_->is_ready())
            append(one);
        else
            of_[i].of_->waiting.push(one);
    }
}

completion_order::~completion_order() {
    for (std::size_t i = 0; i < of_.size(); ++i) {
        std::lock_guard held{of_[i].of_->lock};
        if (nodes_[i].queued()) nodes_[i].unlink();
    }
}

void completion_order::append(node& ready) noexcept {
    std::lock_guard held{lock_};
    *std::exchange(last_ready_, &ready.next_ready) = &ready;
    if (!std::exchange(sleeps_, false)) return;
    if (!who_.on_this_thread())
        wake_elsewhere(who_, home_, epoch_);
    else if (who_.epoch == epoch_ && who_.state == run_state::parked)
        make_ready(who_, wake_reason::ready);
}

bool completion_order::take(waiter& one) noexcept {
    append(static_cast<node&>(one));
    return true;
}

std::optional<std::size_t> completion_order::next() {
    if (left_ == 0) return std::nullopt;
    std::unique_lock held{lock_};
    if (!first_ready_) {
        sleeps_ = true;
        epoch_ = who_.epoch;
        held.unlock();
        wake_reason const why = park(who_, "one of several", std::int64_t(of_.size()), until_);
        held.lock();
        sleeps_ = false;
        if (why == wake_reason::cancelled) throw_interruption(who_); // what became ready since then stays in the list
        if (!first_ready_) {
            left_ = 0;
            return std::nullopt;
        }
    }
    --left_;
    node& ready = *first_ready_;
    first_ready_ = ready.next_ready;
    if (!first_ready_) last_ready_ = &first_ready_;
    return std::size_t(&ready - nodes_.data());
}

} // namespace coir
