#include "hub/offload.h"

#include "hub/hub.h"
#include "hub/scheduler.h"

#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <string>
#include <system_error>
#include <thread>

namespace coir {
namespace {

// One call under way. Lies on the stack of the fiber that waits for it.
struct job : posted {
    void (*call)(void*);
    void* argument;
    hub& home;
    waiter caller;
    int error = 0; // errno, in and out
    bool done = false;

    job(void (*what)(void*), void* with, hub& posts_to, context& waiting)
        : posted(&finish), call(what), argument(with), home(posts_to), caller(waiting), error(errno) {}

    static void finish(posted& self) noexcept { // on the home hub
        auto& ended = static_cast<job&>(self);
        ended.home.expected_post_came();
        ended.done = true;
        wake(ended.caller, wake_reason::ready);
    }
};

// Never destroyed: workers run until the process ends. A forked child has no workers and makes a pool of its own.
class worker_pool {
public:
    static worker_pool& instance() {
        // Not std::call_once: the limit may be refused by an exception, which that does not pass everywhere.
        [[maybe_unused]] static int const once = [] {
            present = new worker_pool;
            return pthread_atfork(nullptr, nullptr, [] { present = new worker_pool; });
        }();
        return *present;
    }

    void submit(job& next) {
        std::lock_guard lock{mutex_};
        if (idle_ <= queue_.size() && workers_ < limit_) start_worker();
        queue_.push_back(&next);
        work_.notify_one();
    }

private:
    static worker_pool* present;

    // A worker inherits its maker's signal mask; with all blocked, the program's handlers run on its own threads.
    void start_worker() {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        try {
            std::thread([this] { work(); }).detach();
            ++workers_;
        } catch (std::system_error const&) {
            pthread_sigmask(SIG_SETMASK, &before, nullptr);
            if (workers_ == 0) throw;
            return; // those that run will get to it
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    [[noreturn]] void work() {
        std::unique_lock lock{mutex_};
        for (;;) {
            ++idle_;
            work_.wait(lock, [this] { return !queue_.empty(); });
            --idle_;
            job& next = *queue_.front();
            queue_.pop_front();
            lock.unlock();
            errno = next.error;
            next.call(next.argument);
            next.error = errno;
            next.home.post(static_cast<posted&>(next));
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable work_;
    std::deque<job*> queue_;
    std::size_t const limit_ = offload_limit();
    std::size_t workers_ = 0;
    std::size_t idle_ = 0;
};

worker_pool* worker_pool::present = nullptr;

} // namespace

std::size_t offload_limit() {
    static std::size_t const limit = [] {
        char const* text = std::getenv("COIR_OFFLOAD_THREADS");
        if (!text) return std::size_t{32};
        std::size_t count = 0;
        auto const* end = text + std::strlen(text);
        auto [rest, error] = std::from_chars(text, end, count);
        if (error != std::errc{} || rest != end || count < 1 || count > 1024)
            throw std::system_error(EINVAL, std::generic_category(),
                                    "COIR_OFFLOAD_THREADS='" + std::string(text) + "': want a number from 1 to 1024");
        return count;
    }();
    return limit;
}

void detail::offload(void (*call)(void*), void* argument, char const* what) {
    hub& here = hub::current();
    context& self = *this_thread.current;
    job one{call, argument, here, self};
    worker_pool::instance().submit(one);
    here.expect_post();
    // The job is on this stack: whatever else wakes the fiber, it stays until the worker is done.
    while (!one.done) {
        one.caller.epoch = self.epoch;
        park(self, what);
        // In a forked child no worker has it, and the fiber was woken because nothing is left that it could wait for.
        if (!one.done && !here.expects_post()) self.rethrow_pending();
    }
    errno = one.error;
}

} // namespace coir
