#include "hub/select.h"

#include "hub/interruption.h"
#include "hub/scheduler.h"

#include <memory>
#include <optional>
#include <poll.h>
#include <stdexcept>

namespace coir {

bool source_case::try_now() {
    std::lock_guard held{of_.lock};
    return of_.is_ready();
}

void source_case::queue(waiter& one) {
    std::lock_guard held{of_.lock};
    one.takes = false;
    if (!of_.is_ready() || !grant(one)) of_.waiting.push(one);
}

void source_case::leave(waiter& one) noexcept {
    std::lock_guard held{of_.lock};
    if (one.queued()) one.unlink();
}

bool on_descriptor::try_now() {
    pollfd one{fd_, short(way_ == direction::read ? POLLIN : POLLOUT), 0};
    return poll(&one, 1, 0) > 0;
}

void on_descriptor::queue(waiter& one) {
    auto& mine = static_cast<fd_waiter&>(one); // select() makes all of them so
    mine.fd = fd_;
    mine.way = way_;
    mine.close = how_;
    if (!hub::current().watch_fd(mine)) grant(mine);
}

void on_descriptor::leave(waiter& one) noexcept { hub::current().unwatch_fd(static_cast<fd_waiter&>(one)); }

namespace detail {
namespace {

// The waiters of one select(). The first that something takes wins; the rest is refused from then on.
class selection final : public waiter_group {
public:
    explicit selection(context& waiting) noexcept
        : who_(waiting), home_(*this_scheduler.owner), epoch_(waiting.epoch) {}

    bool take(waiter& one) noexcept override {
        bool const here = who_.on_this_thread();
        waiter* none = nullptr;
        if (over(here) || !winner_.compare_exchange_strong(none, &one, std::memory_order_acq_rel)) return false;
        if (!here)
            wake_elsewhere(who_, home_, epoch_);
        else if (!queueing_)
            make_ready(who_, wake_reason::ready);
        return true;
    }

    bool would_take() const noexcept override { return !over(who_.on_this_thread()) && !decided(); }

    /// **Parks** unless one has won by now.
    wake_reason wait(char const* what, deadline until) {
        queueing_ = false;
        if (!decided()) return park(who_, what, -1, until);
        ++who_.epoch; // the wake of another thread may be under way
        return wake_reason::ready;
    }

    /// Refuses all from now on, unless one has won: that.
    waiter* close() noexcept {
        waiter* won = nullptr;
        winner_.compare_exchange_strong(won, &nobody_, std::memory_order_acq_rel);
        return won;
    }
    bool decided() const noexcept { return winner_.load(std::memory_order_acquire) != nullptr; }

private:
    // Something else has ended the wait; told on its own thread only.
    bool over(bool here) const noexcept {
        return here && !queueing_ && (who_.epoch != epoch_ || who_.state != run_state::parked);
    }

    context& who_;
    hub& home_;
    std::uint32_t const epoch_;
    bool queueing_ = true; // the fiber runs still; for its own thread
    std::atomic<waiter*> winner_{nullptr};
    waiter nobody_;
};

std::size_t random_below(std::size_t count) noexcept {
    static constinit thread_local std::uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13; // xorshift64
    state ^= state >> 7;
    state ^= state << 17;
    return std::size_t(state % count);
}

// The waiters of the cases, in their queues as long as this lives.
class queued_cases {
public:
    explicit queued_cases(std::span<select_case* const> cases) : cases_(cases) {
        if (cases.size() > few) on_heap_ = std::make_unique<std::optional<fd_waiter>[]>(cases.size());
        waiters_ = on_heap_ ? on_heap_.get() : on_stack_.data();
    }
    // Throws what a case does that cannot be queued, unless another has won by then.
    void queue(selection& all, context& self) {
        for (; count_ < cases_.size() && !all.decided(); ++count_) {
            fd_waiter& one = waiters_[count_].emplace(self, -1, direction::read, closing::unseen);
            one.home = this_scheduler.owner;
            one.group = &all;
            try {
                cases_[count_]->queue(one);
            } catch (...) {
                if (!all.close()) throw;
                return;
            }
        }
    }
    ~queued_cases() {
        for (std::size_t i = 0; i < count_; ++i) cases_[i]->leave(*waiters_[i]);
    }
    std::size_t place_of(waiter const& one) const noexcept {
        std::size_t place = 0;
        while (&*waiters_[place] != &one) ++place;
        return place;
    }

private:
    static constexpr std::size_t few = 8;
    std::span<select_case* const> cases_;
    std::size_t count_ = 0;
    std::array<std::optional<fd_waiter>, few> on_stack_;
    std::unique_ptr<std::optional<fd_waiter>[]> on_heap_;
    std::optional<fd_waiter>* waiters_;
};

} // namespace

std::size_t select(std::span<select_case* const> cases) {
    if (cases.empty()) throw std::invalid_argument("select: nothing to choose from");
    std::size_t const first = random_below(cases.size());
    for (std::size_t i = 0; i < cases.size(); ++i) {
        std::size_t const place = (first + i) % cases.size();
        if (cases[place]->try_now()) return place;
    }
    deadline until;
    std::size_t at_last = cases.size();
    for (std::size_t i = 0; i < cases.size(); ++i) {
        if (cases[i]->is_default()) return i;
        if (cases[i]->until() >= until) continue;
        until = cases[i]->until();
        at_last = i;
    }
    context& self = fiber_that_waits();
    selection all{self};
    wake_reason why;
    waiter* won;
    std::size_t place = at_last;
    {
        queued_cases queued{cases};
        queued.queue(all, self);
        why = all.wait("one of several", until);
        won = all.close();
        if (won) place = queued.place_of(*won);
    }
    if (won)
        cases[place]->complete();
    else if (why == wake_reason::cancelled)
        throw_interruption(self);
    return place;
}

} // namespace detail
} // namespace coir
