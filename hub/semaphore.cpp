#include "hub/semaphore.h"

#include "hub/scheduler.h"

#include <mutex>
#include <stdexcept>
#include <string>

namespace coir {

bool semaphore::acquire(deadline until) {
    std::unique_lock held{lock};
    if (value_ == 0) return waiting.wait(held, until, "semaphore");
    --value_;
    return true;
}

bool semaphore::try_acquire() noexcept {
    std::lock_guard held{lock};
    if (value_ == 0) return false;
    --value_;
    return true;
}

void semaphore::release() noexcept {
    std::lock_guard held{lock};
    release_one();
}

void semaphore::release_one() noexcept {
    ++value_;
    waiting.hand_out(value_);
}

bool semaphore::wait(deadline until) {
    std::unique_lock held{lock};
    if (value_ > 0) return true;
    waiter one;
    one.takes = false;
    return waiting.wait(one, held, until, "semaphore");
}

std::size_t semaphore::value() const noexcept {
    std::lock_guard held{lock};
    return value_;
}

void semaphore::acquire_case::queue(waiter& one) {
    std::lock_guard held{of_.lock};
    if (of_.value_ > 0 && grant(one))
        --of_.value_;
    else
        of_.waiting.push(one);
}

void semaphore::acquire_case::leave(waiter& one) noexcept {
    std::lock_guard held{of_.lock};
    if (one.queued()) one.unlink();
}

void bounded_semaphore::release() {
    std::lock_guard held{lock};
    if (value_ >= bound_)
        throw std::logic_error("bounded_semaphore: released more often than acquired, with the value at its bound of " +
                               std::to_string(bound_));
    release_one();
}

} // namespace coir
