#include "hub/condition.h"

#include "hub/scheduler.h"

#include <utility>

namespace coir {

bool condition::wait(mutex& held, deadline until) {
    struct relock { // the last to be destroyed, when `mine` is free again
        mutex& what;
        bool armed;
        ~relock() {
            if (armed) what.lock_through();
        }
    } at_end{held, false};
    std::unique_lock mine{lock_}; // a notification that comes as soon as the mutex is free waits for this
    held.unlock();
    at_end.armed = true;
    return waiting_.wait(mine, until, "condition");
}

bool condition::wait(std::unique_lock<mutex>& held, deadline until) { return wait(*held.mutex(), until); }

bool condition::wait(std::unique_lock<rlock>& held, deadline until) {
    rlock& of = *held.mutex();
    if (!of.of_.is_mine()) of.of_.unlock(); // says whose it is
    struct depth {
        rlock& of;
        std::size_t const before = std::exchange(of.depth_, 0);
        ~depth() { of.depth_ = before; }
    } const restored{of};
    return wait(of.of_, until);
}

void condition::notify_one() noexcept {
    std::lock_guard held{lock_};
    waiting_.notify_one();
}

void condition::notify_all() noexcept {
    std::lock_guard held{lock_};
    waiting_.notify_all();
}

} // namespace coir
