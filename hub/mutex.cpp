#include "hub/mutex.h"

#include "hub/scheduler.h"

#include <mutex>
#include <system_error>

namespace coir {

bool mutex::lock(deadline until) {
    context& self = context::current();
    std::unique_lock held{lock_};
    if (!holder_) {
        holder_ = &self;
        return true;
    }
    if (holder_ == &self)
        throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                                "lock: " + self.name() + " holds the mutex already");
    return waiting_.wait(held, until, "mutex"); // unlock() has made this fiber its holder
}

bool mutex::try_lock() noexcept {
    context& self = context::current();
    std::lock_guard held{lock_};
    if (holder_) return false;
    holder_ = &self;
    return true;
}

void mutex::unlock() {
    std::unique_lock held{lock_};
    if (holder_ != this_thread.current || !holder_) {
        std::string const whose = holder_ ? holder_->name() + " holds" : "nobody holds";
        held.unlock();
        throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                                "unlock: " + whose + " the mutex, not " + context::current().name());
    }
    while (!waiting_.empty()) {
        waiter& next = waiting_.pop();
        holder_ = next.who;
        if (grant(next)) return;
    }
    holder_ = nullptr;
}

bool mutex::locked() const noexcept {
    std::lock_guard held{lock_};
    return holder_ != nullptr;
}

bool mutex::is_mine() const noexcept {
    std::lock_guard held{lock_};
    return holder_ && holder_ == this_thread.current;
}

void mutex::lock_through() {
    context& self = context::current();
    std::unique_lock held{lock_};
    if (holder_)
        waiting_.wait_through(held, "mutex");
    else
        holder_ = &self;
}

bool rlock::lock(deadline until) {
    if (!of_.is_mine() && !of_.lock(until)) return false;
    ++depth_;
    return true;
}

bool rlock::try_lock() noexcept {
    if (!of_.is_mine() && !of_.try_lock()) return false;
    ++depth_;
    return true;
}

void rlock::unlock() {
    if (depth_ > 1 && of_.is_mine()) {
        --depth_;
        return;
    }
    bool const mine = of_.is_mine();
    if (mine) depth_ = 0;
    of_.unlock();
}

} // namespace coir
