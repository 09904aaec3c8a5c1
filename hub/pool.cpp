#include "hub/pool.h"

#include <mutex>
#include <utility>

namespace coir {

pool_full::pool_full() : std::runtime_error("the pool is full") {}

namespace detail {

// Takes a member out when it has ended.
struct membership::end_link final : fiber_link {
    std::shared_ptr<membership> of;
    explicit end_link(std::shared_ptr<membership> group) : of(std::move(group)) {}
    void call(task& ended) override { of->leave(ended.id); }
};

void membership::take_place(deadline until) {
    std::unique_lock held{lock_};
    if (!places_.take(held, until)) throw pool_full();
}

bool membership::try_take_place() noexcept {
    std::lock_guard held{lock_};
    return places_.try_take();
}

bool membership::wait_available(deadline until) {
    std::unique_lock held{lock_};
    return places_.wait(held, until);
}

void membership::give_back() noexcept {
    std::lock_guard held{lock_};
    places_.give_back();
}

void membership::place::fill(any_fiber const& fresh) {
    auto link = std::make_unique<end_link>(in_->shared_from_this());
    std::unique_lock held{in_->lock_};
    if (!in_->members_.try_emplace(fresh.id(), member{fresh}).second) return;
    held.unlock();
    membership& in = *std::exchange(in_, nullptr); // leave() gives it back
    try {
        link_id const id = add_link(fresh.control_block(), std::move(link));
        held.lock();
        if (auto const found = in.members_.find(fresh.id()); found != in.members_.end()) found->second.link = id;
    } catch (...) {
        in.leave(fresh.id());
        throw;
    }
}

void membership::leave(std::uint64_t id) noexcept {
    any_fiber gone; // dropped without the lock: that may report what it ended with
    std::lock_guard held{lock_};
    auto const found = members_.find(id);
    if (found == members_.end()) return;
    gone = std::move(found->second.fiber);
    members_.erase(found);
    if (members_.empty()) joiners_.notify_all();
    places_.give_back();
}

void membership::discard(any_fiber const& one) noexcept {
    std::unique_lock held{lock_};
    auto const found = members_.find(one.id());
    if (found == members_.end()) return;
    link_id const link = found->second.link;
    held.unlock();
    one.unlink(link);
    leave(one.id());
}

void membership::let_go() noexcept {
    std::unique_lock held{lock_};
    auto const members = std::exchange(members_, {});
    for (std::size_t i = 0; i < members.size(); ++i) places_.give_back();
    held.unlock();
    for (auto const& [id, each] : members) each.fiber.unlink(each.link);
}

bool membership::join(deadline until, bool raise_error) {
    std::vector<any_fiber> const now = raise_error ? all() : std::vector<any_fiber>{};
    std::unique_lock held{lock_};
    bool const empty = members_.empty() || joiners_.wait(held, until, "the members of a group");
    held.unlock();
    for (any_fiber const& each : now)
        if (std::exception_ptr const error = each.exception()) std::rethrow_exception(error);
    return empty;
}

bool membership::kill(kill_options options) {
    for (;;) {
        std::vector<any_fiber> now, fresh;
        std::unique_lock held{lock_};
        for (auto& [id, each] : members_) {
            now.push_back(each.fiber);
            if (!std::exchange(each.dying, true)) fresh.push_back(each.fiber);
        }
        held.unlock();
        if (now.empty()) return true;
        killall(fresh, {.error = options.error, .block = false});
        if (!options.block) return size() == 0;
        if (now.size() == 1 && now.front().is_current()) return join(options.until, false); // which throws it
        for (any_fiber const& each : now) {
            if (each.is_current()) continue;
            if (!each.join(options.until)) return false;
            leave(each.id()); // its link may not have been called yet
        }
    }
}

bool membership::killone(any_fiber const& one, kill_options options) {
    std::unique_lock held{lock_};
    auto const found = members_.find(one.id());
    if (found == members_.end() || std::exchange(found->second.dying, true)) return one.ready();
    held.unlock();
    return one.kill(std::move(options));
}

std::size_t membership::free() const noexcept {
    std::lock_guard held{lock_};
    return places_.free();
}

std::size_t membership::size() const noexcept {
    std::lock_guard held{lock_};
    return members_.size();
}

bool membership::contains(std::uint64_t id) const noexcept {
    std::lock_guard held{lock_};
    return members_.contains(id);
}

bool membership::contains_running_fiber() const noexcept {
    return this_thread.current && contains(this_thread.current->id);
}

std::vector<any_fiber> membership::all() const {
    std::vector<any_fiber> found;
    std::lock_guard held{lock_};
    found.reserve(members_.size());
    for (auto const& [id, each] : members_) found.push_back(each.fiber);
    return found;
}

} // namespace detail

void group::add(any_fiber const& fresh, deadline until) {
    if (contains(fresh)) return;
    members_->take_place(until);
    detail::membership::place(*members_).fill(fresh);
}

void group::start(any_fiber const& fresh, deadline until) {
    add(fresh, until);
    fresh.start();
}

void pool::try_add(any_fiber const& fresh) {
    if (contains(fresh)) return;
    if (!members_->try_take_place()) throw pool_full();
    detail::membership::place(*members_).fill(fresh);
}

void pool::try_start(any_fiber const& fresh) {
    try_add(fresh);
    fresh.start();
}

} // namespace coir
