#include "hub/barrier.h"

#include "hub/scheduler.h"

#include <mutex>
#include <string>

namespace coir {

broken_barrier::broken_barrier() : std::runtime_error("the barrier is broken: a fiber has given up waiting there") {}

struct barrier::arrival : waiter {
    bool refused = false; // it was let go because the barrier broke
};

barrier::barrier(std::size_t parties) : parties_(parties) {
    if (parties == 0) throw std::invalid_argument("barrier: for at least one fiber");
}

std::size_t barrier::arrive_and_wait(deadline until) {
    std::unique_lock held{lock_};
    if (broken_) throw broken_barrier();
    std::size_t const missing = parties_ - ++arrived_;
    if (missing == 0) {
        arrived_ = 0;
        while (!waiting_.empty()) {
            waiter& one = waiting_.pop();
            one.granted = true; // also if it has been interrupted or is late by now: it has arrived, and others go on
            grant(one);
        }
        return 0;
    }
    arrival one;
    bool passed;
    try {
        passed = waiting_.wait(one, held, until, "barrier");
    } catch (...) {
        if (!one.refused) break_up(); // else this is the next time round already
        throw;
    }
    if (!passed && !one.refused) break_up();
    if (!passed || one.refused) throw broken_barrier();
    return missing;
}

void barrier::break_up() noexcept {
    broken_ = true;
    arrived_ = 0;
    waiting_.find([](waiter& each) { return static_cast<arrival&>(each).refused = true, false; });
    waiting_.notify_all();
}

void barrier::abort() noexcept {
    std::lock_guard held{lock_};
    break_up();
}

void barrier::reset() noexcept {
    std::lock_guard held{lock_};
    break_up();
    broken_ = false;
}

bool barrier::broken() const noexcept {
    std::lock_guard held{lock_};
    return broken_;
}

std::size_t barrier::waiting() const noexcept {
    std::lock_guard held{lock_};
    return arrived_;
}

void latch::count_down(std::size_t by) {
    std::lock_guard held{lock};
    if (by > left_)
        throw std::logic_error("latch: counted down by " + std::to_string(by) + " with " + std::to_string(left_) +
                               " left");
    left_ -= by;
    if (left_ == 0) waiting.notify_all();
}

bool latch::try_wait() const noexcept {
    std::lock_guard held{lock};
    return left_ == 0;
}

bool latch::wait(deadline until) {
    std::unique_lock held{lock};
    return left_ == 0 || waiting.wait(held, until, "latch");
}

} // namespace coir
