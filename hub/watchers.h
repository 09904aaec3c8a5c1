// Watchers: callbacks, and waits, for everything that a hub can learn of. One per kind of libev's, as gevent's
// loop.io() and so on; libev itself does not appear. Fibers seldom need them: a plain wait is shorter.
//
// A watcher belongs to the thread that made it, and everything is for that thread only, except hub::async::send().
// What all have, start(), stop() and wait(), stands in hub/watcher.h.
//
// Most have a start() without a callback, too: the watcher is active from then on, and if it happens while nobody waits
// the next wait() returns at once, once however often it was.
//
// Destruction stops a watcher. In a child that a fiber forks all are inactive, except hub::fork, and may be started
// again: what they were set up for belongs to the parent.
//
// libev's priorities have no counterpart: what happens is told in the order in which it does. hub::prepare, hub::check
// and hub::idle are called at their places in the hub's turn.
#pragma once

#include "hub/fiber.h"
#include "hub/timer.h"
#include "hub/watcher.h"

#include <array>
#include <atomic>
#include <chrono>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <sys/types.h>

namespace coir {

/// A descriptor is readable, writable or both. Level-triggered: it happens again in every round, until the descriptor
/// is read empty or written full. If it is closed (hub::forget_fd), it happens once more and the watcher stops. It must
/// be stopped before a plain close(), of which the hub learns nothing. Its own thread.
class COIR_API hub::io final : public watcher_of<io> {
public:
    /// Throws std::system_error: start() and wait() do, EBADF, if `fd` is no open descriptor.
    io(int fd, direction way);
    /// The same for both directions: `{hub::readable, hub::writable}`.
    io(int fd, std::initializer_list<direction> ways);
    /// Stops it. No fiber may be in its wait().
    ~io() { end(); }

    using watcher::wait;

    /// The descriptor.
    int fd() const noexcept { return sides_[0].fd; }
    /// In the callback and after wait(): what happened.
    bool happened(direction way) const noexcept { return events_[std::size_t(way)]; }
    /// It was closed, and the watcher has stopped.
    bool closed() const noexcept { return closed_; }

private:
    struct side final : fd_waiter, private waiter_group {
        io& of;
        bool wanted = false;
        bool counted = false;
        side(io& whole, int fd, direction way) noexcept;
        bool take(waiter& one) noexcept override;
    };
    void arm() override;
    void disarm() noexcept override;
    bool forked() noexcept override;
    void note(side const& which) noexcept;

    std::array<side, 2> sides_; // by direction
    std::array<bool, 2> events_{};
    bool closed_ = false;
    std::uint64_t told_at_ = 0; // where in the ready queue those stand who learn of events_
};

/// A while after start(), and then again and again if it repeats. Exact, as coir::sleep is: not rounded to
/// milliseconds. Its own thread.
class COIR_API hub::timer final : public watcher_of<timer> {
public:
    /// `repeat` 0: once. Throws std::invalid_argument if one is negative.
    explicit timer(std::chrono::nanoseconds after, std::chrono::nanoseconds repeat = {});
    /// Stops it. No fiber may be in its wait().
    ~timer() { end(); }

    using watcher::wait;
    using watcher_of<timer>::start;
    /// Active from now on, without a callback: for wait(). Throws as the other start().
    void start() { use_without_call(); }

    /// A repeating one begins anew, from now on with the full interval, started or not; another one is stopped. Throws
    /// std::logic_error on another thread.
    void again();
    /// The same, and `function` is the callback from now on.
    template <class F>
    void again(F&& function) {
        start(std::forward<F>(function));
        again();
    }

private:
    struct alarm : coir::timer {
        hub::timer& of;
        explicit alarm(hub::timer& whole) noexcept;
    };
    void arm() override;
    void disarm() noexcept override;
    void set(std::int64_t at);
    void ring() noexcept;

    alarm alarm_{*this};
    std::chrono::nanoseconds const after_, repeat_;
    std::int64_t at_ = 0; // steady ns
};

/// At a moment of the wall clock, or at every full interval of it, also when the clock is set. Within milliseconds. Its
/// own thread.
class COIR_API hub::periodic final : public watcher_of<periodic> {
public:
    /// Once, at that moment; if that is past already, as soon as it is started.
    explicit periodic(std::chrono::system_clock::time_point once);
    /// At every moment that is `offset` and a whole number of intervals: 1h: at each full hour, UTC. Throws
    /// std::invalid_argument unless `interval` is positive; less than a millisecond is taken for one.
    explicit periodic(std::chrono::nanoseconds interval, std::chrono::system_clock::time_point offset = {});
    /// Stops it. No fiber may be in its wait().
    ~periodic();

    using watcher::wait;
    using watcher_of<periodic>::start;
    /// Active from now on, without a callback: for wait(). Throws as the other start().
    void start() { use_without_call(); }

private:
    struct libev_watcher;
    void arm() override;
    void disarm() noexcept override;

    std::unique_ptr<libev_watcher> own_;
};

/// A signal to the process, on whichever thread it arrives; it must not be blocked on all. While a watcher of it is
/// active the signal's disposition is coir's, and the one it had before afterwards. Several that arrive close together
/// may be one. Several watchers of one thread may watch a signal, but only one thread can at a time.
///
/// There is no watcher for the end of any child, because it would have to take children that are others' to wait for:
/// watch SIGCHLD, and call waitpid for those that are yours. Its own thread.
class COIR_API hub::signal final : public watcher_of<signal> {
public:
    /// Throws std::system_error, EINVAL, if the signal does not exist, cannot be caught or tells of a fault of the
    /// running code (SIGSEGV, SIGBUS, SIGFPE, SIGILL); start() and wait() throw it, EBUSY, if another thread's hub
    /// watches the signal.
    explicit signal(int number);
    /// Stops it. No fiber may be in its wait().
    ~signal() { end(); }

    using watcher::wait;
    using watcher_of<signal>::start;
    /// Active from now on, without a callback: for wait(). Throws as the other start().
    void start() { use_without_call(); }

    /// The signal's number.
    int number() const noexcept { return signal_number_; }

private:
    friend struct watched_signal;
    void arm() override;
    void disarm() noexcept override;

    int const signal_number_;
};

/// Calls `function()` in a fiber of its own, which begins at once, each time the signal arrives; until cancel() or the
/// end of this object. It is no reason for the thread to wait. gevent: signal_handler. Its own thread.
class COIR_API signal_handler {
public:
    /// Throws what hub::signal's constructor and start() throw.
    template <std::invocable F>
    signal_handler(int number, F&& function) : watcher_(number) {
        watcher_.unref();
        watcher_.start([number, shared = std::make_shared<std::decay_t<F>>(std::forward<F>(function))] {
            detail::run_now(detail::make_task({.name = name_of_handler(number)}, [shared] { (*shared)(); }));
        });
    }

    /// Its own thread. Fibers that run go on.
    void cancel() noexcept { watcher_.stop(); }

private:
    static std::string name_of_handler(int number);
    hub::signal watcher_;
};

/// The end of a child of this process, which it collects as waitpid(2) does; by a pidfd, Linux 5.3. Also if the child
/// has ended already. Its own thread.
class COIR_API hub::child final : public watcher_of<child> {
public:
    /// Throws std::system_error: ECHILD if `pid` is no child of this process, or what pidfd_open(2) says.
    explicit child(pid_t pid);
    /// Stops it. No fiber may be in its wait().
    ~child();

    using watcher::wait;
    using watcher_of<child>::start;
    /// Active from now on, without a callback: for wait(). Throws as the other start().
    void start() { use_without_call(); }

    /// The child's number, which may be another process's once ended().
    pid_t pid() const noexcept { return pid_; }
    /// It has ended, and this watcher learnt of it.
    bool ended() const noexcept { return ended_; }
    /// As waitpid(2) gives it; nothing until then, or if someone else collected it: another waitpid, or SIGCHLD is
    /// ignored.
    std::optional<int> status() const noexcept { return status_; }

private:
    struct pidfd final : fd_waiter, private waiter_group {
        child& of;
        bool counted = false;
        pidfd(child& whole, int fd) noexcept;
        bool take(waiter& one) noexcept override;
    };
    void arm() override;
    void disarm() noexcept override;
    bool forked() noexcept override;

    pid_t const pid_;
    pidfd pidfd_;
    bool ended_ = false;
    std::optional<int> status_;
};

/// Another thread, or a signal handler, has something to tell. Its own thread, but for send().
class COIR_API hub::async final : public watcher_of<async> {
public:
    /// Inactive. Throws what hub::current() throws.
    async();
    /// Stops it. No fiber may be in its wait().
    ~async();

    using watcher::wait;
    using watcher_of<async>::start;
    /// Active from now on, without a callback: for wait(). Throws as the other start().
    void start() { use_without_call(); }

    /// Makes it happen on its thread; sends that come before that are one. Does nothing while it is inactive, or when
    /// its thread has ended. Allocates nothing and takes no lock. Any thread; async-signal-safe. The watcher may be
    /// destroyed as soon as a call has made it happen; no other one may be under way then.
    void send() noexcept;

private:
    struct note;
    void arm() override;
    void disarm() noexcept override;
    bool forked() noexcept override;
    void thread_ends() noexcept override;

    note* note_; // what is posted
    std::uint32_t times_active_ = 0;
};

/// What stat(2) says of a path changes, or the path comes or goes: by inotify(7) where the file system has it, by
/// looking every `interval` elsewhere. Looks at the path, which may block, on the hub. Its own thread.
class COIR_API hub::stat final : public watcher_of<stat> {
public:
    /// `interval` 0: about five seconds; at least a tenth of a second.
    explicit stat(std::string path, std::chrono::nanoseconds interval = {});
    /// Stops it. No fiber may be in its wait().
    ~stat();

    using watcher::wait;
    using watcher_of<stat>::start;
    /// Active from now on, without a callback: for wait(). Throws as the other start().
    void start() { use_without_call(); }

    /// The path that it was made with.
    std::string const& path() const noexcept { return path_; }
    /// At the last look, the first of which is start()'s; null if there was no such file.
    struct ::stat const* attr() const noexcept;
    /// At the look before that; null if there was no such file.
    struct ::stat const* prev() const noexcept;

private:
    struct libev_watcher;
    void arm() override;
    void disarm() noexcept override;

    std::string const path_;
    std::unique_ptr<libev_watcher> own_;
};

/// Nobody is ready: no fiber can run and nothing is due. While one is active the hub never sleeps. coir::idle() waits
/// for such a moment, once. Its own thread.
class COIR_API hub::idle final : public watcher_of<idle> {
public:
    /// Inactive. Throws what hub::current() throws.
    idle() : watcher_of("idle") {}
    /// Stops it. No fiber may be in its wait().
    ~idle() { end(); }
    using watcher::wait;

private:
    void arm() override { list().idling.push(turn_); }
    void disarm() noexcept override { turn_.unlink(); }
};

/// The hub is about to look at its descriptors, and maybe to sleep until something happens. It has no reference. Its
/// own thread.
class COIR_API hub::prepare final : public watcher_of<prepare> {
public:
    /// Inactive. Throws what hub::current() throws.
    prepare() : watcher_of("prepare", -1, false) {}
    /// Stops it. No fiber may be in its wait().
    ~prepare() { end(); }
    using watcher::wait;

private:
    void arm() override { list().preparing.push(turn_); }
    void disarm() noexcept override { turn_.unlink(); }
};

/// The hub has looked at its descriptors; those that are ready have been woken. It has no reference. Its own thread.
class COIR_API hub::check final : public watcher_of<check> {
public:
    /// Inactive. Throws what hub::current() throws.
    check() : watcher_of("check", -1, false) {}
    /// Stops it. No fiber may be in its wait().
    ~check() { end(); }
    using watcher::wait;

private:
    void arm() override { list().checking.push(turn_); }
    void disarm() noexcept override { turn_.unlink(); }
};

/// The process was forked by a fiber of this thread: called in the child, when its hub runs first. It has no reference,
/// and no wait(): of all fibers the one that forked is left. Its own thread.
class COIR_API hub::fork final : public watcher_of<fork> {
public:
    /// Inactive. Throws what hub::current() throws.
    fork() : watcher_of("fork", -1, false) {}
    /// Stops it.
    ~fork() { end(); }

private:
    void arm() override {}
    void disarm() noexcept override {}
    bool forked() noexcept override { return true; }
};

} // namespace coir
