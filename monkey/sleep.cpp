// Sleeping: a deadline on the steady clock, and the fiber parks until then.

#include "hub/hub.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/real.h"

#include <cerrno>
#include <limits>

namespace coir::monkey {
namespace {

constexpr std::int64_t second = 1'000'000'000;

bool valid(timespec const& time) noexcept { return time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < second; }

std::int64_t nanoseconds(timespec const& time) noexcept {
    if (time.tv_sec > 100ll * 365 * 24 * 3600) return 100ll * 365 * 24 * 3600 * second; // a century is for ever
    return time.tv_sec * second + time.tv_nsec;
}

// Nobody interrupts a parked sleep but a kill, which the fiber meets at its next wait of coir's own.
long sleep_for(std::int64_t ns, timespec* left) {
    std::int64_t const until = steady_now() + ns;
    if (hub::wait_until(deadline::at(until)) != wake_reason::cancelled) return 0;
    if (left) {
        std::int64_t const rest = std::max<std::int64_t>(0, until - steady_now());
        *left = {rest / second, rest % second};
    }
    return -ECANCELED;
}

// The clock may be set while the fiber sleeps: looked at again after each wait.
long sleep_until(clockid_t clock, timespec const& moment) {
    for (;;) {
        timespec now;
        clock_gettime(clock, &now);
        std::int64_t const left = nanoseconds(moment) - nanoseconds(now);
        if (left <= 0) return 0;
        if (hub::wait_until(deadline::at(steady_now() + left)) == wake_reason::cancelled) return -ECANCELED;
    }
}

} // namespace

long body::nanosleep(timespec const* wanted, timespec* left) {
    if (!valid(*wanted)) return -EINVAL;
    return sleep_for(nanoseconds(*wanted), left);
}

long body::clock_nanosleep(clockid_t clock, int flags, timespec const* wanted, timespec* left) {
    bool const elapses =
        clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
    if (!elapses) return kernel(SYS_clock_nanosleep, clock, flags, wanted, left); // CPU time: it passes only if we run
    if (!valid(*wanted)) return -EINVAL;
    if (flags & TIMER_ABSTIME) return sleep_until(clock, *wanted);
    return sleep_for(nanoseconds(*wanted), left);
}

long body::usleep(unsigned microseconds) { return sleep_for(microseconds * 1000ll, nullptr); }

long body::sleep(unsigned seconds) {
    timespec left{};
    sleep_for(seconds * second, &left);
    return left.tv_sec + (left.tv_nsec >= second / 2); // glibc's sleep (sysdeps/posix/sleep.c) rounds down; ours up
}

long body::sched_yield() {
    coir::yield();
    return 0;
}

} // namespace coir::monkey
