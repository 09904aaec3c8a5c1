#include "hub/thread_pool.h"

#include "fiber/at_fork.h"
#include "hub/offload.h"

#include <mutex>
#include <new>
#include <stdexcept>

namespace coir {
namespace detail {

// One more call than there are threads: it is at hand when a thread is free.
pool_threads::pool_threads(std::size_t maxsize)
    : own_(new worker_pool(maxsize)), places_(maxsize + 1, "a place in a thread pool") {}

pool_threads::pool_threads(shared_with_offload) : places_(offload_limit() + 1, "a place in a thread pool") {}

pool_threads::~pool_threads() {
    if (own_) own_->retire();
}

std::shared_ptr<pool_threads> pool_threads::renewed() const {
    return own_ ? std::make_shared<pool_threads>(own_->limit()) : std::make_shared<pool_threads>(shared_with_offload{});
}

void pool_threads::forget() noexcept {
    own_ = nullptr;
    new (&lock_) thread_lock; // another thread may have held it when the process forked
}

worker_pool& pool_threads::workers() const { return own_ ? *own_ : shared_workers(); }

bool pool_threads::begin() {
    std::unique_lock held{lock_};
    bool const needs_place = !workers().is_worker();
    if (needs_place) places_.take(held);
    ++unfinished_;
    return needs_place;
}

void pool_threads::end(bool had_place) noexcept {
    std::lock_guard held{lock_};
    if (had_place) places_.give_back();
    if (--unfinished_ == 0) joiners_.notify_all();
}

void pool_threads::queued::work(job& self) noexcept {
    std::unique_ptr<queued> due{static_cast<queued*>(&self)};
    due->call();
    auto const of = std::move(due->of);
    bool const had_place = due->has_place;
    due.reset(); // and what it holds, before join() returns
    of->end(had_place);
}

bool pool_threads::join(deadline until) {
    std::unique_lock held{lock_};
    return unfinished_ == 0 || joiners_.wait(held, until, "the calls in a thread pool");
}

std::size_t pool_threads::unfinished() const noexcept {
    std::lock_guard held{lock_};
    return unfinished_;
}

} // namespace detail

namespace {

// All pools, for a forked child.
constinit thread_lock list_lock;
COIR_AT_FORK(lock_in_child) = free_in_child<list_lock>;
constinit thread_pool* first_pool = nullptr;

} // namespace

thread_pool::thread_pool(std::size_t maxsize) {
    if (maxsize == 0) throw std::invalid_argument("thread_pool: it needs a thread at least");
    threads_ = std::make_shared<detail::pool_threads>(maxsize);
    enlist();
}

thread_pool::thread_pool(detail::pool_threads::shared_with_offload which)
    : threads_(std::make_shared<detail::pool_threads>(which)) {
    enlist();
}

thread_pool::~thread_pool() {
    std::lock_guard held{list_lock};
    (previous_ ? previous_->next_ : first_pool) = next_;
    if (next_) next_->previous_ = previous_;
}

// Never destroyed: fibers may use it after static destruction has begun.
thread_pool& thread_pool::shared() {
    static thread_pool& only = *new thread_pool(detail::pool_threads::shared_with_offload{});
    return only;
}

void thread_pool::enlist() {
    fork_table::look_after();
    std::lock_guard held{list_lock};
    next_ = first_pool;
    if (next_) next_->previous_ = this;
    first_pool = this;
}

// What is under way in the parent keeps what it refers to; it is not this process's.
struct pools_at_fork {
    static void in_child() noexcept {
        for (thread_pool* each = first_pool; each; each = each->next_) {
            auto const before = std::move(each->threads_);
            each->threads_ = before->renewed();
            before->forget();
        }
    }
};

COIR_AT_FORK(pools_in_child) = {at_fork::order::others, nullptr, nullptr, &pools_at_fork::in_child};

} // namespace coir
