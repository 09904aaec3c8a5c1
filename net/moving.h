// What copy(), relay() and send_file() share: until when they wait, and system calls that write to a socket but know no
// MSG_NOSIGNAL. Internal; for the fiber that moves.
#pragma once

#include "hub/deadline.h"
#include "hub/hub.h"
#include "net/socket.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <system_error>

namespace coir::net {

inline constexpr socket::operation moving_in{direction::read, "read from"};
inline constexpr socket::operation moving_out{direction::write, "write to"};

/// How long nothing may move, and when it last did. A relay's two directions have one.
class idle_limit {
public:
    explicit idle_limit(std::chrono::nanoseconds limit) noexcept : limit_(limit), until_(limit) {}
    deadline until() const noexcept { return until_; }
    void moved() noexcept {
        if (!until_.is_never()) until_ = limit_;
    }

private:
    std::chrono::nanoseconds limit_;
    deadline until_;
};

/// One direction's: its limits, and its turn among others.
class patience {
public:
    patience(deadline whole, idle_limit& idle) noexcept : whole_(whole), idle_(idle) {}

    /// What `transfer(deadline)` returns, a number of bytes. Called again when it was late, but the other direction was
    /// not idle meanwhile.
    template <class Transfer>
    std::size_t of(Transfer transfer) {
        for (;;) {
            deadline const until = std::min(whole_, idle_.until());
            try {
                std::size_t const bytes = transfer(until);
                idle_.moved();
                let_others(bytes);
                return bytes;
            } catch (std::system_error const& late) {
                bool const by_idling = late.code() == std::errc::timed_out && until < std::min(whole_, idle_.until()) &&
                                       until.ns() <= steady_now();
                if (!by_idling) throw;
            }
        }
    }

private:
    void let_others(std::size_t bytes) {
        constexpr std::size_t enough = 1 << 20;
        if ((since_turn_ += bytes) < enough) return;
        since_turn_ = 0;
        yield();
    }

    deadline const whole_;
    idle_limit& idle_;
    std::size_t since_turn_ = 0;
};

/// Makes the call with SIGPIPE held back, and takes back the one that it raised: splice and sendfile raise it for a
/// vanished peer, as write does (net/socket.c, sock_sendmsg without MSG_NOSIGNAL).
template <class Call>
auto without_sigpipe(Call call) {
    sigset_t pipe, before;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    bool was_there = false;
    if (sigismember(&before, SIGPIPE)) {
        sigset_t pending;
        was_there = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE);
    }
    auto const result = call();
    int const error = errno;
    if (result < 0 && error == EPIPE && !was_there) {
        timespec const at_once{};
        while (sigtimedwait(&pipe, nullptr, &at_once) < 0 && errno == EINTR) {}
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return result;
}

} // namespace coir::net
