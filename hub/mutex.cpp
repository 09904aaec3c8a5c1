#include "hub/mutex.h"

#include "hub/scheduler.h"

#include <mutex>
#include <system_error>

namespace coir {

bool mutex::lock(deadline until) {
    context& self = context::current();
    lock_.lock();
    if (holder_) return lock_held(until);
    holder_ = self.id;
    lock_.unlock();
    return true;
}

bool mutex::lock_held(deadline until) {
    std::unique_lock held{lock_, std::adopt_lock};
    if (context& self = *this_thread.current; holder_ == self.id)
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
    lock_.lock();
    std::uint64_t const holder = holder_;
    bool const mine = holder == self.id;
    if (mine) hand_over();
    lock_.unlock();
    if (!mine) throw_not_mine(holder);
}

void mutex::hand_over() noexcept {
    while (!waiting_.empty()) {
        waiter& next = waiting_.pop();
        holder_ = next.who->id;
        if (grant(next)) return;
    }
    holder_ = 0;
}

void mutex::throw_not_mine(std::uint64_t holder) {
    std::string const who = holder ? "number " + std::to_string(holder) : "nobody";
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "unlock: " + who + " holds the mutex, not " + context::current().name());
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
