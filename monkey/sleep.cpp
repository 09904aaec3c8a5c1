// Sleeping: a deadline on the steady clock, and the fiber parks until then.

#include "hub/hub.h"
#include "hub/scheduler.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/retry.h"
#include "monkey/times.h"

#include <algorithm>
#include <cerrno>

namespace coir::monkey {
namespace {

constexpr std::int64_t second = 1'000'000'000;

// A kill ends a sleep as a handler does; the fiber meets the exception at its next wait of coir's own.
wake_reason sleep_to(deadline until) {
    notice_handlers();
    ended_by_handlers const any{handlers::any};
    return hub::wait_until(until);
}

long sleep_for(timespec const& wanted, timespec* left) {
    deadline const until = deadline_after(wanted);
    wake_reason const why = sleep_to(until);
    if (why == wake_reason::timed_out) return 0;
    if (left) {
        std::int64_t const rest = std::max<std::int64_t>(0, until.ns() - steady_now());
        *left = {rest / second, rest % second};
    }
    return after(why);
}

// The clock may be set while the fiber sleeps: looked at again after each wait.
long sleep_until(clockid_t clock, timespec const& moment) {
    for (;;) {
        timespec now;
        clock_gettime(clock, &now);
        timespec left{moment.tv_sec - now.tv_sec, moment.tv_nsec - now.tv_nsec};
        if (left.tv_nsec < 0) left = {left.tv_sec - 1, left.tv_nsec + second};
        if (left.tv_sec < 0 || (left.tv_sec == 0 && left.tv_nsec == 0)) return 0;
        if (wake_reason const why = sleep_to(deadline_after(left)); why != wake_reason::timed_out) return after(why);
    }
}

} // namespace

long body::nanosleep(timespec const* wanted, timespec* left) {
    if (!valid(*wanted)) return -EINVAL;
    return sleep_for(*wanted, left);
}

long body::clock_nanosleep(clockid_t clock, int flags, timespec const* wanted, timespec* left) {
    bool const elapses =
        clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
    if (clock == CLOCK_THREAD_CPUTIME_ID) return -EINVAL; // libc's own word, not the kernel's (clock_nanosleep.c)
    if (!elapses) return kernel(SYS_clock_nanosleep, clock, flags, wanted, left); // CPU time: it passes only if we run
    if (!valid(*wanted)) return -EINVAL;
    if (flags & TIMER_ABSTIME) return sleep_until(clock, *wanted);
    return sleep_for(*wanted, left);
}

long body::usleep(unsigned microseconds) {
    return sleep_for({microseconds / 1'000'000, microseconds % 1'000'000 * 1000l}, nullptr);
}

// What is left is rounded down, as libc's own does (posix/sleep.c).
long body::sleep(unsigned seconds) {
    timespec left{};
    sleep_for({time_t(seconds), 0}, &left);
    return left.tv_sec;
}

long body::sched_yield() {
    step_back(); // what interrupts the fiber is not for C code to see
    return 0;
}

} // namespace coir::monkey
