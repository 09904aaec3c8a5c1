// Makes a hub's thread deterministic: its clock, what its loop learns from the kernel, and when offloaded calls end are
// decided by a seed, and nothing waits for real.
//
// The program defines std::chrono::steady_clock::now, epoll_wait and timerfd_settime, so that libcoir.so uses them. On
// a thread that has a virtual_time
// * each look at the clock moves it on by a random step, so that deadlines pass, budgets are spent and the loop gets
// its
//   turns at places that differ from seed to seed;
// * where the loop would block it is either the next offloaded call that ends, or the clock jumps to the next timer;
// * descriptors that became ready together are reported in random order.
// Other threads keep the real ones.
#pragma once

#include "tests/hub/random/dice.h"

#include <cstdint>
#include <functional>
#include <semaphore>
#include <vector>

class virtual_time {
public:
    /// From here to its end this thread lives in it. `nothing_left` is called when the loop would wait for ever.
    virtual_time(std::uint64_t seed, std::function<void()> nothing_left);
    ~virtual_time();
    virtual_time(virtual_time const&) = delete;
    virtual_time& operator=(virtual_time const&) = delete;

    /// That of this thread; null: the real time.
    static virtual_time* here() noexcept;

    /// ns
    std::int64_t now() const noexcept { return now_; }

    /// An offloaded call of this thread waits in `gate` until it may end. To be called before it is offloaded.
    void hold_back(std::binary_semaphore& gate) { held_back_.push_back(&gate); }

    // What the replaced functions do.
    std::int64_t look() noexcept;
    void set_alarm(int timer_fd, std::int64_t at) noexcept;
    void loop_would_wait();
    void shuffle(void* events, int count, std::size_t size) noexcept;

private:
    static constexpr std::int64_t none = 0;
    dice dice_;
    std::size_t const longest_step_; // ns
    std::function<void()> const nothing_left_;
    std::int64_t now_ = 1'000'000'000;
    std::int64_t alarm_ = none; // the moment that the loop's timerfd is set to
    int timer_fd_ = -1;
    std::vector<std::binary_semaphore*> held_back_;
};
