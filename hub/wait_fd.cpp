// Waiting for descriptors: the middle of every blocking call's journey (hub/README.md).

#include "hub/hub.h"
#include "hub/scheduler.h"

#include <memory>

namespace coir {
namespace {

char const* name_of(direction way) noexcept { return way == direction::read ? "read of fd" : "write to fd"; }

} // namespace

wake_reason hub::wait_fd(int fd, direction way, deadline until, closing how) {
    if (fd < 0) return wake_reason::closed;
    loop& events = *current().loop_;
    context& self = *this_thread.current;
    fd_waiter one{self, fd, way, how};
    events.add(one);
    wake_reason const why = park(self, name_of(way), fd, until);
    events.remove(one);
    return why;
}

wake_reason hub::wait_any_fd(std::span<interest const> of, deadline until, closing how) {
    constexpr std::size_t few = 8;
    loop& events = *current().loop_;
    context& self = *this_thread.current;
    alignas(fd_waiter) std::byte on_stack[few * sizeof(fd_waiter)];
    std::unique_ptr<std::byte[]> on_heap;
    if (of.size() > few) on_heap = std::make_unique<std::byte[]>(of.size() * sizeof(fd_waiter));
    auto* const waiters = reinterpret_cast<fd_waiter*>(on_heap ? on_heap.get() : on_stack);
    for (std::size_t i = 0; i < of.size(); ++i)
        if (of[i].fd < 0) return wake_reason::closed;
    for (std::size_t i = 0; i < of.size(); ++i)
        events.add(*new (&waiters[i]) fd_waiter{self, of[i].fd, of[i].way, how});
    wake_reason const why = park(self, of.empty() ? "a moment" : name_of(of[0].way), of.empty() ? -1 : of[0].fd, until);
    for (std::size_t i = 0; i < of.size(); ++i) events.remove(waiters[i]);
    return why;
}

} // namespace coir
