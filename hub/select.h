// select: the first of several things that can happen, over queues, channels, events, fibers, semaphores and
// descriptors in any mixture.
//
//     switch (coir::select(todo.on_get(job), quit.on_set(), coir::after(1s))) {
//     case 0: … // job has been taken out of todo
//     case 1: …
//     case 2: … // neither came within a second
//     }
#pragma once

#include "hub/hub.h"
#include "hub/select_case.h"

#include <array>
#include <concepts>
#include <cstddef>
#include <span>

namespace coir {

/// A case: nothing else came until then.
class COIR_API after final : public select_case {
public:
    /// Until `until`; select() goes by the earliest of several.
    explicit after(deadline until) noexcept : until_(until) {}
    bool try_now() override { return false; }
    void queue(waiter&) override {}
    void leave(waiter&) noexcept override {}
    deadline until() const noexcept override { return until_; }
    char const* what() const noexcept override { return "a moment"; }

private:
    deadline until_;
};

/// A case: nothing else is possible at once. Makes select() not wait.
class COIR_API otherwise final : public select_case {
public:
    bool try_now() override { return false; }
    void queue(waiter&) override {}
    void leave(waiter&) noexcept override {}
    bool is_default() const noexcept override { return true; }
    char const* what() const noexcept override { return "nothing"; }
};

/// A case: a descriptor is ready, or was closed. The next call on it tells.
class COIR_API on_descriptor final : public select_case {
public:
    /// `how`: closing::seen only if hub::forget_fd() will be called when `fd` is closed.
    on_descriptor(int fd, direction way, closing how) noexcept : fd_(fd), way_(way), how_(how) {}
    bool try_now() override;
    void queue(waiter& one) override;
    void leave(waiter& one) noexcept override;
    char const* what() const noexcept override { return "descriptor"; }

private:
    int fd_;
    direction way_;
    closing how_;
};
/// For select(): `fd` is readable, or was closed. `how` as in hub::wait_fd(). Any thread.
inline on_descriptor on_readable(int fd, closing how = closing::unseen) noexcept { return {fd, direction::read, how}; }
/// For select(): `fd` is writable, or was closed. `how` as in hub::wait_fd(). Any thread.
inline on_descriptor on_writable(int fd, closing how = closing::unseen) noexcept { return {fd, direction::write, how}; }

/// @cond internal
namespace detail {
COIR_API std::size_t select(std::span<select_case* const> cases);
}
/// @endcond

/// **Parks** unless one of the cases can happen at once. Does exactly one of them and returns its place. When several
/// can, one of those is chosen at random, so that none starves; when it has to wait, the first that happens. Throws
/// what the chosen case throws, what interrupts the caller, and would_block_forever, and then none was done; and
/// std::invalid_argument without cases. Allocates for more than eight. Any thread.
template <std::derived_from<select_case>... Cases>
std::size_t select(Cases&&... cases) {
    return detail::select(std::array<select_case*, sizeof...(cases)>{&cases...});
}

} // namespace coir
