// The one place that retries: try without blocking, wait when it would, try again.
#pragma once

#include "hub/handlers.h"
#include "hub/hub.h"
#include "monkey/descriptors.h"
#include "monkey/kernel.h"
#include "monkey/looking_again.h"
#include "monkey/signals.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <poll.h>

namespace coir::monkey {

/// What a wait's end means to a call: 0 to try again, or -errno.
///   timed_out    -EAGAIN, as SO_RCVTIMEO and SO_SNDTIMEO promise (socket(7))
///   closed       -EBADF: another fiber closed the descriptor under the call
///   cancelled    -ECANCELED: an exception waits for the fiber; a hook cannot throw it, the next wait of coir's own
///   will interrupted  -EINTR: a handler of a signal has run (signal(7))
inline long after(wake_reason why) noexcept {
    switch (why) {
    case wake_reason::ready: return 0;
    case wake_reason::timed_out: return -EAGAIN;
    case wake_reason::closed: return -EBADF;
    case wake_reason::cancelled: return -ECANCELED;
    case wake_reason::interrupted: return -EINTR;
    }
    return 0;
}

/// One of `events` is there now, or an error or a hang-up.
inline bool is_ready(int fd, short events) noexcept {
    pollfd one{fd, events, 0};
    timespec const at_once{};
    return kernel(SYS_ppoll, &one, 1, &at_once, nullptr, 0) > 0; // -EINTR: a signal is pending, nothing is ready
}

inline deadline deadline_in(std::int64_t limit) noexcept {
    return limit ? deadline::at(steady_now() + limit) : deadline::never();
}

/// **Parks.** For one call on `fd`: knows whether and until when it may wait.
class waiting {
public:
    waiting(int fd, descriptor const& about, direction way) noexcept : fd_(fd), about_(about), way_(way) {}

    /// Waits until `fd` is ready. 0; or -errno, which is -EAGAIN where the program does not want to wait. A call with
    /// a timeout is not restarted after a handler (signal(7)).
    long once() {
        auto const [nonblocking, limit] = patience_of(fd_, about_, way_);
        if (nonblocking) return -EAGAIN;
        if (limit && until_.is_never()) until_ = deadline_in(limit);
        notice_handlers();
        bool const tells = !sends_a_packet() || ++waits_ <= 2;
        if (!or_a_handler_.arm(limit ? handlers::any : handlers::without_restart)) return -EINTR;
        if (tells) return after(hub::wait_fd(fd_, way_, until_, closing::seen));
        deadline const next = again_.next();
        long const error = after(hub::wait_until(std::min(next, until_)));
        return error == -EAGAIN && next < until_ ? 0 : error;
    }

    /// `attempt` until it no longer says -EAGAIN.
    template <class Attempt>
    long retry(Attempt attempt) {
        for (;;) {
            long const result = attempt();
            if (result != -EAGAIN) return result;
            if (long const error = once()) return error;
        }
    }

    /// The last attempt took all there was: waits before the next, if the program wants to wait. 0, or -errno.
    long first() {
        long const error = once();
        return error == -EAGAIN && until_.is_never() ? 0 : error;
    }

private:
    // Done when it has gone once. A Unix socket that is not connected says that it can be written to whatever room
    // there is where the packet goes (net/unix/af_unix.c): after two waits in vain the others are pauses.
    bool sends_a_packet() const noexcept {
        return way_ == direction::write && about_.kind.load(std::memory_order_relaxed) == file_kind::packets;
    }

    int fd_;
    descriptor const& about_;
    direction way_;
    unsigned waits_ = 0; // of a packet that is sent
    deadline until_;     // from the first wait on
    looking_again again_;
    ended_by_handlers or_a_handler_;
};

} // namespace coir::monkey
