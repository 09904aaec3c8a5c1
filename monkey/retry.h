// The one place that retries: try without blocking, wait when it would, try again.
#pragma once

#include "hub/hub.h"
#include "monkey/descriptors.h"

#include <cerrno>

namespace coir::monkey {

/// What a wait's end means to a call: 0 to try again, or -errno.
///   timed_out  -EAGAIN, as SO_RCVTIMEO and SO_SNDTIMEO promise (socket(7))
///   closed     -EBADF: another fiber closed the descriptor under the call
///   cancelled  -ECANCELED: an exception waits for the fiber; a hook cannot throw it, the next wait of coir's own will
inline long after(wake_reason why) noexcept {
    switch (why) {
    case wake_reason::ready: return 0;
    case wake_reason::timed_out: return -EAGAIN;
    case wake_reason::closed: return -EBADF;
    case wake_reason::cancelled: return -ECANCELED;
    }
    return 0;
}

inline deadline deadline_in(std::int64_t limit) noexcept {
    return limit ? deadline::at(steady_now() + limit) : deadline::never();
}

/// **Parks.** For one call on `fd`: knows until when it may wait.
class waiting {
public:
    waiting(int fd, descriptor const& about, direction way) noexcept
        : fd_(fd), way_(way), limit_(way == direction::read ? about.receive_limit : about.send_limit) {}

    /// Waits until `fd` is ready. 0, or -errno.
    long once() {
        if (limit_ && until_.is_never()) until_ = deadline_in(limit_);
        return after(hub::wait_fd(fd_, way_, until_, closing::seen));
    }

    /// `attempt` until it no longer says -EAGAIN. For descriptors that the program believes to be blocking.
    template <class Attempt>
    long retry(Attempt attempt) {
        for (;;) {
            long const result = attempt();
            if (result != -EAGAIN) return result;
            if (long const error = once()) return error;
        }
    }

private:
    int fd_;
    direction way_;
    std::int64_t limit_; // ns from the first wait, 0: none
    deadline until_;
};

} // namespace coir::monkey
