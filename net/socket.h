// A socket of ours: the owner of one descriptor that is non-blocking and close-on-exec from birth, and the
// one place that says what happens when a call on it would block (attempt). The kinds of sockets, net/tcp.h
// and those to come, are made of it.
//
// A socket is used on one thread. To hand it to another, release() it here and adopt the descriptor there.
// One fiber at a time may wait in each direction; any fiber may close it, whereupon those who wait get EBADF.
// The same happens to them when it is moved from, released or destroyed.
#pragma once

#include "fiber/context.h"
#include "fiber/export.h"
#include "hub/deadline.h"
#include "hub/hub.h"
#include "hub/receiver_handle.h"
#include "net/address.h"

#include <cerrno>
#include <cstddef>
#include <optional>
#include <utility>

namespace coir::net {

/// The owner of a descriptor, with the calls on it that may have to wait. For one thread.
class COIR_API socket {
public:
    /// Refers to nothing: every call fails with EBADF.
    socket() noexcept;

    /// A new one, non-blocking and close-on-exec. `family`, `type` and `protocol` as in socket(2), `with` for messages.
    /// Throws std::system_error; EMFILE and ENFILE name the limit.
    socket(int family, int type, int protocol, address const& with);

    /// Takes over `fd`, which must have O_NONBLOCK set. `with` is whom messages name.
    socket(int fd, address const& with) noexcept;

    /// Takes over the descriptor of `other`, where those who wait get EBADF.
    socket(socket&& other) noexcept;
    /// The same; the one that it had is closed.
    socket& operator=(socket&& other) noexcept;
    /// As close().
    ~socket();

    /// Closes it, at once, and those who wait get EBADF; harmless when it is closed already.
    void close() noexcept;
    /// Gives up the descriptor, which stays open and non-blocking; those who wait get EBADF. -1 if there is none.
    int release() noexcept;

    /// It has a descriptor.
    bool is_open() const noexcept { return fd_ >= 0; }
    /// The descriptor, which stays this one's; -1 if there is none.
    int native() const noexcept { return fd_; }

    /// Whom messages name: the peer of a stream, the own address of a listener.
    address const& with() const noexcept { return with_; }
    /// Its own end, as getsockname(2) gives it. Throws std::system_error, EBADF if there is no descriptor.
    address local_address() const;
    /// bind(2). A Unix socket's path at which nobody listens or receives any more is replaced. `words`, a literal, is
    /// what messages begin with: "listen on". Throws std::system_error.
    void bind(address const& where, char const* words);
    /// setsockopt(2) with an int. `what`, a literal, is what messages begin with: "set TCP_NODELAY with". Throws
    /// std::system_error.
    void set_option(int level, int name, int value, char const* what);

    /// What is attempted, and for which readiness it waits. `words` are a literal that messages begin with:
    /// "read from".
    struct operation {
        direction way;     ///< the readiness
        char const* words; ///< the literal
    };

    /// **Parks.** The retry policy. Calls `call(fd)`, which behaves as a system call does (a negative result and
    /// errno):
    ///
    /// * EINTR: again
    /// * EAGAIN: waits until the socket is ready, and again; when `until` has passed, once more, and then throws
    ///   std::system_error(ETIMEDOUT)
    /// * another error: throws it as std::system_error: "read from 127.0.0.1:80: Connection reset by peer"
    /// * success: returns the result
    ///
    /// Throws EBADF if the socket is closed, also meanwhile, std::logic_error if another fiber waits in that direction,
    /// what interrupts the caller, and would_block_forever.
    template <class Call>
    auto attempt(operation what, deadline until, Call&& call) {
        return attempt(what, with_, until, std::forward<Call>(call));
    }
    /// The same, of one call with another than with(): errors name `whom`.
    template <class Call>
    auto attempt(operation what, address const& whom, deadline until, Call&& call) {
        if (waiting_[std::size_t(what.way)]) [[unlikely]]
            refuse_second(what);
        bool const wait_first = std::exchange(spent_[std::size_t(what.way)], false);
        bool in_time = !wait_first || wait(what, whom, until, 0);
        for (unsigned in_vain = 0;; ++in_vain) {
            auto const result = call(fd_);
            if (result >= 0) return result;
            if (errno == EINTR) continue;
            if (errno != EAGAIN) fail(what, whom, errno);
            if (!in_time) fail(what, whom, ETIMEDOUT);
            in_time = wait(what, whom, until, in_vain);
        }
    }

    /// A stream transferred less than it was asked to: its buffer is now empty (reading) or full (writing).
    /// The next attempt in that direction waits first, which saves it a call that would fail. Readiness is
    /// level-triggered, so that is right even when the state has changed.
    void transferred_less(direction way) noexcept { spent_[std::size_t(way)] = true; }

    /// Of a stream: from now on the kernel may receive for it ahead of who reads (tcp_stream::receive_ahead). True if
    /// it does so; false where it cannot, and nothing changes. Throws std::bad_alloc, and std::logic_error if a fiber
    /// waits to read.
    bool receive_ahead();
    /// What has come so, and comes until it is closed; null if nothing does.
    receiver* ahead() const noexcept { return ahead_.get(); }

    /// Throws std::system_error with `error` and what was attempted; EMFILE and ENFILE name the limit.
    [[noreturn]] void fail(operation what, int error) const { fail(what, with_, error); }
    /// The same, but with `whom`.
    [[noreturn]] void fail(operation what, address const& whom, int error) const;

private:
    // Lies on the stack of the fiber that waits. Closing the socket clears `of`: the fiber then touches the
    // socket no more, which may be gone, and finds here whom messages name.
    struct waiting_fiber {
        context& who;
        socket* of;
        direction way;
        address const* whom;
        std::optional<address> kept = {};
        void socket_goes(address const& with) noexcept {
            of = nullptr;
            if (whom == &with) whom = &kept.emplace(with);
        }
        ~waiting_fiber() {
            if (of) of->waiting_[std::size_t(way)] = nullptr;
        }
    };

    // False: too late. `in_vain`: how many waits of the same call ended and it still could not be made.
    bool wait(operation what, address const& whom, deadline until, unsigned in_vain);
    [[noreturn]] void refuse_second(operation what) const;

    void tell_those_who_wait() noexcept;

    int fd_ = -1;
    bool spent_[2] = {};             // by direction: wait before the next call
    waiting_fiber* waiting_[2] = {}; // by direction
    receiver_handle ahead_;
    address with_;
};

} // namespace coir::net
