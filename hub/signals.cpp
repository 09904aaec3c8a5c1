// hub::signal. A handler of ours writes to the signal's eventfd, which the hub that watches the signal reads: unlike
// libev's own, it puts back the disposition that was there before, leaves a forked child alone, and tells instead of
// ending the program when two threads want the same signal.

#include "fiber/at_fork.h"
#include "fiber/never_destroyed.h"
#include "fiber/thread_lock.h"
#include "hub/own_fd.h"
#include "hub/scheduler.h"
#include "hub/watchers.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <new>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace coir {

struct watched_signal {
    struct reader final : fd_waiter, private waiter_group {
        watched_signal& of;
        reader(watched_signal& whole, int fd) noexcept
            : fd_waiter(static_cast<waiter_group&>(*this), fd, direction::read, closing::unseen), of(whole) {}
        bool take(waiter& one) noexcept override;
        void uncount() noexcept {
            if (std::exchange(counted, false)) --of.owner->watchers().entries;
        }
        bool counted = true;
    };

    hub* owner = nullptr; // under the lock; whom the rest belongs to
    std::unique_ptr<reader> wakes;
    watcher_ring watchers;
    struct sigaction before;

    void begin(int number, hub& home);
    void finish(int number) noexcept;
};

namespace {

// Of each signal that was ever watched, its eventfd plus one: it is kept, because a handler may be about to use it.
constinit std::array<std::atomic<int>, _NSIG> eventfds{};

void on_signal(int number) {
    int const error = errno;
    std::uint64_t const one = 1;
    // A bare system call: the shim's write() is for fibers.
    if (int const fd = eventfds[std::size_t(number)].load() - 1; fd >= 0) syscall(SYS_write, fd, &one, sizeof one);
    errno = error;
}

bool is_ours(int number) noexcept {
    struct sigaction now;
    return sigaction(number, nullptr, &now) == 0 && now.sa_handler == &on_signal;
}

constinit thread_lock lock;
constinit never_destroyed<std::array<watched_signal, _NSIG>> watched_signals; // under it
sigset_t mask_of_forking;                                                     // too: of the thread that does

watched_signal& entry_of(int number) { return (*watched_signals)[std::size_t(number)]; }

// In the child a signal's handler would tell the parent, until it is undone: until then they are held back.
void hold_signals_back() {
    lock.lock();
    sigset_t watched;
    sigemptyset(&watched);
    for (int number = 1; watched_signals.existing() && number < _NSIG; ++number)
        if (entry_of(number).owner) sigaddset(&watched, number);
    pthread_sigmask(SIG_BLOCK, &watched, &mask_of_forking);
}

void let_signals_come() {
    sigset_t const mask = mask_of_forking;
    lock.unlock();
    pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}

void watch_no_signals();

COIR_AT_FORK(signals_at_fork) = {at_fork::order::others, &hold_signals_back, &let_signals_come, [] {
                                     if (watched_signals.existing()) watch_no_signals();
                                     let_signals_come();
                                 }};

std::string describe(int number) {
    char const* const name = number > 0 && number < _NSIG ? sigabbrev_np(number) : nullptr;
    return "watch signal " + std::to_string(number) + (name ? std::string(" (") + name + ")" : "");
}

[[noreturn]] void fail(int error, int number) {
    throw std::system_error(error, std::generic_category(), describe(number));
}

} // namespace

void watched_signal::begin(int number, hub& home) {
    auto& eventfd_plus_one = eventfds[std::size_t(number)];
    if (eventfd_plus_one == 0) {
        int const made = make_own_fd([] { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); });
        if (made < 0) fail(errno, number);
        eventfd_plus_one = made + 1;
    }
    int const fd = eventfd_plus_one - 1;
    std::uint64_t earlier;
    while (read(fd, &earlier, sizeof earlier) < 0 && errno == EINTR) {}
    wakes = std::make_unique<reader>(*this, fd);
    if (!home.watch_fd(*wakes)) fail(EBADF, number);
    struct sigaction ours {};
    ours.sa_handler = &on_signal;
    ours.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&ours.sa_mask);
    if (sigaction(number, &ours, &before) < 0) {
        int const error = errno;
        home.unwatch_fd(*wakes);
        fail(error, number);
    }
    ++home.watchers().entries;
    owner = &home;
}

void watched_signal::finish(int number) noexcept {
    if (is_ours(number)) sigaction(number, &before, nullptr);
    wakes->uncount();
    owner->unwatch_fd(*wakes);
    wakes.reset();
    owner = nullptr;
}

bool watched_signal::reader::take(waiter&) noexcept {
    if (why == wake_reason::closed) { // by someone who closes what is not theirs
        uncount();
        return true;
    }
    std::uint64_t times;
    bool const came = read(fd, &times, sizeof times) == sizeof times;
    of.owner->event_loop().add_again(*this);
    if (came) of.watchers.for_each([](watcher& each) { static_cast<hub::signal&>(each).fire(); });
    return true;
}

namespace {

void watch_no_signals() {
    for (int number = 1; number < _NSIG; ++number) {
        watched_signal& each = entry_of(number);
        if (std::exchange(each.owner, nullptr)) {
            if (is_ours(number)) sigaction(number, &each.before, nullptr);
            each.wakes.reset(); // the loop that knew it is gone, or is another thread's and never runs again
            new (&each.watchers) watcher_ring;
        }
        int const fd = eventfds[std::size_t(number)] - 1;
        if (fd < 0) continue;
        int const fresh = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); // the other is shared with the parent
        if (fresh >= 0) {
            syscall(SYS_dup3, fresh, fd, O_CLOEXEC);
            syscall(SYS_close, fresh);
        } else {
            close_own_fd(fd);
            eventfds[std::size_t(number)] = 0;
        }
    }
}

} // namespace

hub::signal::signal(int number) : watcher_of("signal", number), signal_number_(number) {
    bool const fault = number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL;
    if (number < 1 || number >= _NSIG || number == SIGKILL || number == SIGSTOP || fault) fail(EINVAL, number);
}

void hub::signal::arm() {
    std::lock_guard held{lock};
    watched_signal& mine = entry_of(signal_number_);
    if (!mine.owner)
        mine.begin(signal_number_, home());
    else if (mine.owner != &home())
        throw std::system_error(EBUSY, std::generic_category(),
                                describe(signal_number_) + ": another thread's hub does");
    mine.watchers.push(turn_);
}

void hub::signal::disarm() noexcept {
    std::lock_guard held{lock};
    turn_.unlink();
    watched_signal& mine = entry_of(signal_number_);
    if (mine.watchers.empty()) mine.finish(signal_number_);
}

} // namespace coir
