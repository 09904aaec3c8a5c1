// Waiting for several descriptors: each call is first made without waiting, and while nothing is there the fiber waits
// for any of them and makes it again. So what is reported is always the kernel's word.
//
// A signal mask given to ppoll, pselect or epoll_pwait is in place for each of those looks, and what it lets in ends
// the time between them. What it blocks beyond the thread's own mask is not blocked meanwhile: that is one for all
// fibers.

#include "hub/hub.h"
#include "hub/own_fd.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/memory.h"
#include "monkey/retry.h"
#include "monkey/signals.h"
#include "monkey/times.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <span>
#include <unistd.h>
#include <vector>

namespace coir::monkey {
namespace {

constexpr std::size_t kernel_sigset_size = 8; // sizeof(sigset_t) of the kernel, which is not libc's
constexpr timespec at_once{};

// The hub tells readable and writable. Other conditions (POLLPRI, a hang-up while nothing is asked for, POLLRDHUP while
// unread data is there) need an epoll set that asks for exactly them; that is readable when one of them holds.
bool beyond_hub(pollfd const& one) noexcept {
    constexpr int readable = POLLIN | POLLRDNORM, writable = POLLOUT | POLLWRNORM;
    return one.fd >= 0 && (!(one.events & (readable | writable)) || one.events & ~(readable | writable | POLLRDHUP));
}

wake_reason wait_in_epoll_set(std::span<pollfd const> set, int signals, deadline until) {
    own_fd const nested{make_own_fd([] { return kernel(SYS_epoll_create1, EPOLL_CLOEXEC); })};
    if (nested.get() < 0) throw std::bad_alloc(); // poll(2) knows ENOMEM only
    auto const ask = [&](int operation, int fd, int events) {
        epoll_event event{};
        event.events = std::uint32_t(events) & 0xffff; // the POLL… and EPOLL… bits are the same numbers
        long const error = kernel(SYS_epoll_ctl, nested.get(), operation, fd, &event);
        if (error == -ENOMEM || error == -ENOSPC) throw std::bad_alloc();
        return error; // EPERM is no trouble: such a file never has what is asked for
    };
    if (signals >= 0) ask(EPOLL_CTL_ADD, signals, POLLIN);
    for (pollfd const& one : set) {
        if (one.fd < 0 || ask(EPOLL_CTL_ADD, one.fd, one.events) != -EEXIST) continue;
        int all = 0; // that is asked of it: it is named more than once
        for (pollfd const& other : set)
            if (other.fd == one.fd) all |= other.events;
        ask(EPOLL_CTL_MOD, one.fd, all);
    }
    return hub::wait_fd(nested.get(), hub::readable, until, closing::seen);
}

// `signals`: one more that is to be readable, or -1.
wake_reason wait_for_any(std::span<pollfd const> set, int signals, deadline until) {
    if (std::any_of(set.begin(), set.end(), beyond_hub)) return wait_in_epoll_set(set, signals, until);
    constexpr std::size_t few = 8;
    hub::interest here[2 * few + 1];
    std::vector<hub::interest> many;
    hub::interest* interests = here;
    if (set.size() > few) {
        many.resize(2 * set.size() + 1);
        interests = many.data();
    }
    std::size_t count = 0;
    if (signals >= 0) interests[count++] = {signals, hub::readable};
    for (pollfd const& one : set) {
        if (one.fd < 0) continue;
        if (one.events & (POLLIN | POLLRDNORM)) interests[count++] = {one.fd, hub::readable};
        if (one.events & (POLLOUT | POLLWRNORM)) interests[count++] = {one.fd, hub::writable};
    }
    if (count == 0 && until.is_never()) return wait_for_handler("poll of nothing");
    return hub::wait_any_fd({interests, count}, until, closing::seen);
}

// `look` until it finds something or `until` has passed; `wait` between the looks, for what may be found, and for
// signals that `mask` lets in.
template <class Look, class Wait>
long look_and_wait(deadline until, sigset_t const* mask, Look look, Wait wait) {
    std::optional<other_mask> during;
    ended_by_handlers or_a_handler;
    for (;;) {
        long const found = look();
        if (found != 0 || over(until)) return found;
        notice_handlers();
        if (!during) during.emplace(mask);
        if (!or_a_handler.arm(handlers::any) || during->handler_ran()) return -EINTR;
        wake_reason const why = wait(during->fd(), until);
        if (why == wake_reason::cancelled || why == wake_reason::interrupted) return after(why);
    }
}

long poll_until(pollfd* set, nfds_t count, deadline until, sigset_t const* mask) {
    return look_and_wait(
        until, mask, [&] { return kernel(SYS_ppoll, set, count, &at_once, mask, kernel_sigset_size); },
        [&](int signals, deadline limit) {
            return wait_for_any({set, count}, signals, limit);
        });
}

// select(2) overwrites its sets, so each look gets copies. Sets may be larger than fd_set: only `count` bits are ours.
class fd_sets {
public:
    fd_sets(int count, fd_set* read, fd_set* write, fd_set* except)
        : count_(count), words_((std::size_t(count) + bits - 1) / bits), given_{read, write, except} {
        for (std::size_t i = 0; i < 3; ++i)
            if (given_[i]) wanted_[i].assign(words(given_[i]), words(given_[i]) + words_);
    }

    long look(sigset_t const* mask) {
        for (std::size_t i = 0; i < 3; ++i) found_[i] = wanted_[i];
        struct {
            sigset_t const* mask;
            std::size_t size;
        } const with_mask{mask, kernel_sigset_size};
        return kernel(SYS_pselect6, count_, pointer(0), pointer(1), pointer(2), &at_once, &with_mask);
    }

    void give_back() noexcept {
        for (std::size_t i = 0; i < 3; ++i)
            if (given_[i]) std::copy(found_[i].begin(), found_[i].end(), words(given_[i]));
    }

    std::vector<pollfd> as_poll() const {
        static constexpr short events[3] = {POLLIN, POLLOUT, POLLPRI};
        std::vector<pollfd> set;
        for (int fd = 0; fd < count_; ++fd) {
            short wanted = 0;
            for (std::size_t i = 0; i < 3; ++i)
                if (given_[i] && wanted_[i][std::size_t(fd) / bits] >> (std::size_t(fd) % bits) & 1)
                    wanted |= events[i];
            if (wanted) set.push_back({fd, wanted, 0});
        }
        return set;
    }

private:
    using word = unsigned long; // as the kernel lays fd_set out
    static constexpr std::size_t bits = 8 * sizeof(word);

    static word* words(fd_set* set) noexcept { return reinterpret_cast<word*>(set); }
    word* pointer(std::size_t i) noexcept { return given_[i] ? found_[i].data() : nullptr; }

    int count_;
    std::size_t words_;
    fd_set* given_[3];
    std::vector<word> wanted_[3], found_[3];
};

long select_until(int count, fd_set* read, fd_set* write, fd_set* except, deadline until, sigset_t const* mask) {
    if (count < 0) return -EINVAL;
    for (fd_set const* each : {read, write, except})
        if (each && !is_memory(each, (std::size_t(count) + 7) / 8)) return -EFAULT;
    fd_sets sets{count, read, write, except};
    std::vector<pollfd> as_poll = sets.as_poll();
    auto const wait = [&](int signals, deadline limit) {
        wake_reason const why = wait_for_any(as_poll, signals, limit);
        // The kernel overlooks bits above the highest number that the process ever used (fs/select.c, max_select_fd).
        if (why == wake_reason::closed)
            std::erase_if(as_poll, [](pollfd const& one) { return kernel(SYS_fcntl, one.fd, F_GETFD, 0) < 0; });
        return why;
    };
    long const found = look_and_wait(
        until, mask, [&] { return sets.look(mask); }, wait);
    if (found >= 0) sets.give_back();
    return found;
}

long epoll_until(int set, epoll_event* events, int room, deadline until, sigset_t const* mask) {
    return look_and_wait(
        until, mask, [&] { return kernel(SYS_epoll_pwait, set, events, room, 0, mask, kernel_sigset_size); },
        [&](int signals, deadline limit) {
            hub::interest const both[] = {{set, hub::readable}, {signals, hub::readable}};
            return hub::wait_any_fd({both, signals < 0 ? 1u : 2u}, limit, closing::seen);
        });
}

} // namespace

long body::poll(pollfd* set, nfds_t count, int milliseconds) {
    return poll_until(set, count, deadline_after(milliseconds), nullptr);
}

long body::ppoll(pollfd* set, nfds_t count, timespec const* limit, sigset_t const* mask) {
    if (limit && !valid(*limit)) return -EINVAL;
    return poll_until(set, count, limit ? deadline_after(*limit) : deadline::never(), mask);
}

// Linux writes the time that is left back into `limit` (select(2), "NOTES").
long body::select(int count, fd_set* read, fd_set* write, fd_set* except, timeval* limit) {
    if (limit && (limit->tv_sec < 0 || limit->tv_usec < 0)) return -EINVAL;
    deadline until;
    if (limit)
        until = deadline_after(timespec{limit->tv_sec + limit->tv_usec / 1'000'000, limit->tv_usec % 1'000'000 * 1000});
    long const found = select_until(count, read, write, except, until, nullptr);
    if (limit) {
        std::int64_t const left = std::max<std::int64_t>(0, until.ns() - steady_now()) / 1000;
        *limit = {left / 1'000'000, left % 1'000'000};
    }
    return found;
}

long body::pselect6(int count, fd_set* read, fd_set* write, fd_set* except, timespec const* limit,
                    sigset_t const* mask) {
    if (limit && !valid(*limit)) return -EINVAL;
    return select_until(count, read, write, except, limit ? deadline_after(*limit) : deadline::never(), mask);
}

long body::epoll_pwait(int set, epoll_event* events, int room, int milliseconds, sigset_t const* mask) {
    return epoll_until(set, events, room, deadline_after(milliseconds), mask);
}

long body::epoll_pwait2(int set, epoll_event* events, int room, timespec const* limit, sigset_t const* mask) {
    if (limit && !valid(*limit)) return -EINVAL;
    return epoll_until(set, events, room, limit ? deadline_after(*limit) : deadline::never(), mask);
}

} // namespace coir::monkey
