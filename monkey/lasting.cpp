#include "monkey/lasting.h"

#include "hub/waiter.h"
#include "monkey/kernel.h"
#include "monkey/real.h"
#include "monkey/retry.h"

#include <csignal>
#include <memory>
#include <mutex>
#include <pthread.h>

namespace coir::monkey {
namespace {

constexpr std::size_t most_threads = 30'000; // the kernel has fewer, usually

worker_pool* threads = nullptr;

// Never destroyed; a forked child has none of its parent's threads.
worker_pool& all_threads() {
    [[maybe_unused]] static int const once = [] {
        threads = new worker_pool(most_threads);
        return pthread_atfork(nullptr, nullptr, [] { threads = new worker_pool(most_threads); });
    }();
    return *threads;
}

void nothing(int) {}

bool is_free(int number) noexcept {
    struct sigaction now;
    return real.sigaction(number, nullptr, &now) == 0 && (now.sa_handler == SIG_DFL || now.sa_handler == nothing);
}

// A real-time signal that the program leaves alone, with a handler that does nothing: any other disposition would not
// interrupt a call, or end the process.
int interrupting_signal() noexcept {
    static constinit std::mutex lock;
    std::lock_guard held{lock};
    for (int number = SIGRTMAX; number >= SIGRTMIN; --number) {
        if (!is_free(number)) continue;
        struct sigaction action {};
        action.sa_handler = nothing;
        real.sigaction(number, &action, nullptr);
        return number;
    }
    return 0;
}

} // namespace

void lasting_call::work(job& self) noexcept {
    auto& mine = static_cast<lasting_call&>(self);
    sigset_t one, before;
    sigemptyset(&one);
    for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) sigaddset(&one, number);
    pthread_sigmask(SIG_UNBLOCK, &one, &before);
    mine.thread_.store(int(kernel(SYS_gettid)));
    mine.result_ = mine.call();
    mine.thread_.store(0);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    mine.done_.set(); // it may be gone then
}

// Sends the signal until the call has ended: one that comes before the call has begun is lost.
struct lasting_call::interrupter : job {
    lasting_call& of;
    event ended;
    explicit interrupter(lasting_call& which) : job{&work}, of(which) {}
    static void work(job& self) noexcept {
        auto& mine = static_cast<interrupter&>(self);
        int const number = interrupting_signal();
        while (!mine.of.done_.is_set()) { // it is there until this one has ended
            if (int const thread = mine.of.thread_.load()) kernel(SYS_tgkill, getpid(), thread, number);
            timespec const soon{0, 1'000'000};
            kernel(SYS_nanosleep, &soon, nullptr);
        }
        mine.ended.set();
    }
};

bool lasting_call::has_ended() const noexcept { return static_cast<source const&>(done_).is_ready(); }

long lasting_call::make(char const* what, handlers ended_by) {
    notice_handlers();
    all_threads().submit(*this);
    long error = 0;
    {
        ended_by_handlers const or_one{ended_by};
        std::unique_lock held{done_.lock};
        waiter one;
        if (!has_ended()) error = after(done_.waiting.wait_quietly(one, held, {}, what));
    }
    if (!error) return result_;
    interrupter stop{*this};
    all_threads().submit(stop);
    if (std::unique_lock held{stop.ended.lock}; !static_cast<source&>(stop.ended).is_ready())
        stop.ended.waiting.wait_through(held, what);
    return result_ == -EINTR ? error : result_;
}

} // namespace coir::monkey
