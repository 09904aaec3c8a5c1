// Threads that make blocking calls for fibers: a queue of jobs and as many workers as there is work, up to a limit.
// They block all signals and have no hub, so that a hooked call made by one goes straight to libc. A hand-over costs
// about 10 µs.
//
// Any thread. Internal; users meet it as offload() and thread_pool.
#pragma once

#include "fiber/export.h"
#include "fiber/thread_lock.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace coir {

/// Something for a worker to do. `run` is called once, on a worker; the job may be gone when it returns.
struct job {
    void (*run)(job& self) noexcept;
};

class COIR_API worker_pool {
public:
    enum class behind { others, nobody }; ///< whether a job may have to wait until others are done

    explicit worker_pool(std::size_t limit, behind whom = behind::others) noexcept : limit_(limit), behind_(whom) {}
    worker_pool(worker_pool const&) = delete;
    worker_pool& operator=(worker_pool const&) = delete;

    /// First in, first out. Throws std::system_error if there is no worker (behind nobody: no idle one) and none can be
    /// started.
    void submit(job& next);
    /// **Parks.** The same by a fiber, which tries again for a second where no thread can be had.
    void submit_patiently(job& next);

    /// Workers end when they have done what is queued; no job may be submitted any more. Does not wait for them: the
    /// pool goes with the last. For a pool made by `new`.
    void retire() noexcept;

    std::size_t limit() const noexcept { return limit_; }
    std::size_t size() const noexcept;

    /// The running thread is one of its workers.
    bool is_worker() const noexcept;

private:
    ~worker_pool() = default;
    void start_worker();
    void work() noexcept;
    void count_idle() noexcept;

    thread_lock mutable lock_;
    thread_condition work_;
    std::deque<job*> queue_;
    std::size_t const limit_;
    behind const behind_;
    std::size_t workers_ = 0;
    std::size_t idle_ = 0;    // wait for a job, or have not noticed yet that there is one
    std::size_t counted_ = 0; // as idle, among those of all pools
    bool retired_ = false;
};

/// Workers of all pools that wait for a job: threads that will do nothing by themselves.
std::size_t idle_workers() noexcept;

} // namespace coir
