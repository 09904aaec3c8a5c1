#include "hub/worker_pool.h"

#include "fiber/at_fork.h"
#include "hub/hub.h"
#include "hub/registry.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <pthread.h>
#include <system_error>
#include <thread>

namespace coir {
namespace {

constinit std::atomic<std::size_t> idle_in_all{0};
constinit thread_local worker_pool const* works_for = nullptr;
COIR_AT_FORK(forks) = {at_fork::order::threads, nullptr, nullptr, [] { idle_in_all = 0; }};

} // namespace

// Acquire, and release where it grows: who sees a worker idle sees what its last job has done.
std::size_t idle_workers() noexcept { return idle_in_all.load(std::memory_order_acquire); }

void worker_pool::submit(job& next) {
    std::lock_guard held{lock_};
    if (idle_ <= queue_.size()) {
        if (workers_ < limit_)
            start_worker();
        else if (behind_ == behind::nobody)
            throw std::system_error(EAGAIN, std::generic_category(), "start a thread");
    }
    queue_.push_back(&next);
    count_idle();
    work_.notify_one();
}

void worker_pool::submit_patiently(job& next) {
    constexpr std::int64_t longest = 64'000'000, patience = 1'000'000'000; // ns
    for (std::int64_t pause = 1'000'000, waited = 0;; waited += pause, pause = std::min(2 * pause, longest)) {
        try {
            return submit(next);
        } catch (std::system_error const&) {
            if (waited > patience || hub::wait_until(deadline::at(steady_now() + pause)) == wake_reason::cancelled)
                throw;
        }
    }
}

// One for whom there is a job does something by itself, from the moment that it is queued.
void worker_pool::count_idle() noexcept {
    std::size_t const now = idle_ > queue_.size() ? idle_ - queue_.size() : 0;
    idle_in_all.fetch_add(now - counted_, std::memory_order_release); // modulo 2^64
    counted_ = now;
}

bool worker_pool::is_worker() const noexcept { return works_for == this; }

std::size_t worker_pool::size() const noexcept {
    std::lock_guard held{lock_};
    return workers_;
}

void worker_pool::retire() noexcept {
    std::unique_lock held{lock_};
    retired_ = true;
    work_.notify_all();
    if (workers_ > 0) return;
    held.unlock();
    delete this;
}

// A worker inherits its maker's signal mask; with all blocked, the program's handlers run on its own threads.
void worker_pool::start_worker() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread([this] { work(); }).detach();
        ++workers_;
    } catch (std::system_error const&) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if (workers_ == 0 || behind_ == behind::nobody) throw;
        return; // those that run will get to it
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void worker_pool::work() noexcept {
    works_for = this;
    std::unique_lock held{lock_};
    for (;;) {
        hub* const left = hub::existing(); // by a job
        if (left) worker_idles(*left, true);
        ++idle_;
        count_idle();
        while (queue_.empty() && !retired_) work_.wait(held);
        --idle_;
        if (left) worker_idles(*left, false);
        if (queue_.empty()) {
            count_idle();
            break;
        }
        job& next = *queue_.front();
        queue_.pop_front();
        count_idle();
        held.unlock();
        next.run(next);
        held.lock();
    }
    bool const last = --workers_ == 0;
    held.unlock();
    if (last) delete this;
}

} // namespace coir
