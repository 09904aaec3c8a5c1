// Waiting for descriptors: the middle of every blocking call's journey (hub/README.md).

#include "hub/hub.h"
#include "hub/scheduler.h"

#include <array>
#include <memory>
#include <optional>

namespace coir {
namespace {

char const* name_of(direction way) noexcept { return way == direction::read ? "read of fd" : "write to fd"; }

// A waiter from add to remove, whatever ends the wait. The hub is asked for anew: the waiter may have become a forked
// child's meanwhile.
struct watch : fd_waiter {
    bool open;
    watch(context& waiting, hub::interest const& in, closing how)
        : fd_waiter(waiting, in.fd, in.way, how), open(this_scheduler.owner->watch_fd(*this)) {}
    ~watch() {
        if (open) this_scheduler.owner->unwatch_fd(*this);
    }
};

} // namespace

wake_reason hub::wait_fd(int fd, direction way, deadline until, closing how) {
    context& self = fiber_that_waits();
    watch const one{self, {fd, way}, how};
    return one.open ? park(self, name_of(way), fd, until) : wake_reason::closed;
}

wake_reason hub::wait_any_fd(std::span<interest const> of, deadline until, closing how) {
    constexpr std::size_t few = 8;
    context& self = fiber_that_waits();
    std::array<std::optional<watch>, few> on_stack;
    std::unique_ptr<std::optional<watch>[]> on_heap;
    if (of.size() > few) on_heap = std::make_unique<std::optional<watch>[]>(of.size());
    auto* const watches = on_heap ? on_heap.get() : on_stack.data();
    for (std::size_t i = 0; i < of.size(); ++i)
        if (!watches[i].emplace(self, of[i], how).open) return wake_reason::closed;
    return park(self, of.empty() ? "a moment" : name_of(of[0].way), of.empty() ? -1 : of[0].fd, until);
}

} // namespace coir
