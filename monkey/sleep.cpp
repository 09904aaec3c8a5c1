// Sleeping: a deadline on the steady clock, and the fiber parks until then.

#include "hub/hub.h"
#include "hub/scheduler.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/lasting.h"
#include "monkey/retry.h"
#include "monkey/time_limit.h"
#include "monkey/times.h"

#include <cerrno>

namespace coir::monkey {
namespace {

// A kill ends a sleep as a handler does; the fiber meets the exception at its next wait of coir's own.
wake_reason sleep_to(deadline until) {
    notice_handlers();
    ended_by_handlers or_a_handler;
    or_a_handler.arm(handlers::any);
    return hub::wait_until(until);
}

long sleep_for(timespec const& wanted, timespec* left) {
    deadline const until = deadline_after(wanted);
    wake_reason const why = sleep_to(until);
    if (why == wake_reason::timed_out) return 0;
    if (left) *left = left_until(until);
    return after(why);
}

// The clock may be set while the fiber sleeps: looked at again after each wait.
long sleep_until(clockid_t clock, timespec const& moment) {
    time_limit const until{clock, &moment};
    for (;;) {
        if (until.over()) return 0;
        if (wake_reason const why = sleep_to(until.next()); why != wake_reason::timed_out) return after(why);
    }
}

// It may pass because other threads run, or other processes: so a thread of its own waits for it. The kernel refuses
// the calling thread's, which there would be another's, and what is no clock of CPU time: it is asked here, for the
// past.
long sleep_by_cpu_time(clockid_t clock, int flags, timespec const& wanted, timespec* left) {
    constexpr timespec past{};
    if (long const error = kernel(SYS_clock_nanosleep, clock, TIMER_ABSTIME, &past, nullptr)) return error;
    timespec rest = wanted; // if it is relative, the kernel says what is left of it
    long const result =
        lasting([&] { return kernel(SYS_clock_nanosleep, clock, flags, &rest, &rest); }, "CPU time", handlers::any);
    if (result < 0 && left && !(flags & TIMER_ABSTIME)) *left = rest;
    return result;
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
    if (!valid(*wanted)) return -EINVAL;
    if (!elapses) return sleep_by_cpu_time(clock, flags, *wanted, left);
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
