#include "hub/offload.h"

#include "fiber/at_fork.h"
#include "hub/hub.h"
#include "hub/interruption.h"
#include "hub/scheduler.h"
#include "hub/worker_pool.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace coir {
namespace {

// One call under way. Lies on the stack of the fiber that waits for it.
struct call_under_way : job, posted {
    void (*call)(void*);
    void* argument;
    hub& home;
    waiter caller;
    int error = 0; // errno, in and out
    bool done = false;

    call_under_way(void (*what)(void*), void* with, hub& posts_to, context& waiting)
        : job{&work}, posted(&finish), call(what), argument(with), home(posts_to), caller(waiting), error(errno) {}

    static void work(job& self) noexcept { // on a worker
        auto& due = static_cast<call_under_way&>(self);
        errno = due.error;
        due.call(due.argument);
        due.error = errno;
        due.home.post(static_cast<posted&>(due));
    }

    static void finish(posted& self) noexcept { // on the home hub
        auto& ended = static_cast<call_under_way&>(self);
        ended.home.expected_post_came();
        ended.done = true;
        wake(ended.caller, wake_reason::ready);
    }
};

constinit thread_lock shared_pool_lock;
constinit std::atomic<worker_pool*> shared_pool{nullptr};
COIR_AT_FORK(lock_in_child) = free_in_child<shared_pool_lock>;
COIR_AT_FORK(forks) = {at_fork::order::threads, nullptr, nullptr, [] { shared_pool = nullptr; }};

constexpr std::size_t usual_limit = 32;

// Said once: who makes the call that needs a thread first has nothing to do with it. By number, which never parks.
std::size_t refuse_limit(char const* text) {
    std::string const line = "coir: COIR_OFFLOAD_THREADS: '" + std::string(text) +
                             "' is no number from 1 to 1024; there are " + std::to_string(usual_limit) + "\n";
    syscall(SYS_write, STDERR_FILENO, line.data(), line.size());
    return usual_limit;
}

} // namespace

std::size_t offload_limit() {
    static std::size_t const limit = [] {
        char const* text = std::getenv("COIR_OFFLOAD_THREADS");
        if (!text) return usual_limit;
        std::size_t count = 0;
        auto const* end = text + std::strlen(text);
        auto [rest, error] = std::from_chars(text, end, count);
        if (error != std::errc{} || rest != end || count < 1 || count > 1024) return refuse_limit(text);
        return count;
    }();
    return limit;
}

// Never destroyed: workers run until the process ends. A forked child has no workers and makes a pool of its own.
worker_pool& shared_workers() {
    if (worker_pool* const made = shared_pool.load(std::memory_order_acquire)) return *made;
    fork_table::look_after();
    std::size_t const limit = offload_limit();
    std::lock_guard held{shared_pool_lock};
    if (!shared_pool) shared_pool = new worker_pool(limit);
    return *shared_pool;
}

void detail::offload(void (*call)(void*), void* argument, char const* what) {
    offload(shared_workers(), call, argument, what);
}

void detail::offload(worker_pool& workers, void (*call)(void*), void* argument, char const* what) {
    context& self = fiber_that_waits();
    hub& here = *this_scheduler.owner;
    call_under_way one{call, argument, here, self};
    workers.submit_patiently(one);
    here.expect_post();
    unsigned const forks = here.forks();
    // The call is on this stack: whatever else wakes the fiber, it stays until the worker is done.
    while (!one.done) {
        one.caller.epoch = self.epoch;
        park_through(self, what);
        // In a forked child no worker has it, and the fiber was woken because nothing is left that it could wait for.
        if (here.forks() != forks) interruption_point();
    }
    errno = one.error;
}

bool detail::run_on_worker(owned_call& what, char const* name) {
    struct due final : job {
        owned_call& of;
        explicit due(owned_call& call) : job{&work}, of(call) {}
        static void work(job& self) noexcept {
            std::unique_ptr<due> const mine{static_cast<due*>(&self)};
            errno = mine->of.error;
            mine->of.call();
            mine->of.error = errno;
            mine->of.done.set();
            mine->of.release();
        }
    };
    what.error = errno;
    auto next = std::make_unique<due>(what);
    try {
        shared_workers().submit_patiently(*next);
        next.release();
    } catch (...) {
        what.release(); // the worker's
        throw;
    }
    wake_reason why = wake_reason::ready;
    if (std::unique_lock held{what.done.lock}; static_cast<source&>(what.done).is_ready()) {
        held.unlock();
        step_back(); // the worker was quicker than this: others have their turn all the same
    } else {
        waiter one;
        why = what.done.waiting.wait_quietly(one, held, {}, name);
    }
    if (why == wake_reason::ready) errno = what.error;
    return why == wake_reason::ready;
}

} // namespace coir
