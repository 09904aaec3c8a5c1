#include "hub/mutex.h"

#include "hub/scheduler.h"

#include <mutex>
#include <system_error>

namespace coir {

bool mutex::lock(deadline until) {
    context& self = context::current();
    std::unique_lock held{lock_};
    if (!holder_) {
        holder_ = self.id;
        return true;
    }
    if (holder_ == self.id)
        throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                                "lock: " + self.name() + " holds the mutex already");
    return waiting_.wait(held, until, "mutex"); // unlock() has made this fiber its holder
}

bool mutex::try_lock() noexcept {
    context& self = context::current();
    std::lock_guard held{lock_};
    if (holder_) return false;
    holder_ = self.id;
    return true;
}

void mutex::unlock() {
    context& self = context::current();
    std::unique_lock held{lock_};
    if (holder_ != self.id) {
        std::uint64_t const other = holder_;
        held.unlock();
        throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                                "unlock: " + (other ? "number " + std::to_string(other) + " holds" : "nobody holds") +
                                    " the mutex, not " + self.name());
    }
    while (!waiting_.empty()) {
        waiter& next = waiting_.pop();
        holder_ = next.who->id;
        if (grant(next)) return;
    }
    holder_ = 0;
}

bool mutex::locked() const noexcept {
    std::lock_guard held{lock_};
    return holder_ != 0;
}

bool mutex::is_mine() const noexcept {
    std::lock_guard held{lock_};
    return this_thread.current && holder_ == this_thread.current->id;
}

void mutex::lock_through() {
    context& self = context::current();
    std::unique_lock held{lock_};
    if (!waiting_.wait_through(held, "mutex", [this] { return holder_ == 0; })) holder_ = self.id;
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
    if (of_.is_mine() && --depth_ > 0) return;
    of_.unlock();
}

} // namespace coir
