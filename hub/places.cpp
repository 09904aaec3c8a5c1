#include "hub/places.h"

namespace coir::detail {

bool places::take(std::unique_lock<thread_lock>& held, deadline until) {
    return try_take() || waiting_.wait(held, until, what_);
}

bool places::try_take() noexcept {
    if (free_ == 0) return false;
    if (free_ != unlimited) --free_;
    return true;
}

bool places::wait(std::unique_lock<thread_lock>& held, deadline until) {
    if (free_ > 0) return true;
    waiter one;
    one.takes = false;
    return waiting_.wait(one, held, until, what_);
}

void places::give_back() noexcept {
    if (free_ == unlimited) return;
    ++free_;
    waiting_.hand_out(free_);
}

} // namespace coir::detail
