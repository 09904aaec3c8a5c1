#include "hub/own_fd.h"

#include "fiber/at_fork.h"
#include "fiber/thread_lock.h"
#include "hub/hub.h"
#include "hub/per_fd.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace coir {
namespace {

constexpr rlim_t room_above = 4096; // how many fit above the program's limit
constexpr rlim_t room_at_top = 64;  // … and below it, where it cannot be raised

constinit per_fd<std::atomic<bool>> own;
constinit std::atomic<int> highest{-1}; // that ever was one
constinit thread_local own_fd_scope* being_made = nullptr;

// Two threads that raise the limit and put it back would put back each other's; and no child is to inherit it raised.
constinit thread_lock limit_lock;
COIR_AT_FORK(lock_in_child) = free_in_child<limit_lock>;

// Above the hard limit only with CAP_SYS_RESOURCE.
bool raise_above(rlimit const& now) noexcept {
    rlimit higher{now.rlim_cur + room_above, std::max(now.rlim_max, now.rlim_cur + room_above)};
    if (setrlimit(RLIMIT_NOFILE, &higher) == 0) return true;
    higher = {now.rlim_max, now.rlim_max};
    return now.rlim_cur < now.rlim_max && setrlimit(RLIMIT_NOFILE, &higher) == 0;
}

} // namespace

own_fd_scope::own_fd_scope() noexcept {
    int const error = errno;
    fork_table::look_after();
    limit_lock.lock();
    being_made = this;
    rlimit now{};
    getrlimit(RLIMIT_NOFILE, &now);
    soft_limit_ = now.rlim_cur;
    hard_limit_ = now.rlim_max;
    raised_ = raise_above(now);
    errno = error;
}

own_fd_scope::~own_fd_scope() {
    rlimit const before{soft_limit_, hard_limit_};
    if (raised_) setrlimit(RLIMIT_NOFILE, &before);
    being_made = nullptr;
    limit_lock.unlock();
}

own_fd_scope* own_fd_scope::on_this_thread() noexcept { return being_made; }

int own_fd_scope::keep(int fd) noexcept {
    if (fd < 0 || is_own_fd(fd)) return fd; // the shim keeps what it sees being made
    rlim_t const lowest = raised_ ? soft_limit_ : soft_limit_ - std::min(soft_limit_ / 2, room_at_top);
    int moved = lowest < INT_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, int(lowest)) : -1;
    if (moved < 0)
        moved = fd;
    else
        syscall(SYS_close, fd); // it was never the program's: nothing is to be told of its end
    if (auto* const entry = own.make(moved)) entry->store(true);
    for (int known = highest; known < moved && !highest.compare_exchange_weak(known, moved);) {}
    return moved;
}

void close_own_fd(int fd) noexcept {
    if (fd < 0) return;
    hub::forget_fd(fd);
    if (auto* const entry = own.find(fd)) entry->store(false);
    syscall(SYS_close, fd);
}

bool is_own_fd(int fd) noexcept {
    auto const* const entry = own.find(fd);
    return entry && entry->load();
}

int next_own_fd(unsigned first) noexcept {
    return own.find_if(first, highest, [](std::atomic<bool> const& entry) { return entry.load(); });
}

} // namespace coir
