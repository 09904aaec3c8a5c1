// What read and recv, write and send have in common: how a socket is read once, and how a stream is written whole.
#pragma once

#include "monkey/kernel.h"
#include "monkey/parts.h"
#include "monkey/retry.h"

namespace coir::monkey {

inline bool is_stream(descriptor const& about) noexcept {
    return about.kind.load(std::memory_order_relaxed) == file_kind::stream;
}

/// **Parks.** Receives up to `wanted` bytes from a socket through `receive`, which tries once; it `takes` what it sees.
/// After a read that took all there was, waits before the next.
template <class Receive>
long receive_once(int fd, descriptor& about, std::size_t wanted, bool takes, Receive receive) {
    waiting turn{fd, about, direction::read};
    if (about.drained.load(std::memory_order_relaxed)) {
        about.drained.store(false, std::memory_order_relaxed);
        if (long const error = turn.first()) return error;
    }
    long const result = turn.retry(receive);
    if (is_stream(about) && result > 0 && takes)
        about.drained.store(std::size_t(result) < wanted, std::memory_order_relaxed);
    return result;
}

/// **Parks.** Sends through `send(parts, count, again)`, which tries once: until all is sent, or with what was sent
/// before an error; a packet at once. `again`: a part, or the connection that it makes, is under way.
///
/// What fails after a part of it is the next call's to tell, with a signal or without: the kernel does not look at it
/// again, so no attempt is made then. (A pipe does raise SIGPIPE after a part, fs/pipe.c.)
template <class Send>
long send_all(int fd, descriptor const& about, iovec const* parts, std::size_t count, Send send) {
    waiting turn{fd, about, direction::write};
    bool connecting = false; // tcp(7), MSG_FASTOPEN and TCP_FASTOPEN_CONNECT
    long result = turn.retry([&] {
        long const sent = send(parts, count, connecting);
        if (sent != -EINPROGRESS) return sent;
        connecting = true;
        return long(-EAGAIN);
    });
    if (connecting && result == -EAGAIN) return -EINPROGRESS;
    if (about.kind.load(std::memory_order_relaxed) == file_kind::packets || result < 0) return result;
    std::size_t const wanted = bytes_in(parts, count);
    if (std::size_t(result) == wanted) return result;
    remaining_parts rest{parts, count};
    long total = result;
    do {
        rest.advance(std::size_t(result));
        result = turn.retry([&]() -> long {
            if (is_stream(about) && is_ready(fd, 0)) return -EPIPE; // POLLERR or POLLHUP
            return send(rest.first(), rest.count(), true);
        });
        if (result > 0) total += result;
    } while (result > 0 && std::size_t(total) < wanted);
    return total;
}

} // namespace coir::monkey
