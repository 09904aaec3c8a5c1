#include "monkey/signals.h"

#include "fiber/at_fork.h"
#include "fiber/thread_lock.h"
#include "hub/handlers.h"
#include "hub/hub.h"
#include "hub/own_fd.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/lasting.h"
#include "monkey/real.h"
#include "monkey/retry.h"
#include "monkey/times.h"

#include <array>
#include <cerrno>
#include <mutex>
#include <pthread.h>
#include <sys/signalfd.h>
#include <system_error>

namespace coir::monkey {

constinit std::atomic<bool> handlers_noticed{false};

namespace {

using siginfo_handler = void (*)(int, siginfo_t*, void*);
using simple_handler = void (*)(int);

// What the program installed: of each signal whose handler, as the kernel knows it, is ours.
struct installed {
    std::atomic<void*> handler{nullptr};
    std::atomic<int> flags{0};
};
constinit std::array<installed, _NSIG> table{};

// While above 0, SIGCHLD waits on this thread: the first of those that came, as the kernel would keep it.
constinit thread_local int children_held = 0;
constinit thread_local bool child_came = false;
constinit thread_local siginfo_t first_child{};

void on_signal(int number, siginfo_t* about, void* where);

// A handler that is to run once (SA_RESETHAND) is no longer there when it runs: it is put back if it has not.
void put_back(int number, int flags) noexcept {
    struct sigaction again;
    if (!(flags & SA_RESETHAND) || real.sigaction(number, nullptr, &again) != 0) return;
    again.sa_sigaction = &on_signal;
    real.sigaction(number, &again, nullptr);
}

// `about` is filled in for a handler that asked for it only (arch/x86/kernel/signal_64.c).
bool hold(int number, int flags, siginfo_t const* about) noexcept {
    if (number != SIGCHLD || children_held == 0) return false;
    put_back(number, flags);
    if (!child_came) {
        first_child = {};
        first_child.si_signo = SIGCHLD;
        if (flags & SA_SIGINFO) first_child = *about;
    }
    child_came = true;
    return true;
}
constinit thread_local unsigned volatile running = 0;

// The kernel passes all three arguments, whatever the flags (x86-64: arch/x86/kernel/signal_64.c).
void on_signal(int number, siginfo_t* about, void* where) {
    installed const& one = table[std::size_t(number)];
    int const flags = one.flags.load(std::memory_order_relaxed);
    if (hold(number, flags, about)) return;
    handler_runs(flags & SA_RESTART);
    running = running + 1;
    void* const handler = one.handler.load(std::memory_order_relaxed);
    if (flags & SA_SIGINFO)
        reinterpret_cast<siginfo_handler>(handler)(number, about, where);
    else
        reinterpret_cast<simple_handler>(handler)(number);
    running = running - 1;
}

void* handler_of(struct sigaction const& of) noexcept {
    return of.sa_flags & SA_SIGINFO ? reinterpret_cast<void*>(of.sa_sigaction) : reinterpret_cast<void*>(of.sa_handler);
}

// Whatever the flags: the two share their place (kernel/signal.c).
bool is_handler(struct sigaction const& of) noexcept { return of.sa_handler != SIG_DFL && of.sa_handler != SIG_IGN; }

bool is_ours(struct sigaction const& of) noexcept { return handler_of(of) == reinterpret_cast<void*>(&on_signal); }

// What the program is to see instead of `of`, which the kernel has.
void uncover(int number, struct sigaction& of) noexcept {
    if (is_interrupting(handler_of(of))) of = {};
    if (!is_ours(of)) return;
    void* const handler = table[std::size_t(number)].handler.load();
    if (of.sa_flags & SA_SIGINFO)
        of.sa_sigaction = reinterpret_cast<siginfo_handler>(handler);
    else
        of.sa_handler = reinterpret_cast<simple_handler>(handler);
}

// What the kernel is to have instead of `of`. A signal that comes meanwhile may find the new handler already.
struct sigaction cover(int number, struct sigaction of) noexcept {
    if (!is_handler(of) || is_ours(of)) return of;
    installed& one = table[std::size_t(number)];
    one.flags.store(of.sa_flags);
    one.handler.store(handler_of(of));
    if (of.sa_flags & SA_SIGINFO)
        of.sa_sigaction = &on_signal;
    else
        of.sa_handler = reinterpret_cast<simple_handler>(reinterpret_cast<void*>(&on_signal));
    return of;
}

// Takes over what libc has just installed, or had before us.
void take_over(int number) noexcept {
    struct sigaction now;
    if (real.sigaction(number, nullptr, &now) != 0 || !is_handler(now) || is_ours(now)) return;
    struct sigaction const covered = cover(number, now);
    real.sigaction(number, &covered, nullptr);
}

bool has_number(int number) noexcept { return number > 0 && number < _NSIG; }

// For the calls that install a handler in their own way and return the one before.
template <class Install>
long installs(int number, Install install) noexcept {
    if (!has_number(number)) return reinterpret_cast<long>(install());
    void* const before = table[std::size_t(number)].handler.load();
    auto* const returned = reinterpret_cast<void*>(install());
    take_over(number);
    if (is_interrupting(returned)) return reinterpret_cast<long>(SIG_DFL);
    return reinterpret_cast<long>(returned == reinterpret_cast<void*>(&on_signal) ? before : returned);
}

constexpr std::size_t kernel_sigset_size = 8; // sizeof(sigset_t) of the kernel, which is not libc's
constexpr timespec at_once{};

} // namespace

unsigned handlers_running() noexcept { return running; }

void notice_handlers_now() noexcept {
    static constinit thread_lock once;
    std::lock_guard lock{once};
    for (int number = 1; number < _NSIG && !handlers_noticed.load(); ++number) take_over(number);
    handlers_noticed.store(true, std::memory_order_release);
}

other_mask::other_mask(sigset_t const* mask) : mask_(mask) {
    if (!mask) return;
    sigset_t let_in;
    sigemptyset(&let_in);
    kernel(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &let_in, kernel_sigset_size);
    bool any = false;
    for (int number = 1; number < _NSIG; ++number)
        if (sigismember(&let_in, number) == 1 && sigismember(mask, number) == 0)
            any = true;
        else
            sigdelset(&let_in, number);
    if (any && (fd_ = signals_to_come(let_in)) < 0)
        throw std::system_error(-fd_, std::generic_category(), "wait for signals that a mask lets in");
}

other_mask::~other_mask() { close_own_fd(fd_); }

bool other_mask::handler_ran() const noexcept {
    return mask_ && kernel(SYS_ppoll, nullptr, 0, &at_once, mask_, kernel_sigset_size) == -EINTR;
}

int signals_to_come(sigset_t const& which) noexcept {
    return make_own_fd(
        [&] { return kernel(SYS_signalfd4, -1, &which, kernel_sigset_size, SFD_CLOEXEC | SFD_NONBLOCK); });
}

// A child has no other fibers.
COIR_AT_FORK(forks) = {at_fork::order::others, nullptr, nullptr, [] {
                           children_held = 0;
                           child_came = false;
                       }};

child_signals_held::child_signals_held() noexcept {
    fork_table::look_after();
    notice_handlers();
    ++children_held;
}

child_signals_held::~child_signals_held() {
    if (--children_held > 0 || !child_came) return;
    siginfo_t about = first_child;
    child_came = false;
    kernel(SYS_rt_tgsigqueueinfo, kernel(SYS_getpid), kernel(SYS_gettid), SIGCHLD, &about);
}

long body::sigaction(int number, struct sigaction const* wanted, struct sigaction* before) {
    notice_handlers();
    struct sigaction covered, now{};
    if (wanted && has_number(number)) {
        if (real.sigaction(number, nullptr, &now) == 0) uncover(number, now); // before the table says otherwise
        covered = cover(number, *wanted);
        wanted = &covered;
    }
    if (int const result = real.sigaction(number, wanted, before); result != 0) return -errno;
    if (before && wanted)
        *before = now;
    else if (before)
        uncover(number, *before);
    return 0;
}

long body::signal(int number, sighandler_t handler) {
    return installs(number, [&] { return real.signal(number, handler); });
}

long body::sysv_signal(int number, sighandler_t handler) {
    return installs(number, [&] { return real.sysv_signal(number, handler); });
}

long body::sigset(int number, sighandler_t handler) {
    return installs(number, [&] { return real.sigset(number, handler); });
}

// SA_RESTART is among the flags that the table has a copy of.
long body::siginterrupt(int number, int interrupts) {
    int const result = real.siginterrupt(number, interrupts);
    if (result != 0) return -errno;
    struct sigaction now;
    if (real.sigaction(number, nullptr, &now) == 0 && is_ours(now)) table[std::size_t(number)].flags = now.sa_flags;
    return 0;
}

long body::pause() {
    notice_handlers();
    return after(wait_for_handler("pause"));
}

long body::rt_sigsuspend(sigset_t const* mask) {
    notice_handlers();
    other_mask const during{mask};
    ended_by_handlers or_a_handler;
    for (;;) {
        // What was pending may be gone before this fiber's turn: let in by a handler, or by another fiber.
        if (!or_a_handler.arm(handlers::any) || during.handler_ran()) return -EINTR;
        long const why =
            after(during.fd() < 0 ? wait_for_handler("sigsuspend") : hub::wait_fd(during.fd(), hub::readable));
        if (why) return why;
    }
}

// BSD's, with a mask of the first 32 signals, and X/Open's, with one that is to be let through (signal/sigpause.c).
long body::sigpause(int number_or_mask, int is_number) {
    sigset_t during;
    if (!is_number) {
        sigemptyset(&during);
        for (int number = 1; number <= 32; ++number)
            if (unsigned(number_or_mask) >> (number - 1) & 1) sigaddset(&during, number);
    } else {
        kernel(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &during, kernel_sigset_size);
        if (sigdelset(&during, number_or_mask) != 0) return -errno;
    }
    return body::rt_sigsuspend(&during);
}

long body::rt_sigtimedwait(sigset_t const* set, siginfo_t* about, timespec const* limit) {
    if (limit && !valid(*limit)) return -EINVAL;
    notice_handlers();
    deadline const until = limit ? deadline_after(*limit) : deadline::never();
    own_fd fd;
    ended_by_handlers or_a_handler;
    for (;;) {
        long const number = kernel(SYS_rt_sigtimedwait, set, about, &at_once, kernel_sigset_size);
        if (number != -EAGAIN) return number;
        if (over(until)) return -EAGAIN;
        if (fd.get() < 0) fd.set(signals_to_come(*set));
        if (fd.get() < 0) return fd.get();
        if (!or_a_handler.arm(handlers::any)) return -EINTR;
        if (long const error = after(hub::wait_fd(fd.get(), hub::readable, until)); error && error != -EAGAIN)
            return error;
    }
}

// libc's own goes on after a handler (sysdeps/unix/sysv/linux/sigwait.c).
long body::sigwait(sigset_t const* set, int* number) {
    for (;;) {
        long const came = rt_sigtimedwait(set, nullptr, nullptr);
        if (came == -EINTR) continue;
        if (came < 0) return came;
        *number = int(came);
        return 0;
    }
}

} // namespace coir::monkey
