// What nobody asked for. An exception: a line on stderr and the stack it was thrown on, or what the program does
// instead. An outcome that goes where nothing may wait: a fiber for it. (Not in fiber.cpp, where the compiler would
// take the only task it sees for the likely one.)

#include "fiber/at_fork.h"
#include "fiber/describe.h"
#include "fiber/never_destroyed.h"
#include "fiber/thread_lock.h"
#include "hub/fiber.h"
#include "hub/scheduler.h"

#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace coir {

namespace {

constinit thread_lock lock;
COIR_AT_FORK(lock_in_child) = free_in_child<lock>;
constinit never_destroyed<std::shared_ptr<std::function<void(unhandled_exception const&)> const>> hook_in_use;

void print(unhandled_exception const& what) noexcept {
    std::fprintf(stderr, "coir: %s ended with an exception that nobody fetched: %s\n%s", what.name.c_str(),
                 describe(what.error).c_str(), what.where.c_str());
}

} // namespace

std::function<void(unhandled_exception const&)>
on_unhandled_exception(std::function<void(unhandled_exception const&)> hook) {
    fork_table::look_after();
    auto next = std::make_shared<std::function<void(unhandled_exception const&)> const>(std::move(hook));
    {
        std::lock_guard held{lock};
        std::swap(*hook_in_use, next);
    }
    return next ? *next : nullptr;
}

void report_unhandled(unhandled_exception const& what) noexcept {
    std::unique_lock held{lock};
    auto const* const in_use = hook_in_use.existing();
    auto const hook = in_use ? *in_use : nullptr;
    held.unlock();
    if (hook && *hook) return (*hook)(what);
    // Writing may wait, which a fiber can and the hub cannot.
    if (this_thread.current && this_thread.current == this_scheduler.loop) try {
            return detail::run_now(detail::make_task({.name = "a report"}, print, what));
        } catch (...) {} // no memory
    print(what);
}

namespace detail {

// Owned by the fiber that gets rid of an ended one.
struct leftover {
    task* of;
    explicit leftover(task& ended) noexcept : of(&ended) {}
    leftover(leftover&& other) noexcept : of(std::exchange(other.of, nullptr)) {}
    ~leftover() {
        if (!of) return;
        of->drop_outcome();
        of->destroy();
    }
};

// A fiber that gets rid of this one, which somebody still had a handle to when it ended; null if there is no memory.
task* task::undertaker() noexcept {
    leftover self(*this);
    try {
        return &make_task(
            {.name = "what is left of " + name()}, [](leftover&&) {}, std::move(self));
    } catch (...) {
        self.of = nullptr;
        return nullptr;
    }
}

} // namespace detail

} // namespace coir
