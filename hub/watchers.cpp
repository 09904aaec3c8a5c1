// The kinds that need nothing but what a hub has: descriptors, its timers, posts.

#include "hub/watchers.h"

#include "hub/own_fd.h"
#include "hub/registry.h"
#include "hub/scheduler.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sched.h>
#include <stdexcept>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace coir {

hub::io::side::side(io& whole, int fd, direction way) noexcept
    : fd_waiter(static_cast<waiter_group&>(*this), fd, way, closing::unseen), of(whole) {}

hub::io::io(int fd, direction way) : io(fd, {way}) {}

hub::io::io(int fd, std::initializer_list<direction> ways)
    : watcher_of("io", fd), sides_{side{*this, fd, direction::read}, side{*this, fd, direction::write}} {
    for (direction way : ways) sides_[std::size_t(way)].wanted = true;
}

void hub::io::arm() {
    closed_ = false;
    events_ = {};
    try {
        for (side& each : sides_) {
            if (!each.wanted) continue;
            if (!home().watch_fd(each))
                throw std::system_error(EBADF, std::generic_category(), "watch fd " + std::to_string(each.fd));
            each.counted = true;
            ++list().entries;
        }
    } catch (...) {
        disarm();
        throw;
    }
}

void hub::io::disarm() noexcept {
    for (side& each : sides_) {
        if (!std::exchange(each.counted, false)) continue;
        --list().entries;
        home().unwatch_fd(each);
    }
}

bool hub::io::forked() noexcept {
    for (side& each : sides_) each.counted = false;
    return false;
}

bool hub::io::side::take(waiter&) noexcept {
    of.note(*this);
    if (why == wake_reason::closed) {
        of.closed_ = true;
        counted = false;
        --of.list().entries;
    } else {
        of.home().event_loop().add_again(*this);
    }
    of.fire(of.closed_);
    return true;
}

// Both directions are told of together if they are found in the same round.
void hub::io::note(side const& which) noexcept {
    ready_queue const& ready = this_scheduler.ready;
    if (ready.popped() > told_at_) {
        events_ = {};
        told_at_ = ready.pushed();
    }
    events_[std::size_t(which.way)] = true;
}

hub::timer::alarm::alarm(hub::timer& whole) noexcept
    : coir::timer([](coir::timer& due) noexcept { static_cast<alarm&>(due).of.ring(); }), of(whole) {}

hub::timer::timer(std::chrono::nanoseconds after, std::chrono::nanoseconds repeat)
    : watcher_of("timer"), after_(after), repeat_(repeat) {
    if (after.count() < 0 || repeat.count() < 0) throw std::invalid_argument("hub::timer: a negative duration");
}

void hub::timer::arm() { set(deadline(after_).ns()); }

void hub::timer::disarm() noexcept {
    if (!alarm_.set()) return;
    home().timers().cancel(alarm_);
    --list().entries;
}

void hub::timer::set(std::int64_t at) {
    home().timers().set(alarm_, at);
    at_ = at;
    ++list().entries;
}

// One that is behind does not catch up.
void hub::timer::ring() noexcept {
    --list().entries;
    bool const once = repeat_.count() == 0;
    std::int64_t const now = steady_now(); // not before at_
    if (!once) set(std::max(now, at_ + std::min(repeat_.count(), timer_heap::none - now)));
    fire(once);
}

void hub::timer::again() {
    check_thread();
    if (repeat_.count() == 0) return stop();
    drop_delivery();
    use_without_call();
    disarm();
    set(deadline(repeat_).ns());
}

std::string signal_handler::name_of_handler(int number) {
    char const* const name = sigabbrev_np(number);
    return "handler of " + (name ? std::string("SIG") + name : "signal " + std::to_string(number));
}

namespace {

int pidfd_of_child(pid_t pid) {
    siginfo_t state;
    int made = -1;
    if (waitid(P_PID, id_t(pid), &state, WEXITED | WNOHANG | WNOWAIT) == 0)
        made = make_own_fd([&] { return syscall(SYS_pidfd_open, pid, 0); });
    if (made < 0) throw std::system_error(errno, std::generic_category(), "watch child " + std::to_string(pid));
    return made; // close-on-exec by itself
}

} // namespace

hub::child::pidfd::pidfd(child& whole, int fd) noexcept
    : fd_waiter(static_cast<waiter_group&>(*this), fd, direction::read, closing::unseen), of(whole) {}

hub::child::child(pid_t pid) : watcher_of("child", pid), pid_(pid), pidfd_(*this, pidfd_of_child(pid)) {}

hub::child::~child() {
    end();
    close_own_fd(pidfd_.fd);
}

// It stays readable: one that is started again learns at once.
void hub::child::arm() {
    if (!home().watch_fd(pidfd_))
        throw std::system_error(EBADF, std::generic_category(), "watch child " + std::to_string(pid_));
    pidfd_.counted = true;
    ++list().entries;
}

void hub::child::disarm() noexcept {
    if (!std::exchange(pidfd_.counted, false)) return;
    --list().entries;
    home().unwatch_fd(pidfd_);
}

bool hub::child::forked() noexcept {
    pidfd_.counted = false;
    return false;
}

bool hub::child::pidfd::take(waiter&) noexcept {
    if (why == wake_reason::closed) {
        counted = false;
        --of.list().entries;
    } else {
        of.home().event_loop().add_again(*this); // disarm() takes it out
    }
    if (!of.ended_) {
        int status = 0;
        if (waitpid(of.pid_, &status, WNOHANG) == of.pid_) of.status_ = status;
        of.ended_ = true;
    }
    of.fire(true);
    return true;
}

// It outlives the watcher if it is on its way.
struct hub::async::note : posted {
    async* of;
    std::atomic<hub*> to;                     // null when the thread has ended
    std::atomic<std::uint32_t> active{0};     // a number of its own each time it becomes active, 0 while it is not
    std::atomic<std::uint32_t> on_the_way{0}; // what that was at the last send; 0: it is not posted
    std::atomic<int> senders{0};              // inside send()

    explicit note(async& whole, hub& home) noexcept : posted(&arrive), of(&whole), to(&home) {}

    void wait_for_senders() const noexcept {
        while (senders.load() > 0) sched_yield();
    }

    static void arrive(posted& self) noexcept {
        auto& one = static_cast<note&>(self);
        auto const sent = one.on_the_way.exchange(0); // from here on it may be posted again
        if (!one.of)
            delete &one;
        else if (sent == one.active.load())
            one.of->fire();
    }
};

hub::async::async() : watcher_of("async"), note_(new note(*this, home())) {}

hub::async::~async() {
    end();
    note_->of = nullptr;
    note_->wait_for_senders(); // the one that let its owner go on may not have returned yet
    if (!note_->on_the_way.load()) delete note_;
}

void hub::async::arm() { note_->active.store(++times_active_); }

void hub::async::disarm() noexcept { note_->active.store(0); }

void hub::async::send() noexcept {
    note& one = *note_;
    one.senders.fetch_add(1);
    if (hub* const there = one.to.load())
        if (auto const now = one.active.load(); now && !one.on_the_way.exchange(now)) there->post(one);
    one.senders.fetch_sub(1);
}

// What was on its way is lost with the hub's mailbox.
bool hub::async::forked() noexcept {
    note_->active.store(0);
    note_->on_the_way.store(0);
    note_->senders.store(0);
    return false;
}

void hub::async::thread_ends() noexcept {
    note_->to.store(nullptr);
    note_->wait_for_senders();
}

} // namespace coir
