#include "tests/hub/random/virtual_time.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utility>

namespace {

constinit thread_local virtual_time* current = nullptr;

constexpr std::int64_t second = 1'000'000'000;

} // namespace

std::chrono::steady_clock::time_point std::chrono::steady_clock::now() noexcept {
    if (current) return time_point(duration(current->look()));
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time_point(duration(time.tv_sec * second + time.tv_nsec));
}

extern "C" int timerfd_settime(int fd, int flags, itimerspec const* to, itimerspec* before) {
    if (!current) return int(syscall(SYS_timerfd_settime, fd, flags, to, before));
    current->set_alarm(fd, to->it_value.tv_sec * second + to->it_value.tv_nsec);
    itimerspec const off{};
    return int(syscall(SYS_timerfd_settime, fd, 0, &off, before));
}

extern "C" int epoll_wait(int set, epoll_event* events, int count, int timeout) {
    auto const real = [&](int milliseconds) {
        return int(syscall(SYS_epoll_pwait, set, events, count, milliseconds, nullptr, 0));
    };
    if (!current) return real(timeout);
    int ready = real(0);
    if (ready == 0 && timeout != 0) {
        current->loop_would_wait();
        ready = real(-1);
    }
    if (ready > 1) current->shuffle(events, ready, sizeof *events);
    return ready;
}

virtual_time::virtual_time(std::uint64_t seed, std::function<void()> nothing_left)
    : dice_(seed), longest_step_(std::array{10, 500, 5'000, 40'000}[dice_.below(4)]),
      nothing_left_(std::move(nothing_left)) {
    current = this;
}

virtual_time::~virtual_time() { current = nullptr; }

virtual_time* virtual_time::here() noexcept { return current; }

std::int64_t virtual_time::look() noexcept { return now_ += 1 + std::int64_t(dice_.below(longest_step_)); }

void virtual_time::set_alarm(int timer_fd, std::int64_t at) noexcept {
    timer_fd_ = timer_fd;
    alarm_ = at;
}

// Whatever is chosen makes one descriptor of the loop readable: the one that its posts are announced by, or its
// timerfd.
void virtual_time::loop_would_wait() {
    if (!held_back_.empty() && (alarm_ == none || dice_.chance(50))) {
        auto const chosen = held_back_.begin() + std::ptrdiff_t(dice_.below(held_back_.size()));
        std::binary_semaphore& gate = **chosen;
        held_back_.erase(chosen);
        gate.release();
        return;
    }
    if (alarm_ == none) return nothing_left_();
    now_ = std::max(now_, std::exchange(alarm_, none));
    itimerspec long_ago{};
    long_ago.it_value.tv_nsec = 1;
    syscall(SYS_timerfd_settime, timer_fd_, TFD_TIMER_ABSTIME, &long_ago, nullptr);
}

void virtual_time::shuffle(void* events, int count, std::size_t size) noexcept {
    auto* const bytes = static_cast<std::byte*>(events);
    for (std::size_t left = std::size_t(count); left > 1; --left) {
        std::size_t const other = dice_.below(left);
        if (other != left - 1)
            std::swap_ranges(bytes + other * size, bytes + (other + 1) * size, bytes + (left - 1) * size);
    }
}
