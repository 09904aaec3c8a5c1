// What the bodies of stdio's functions have in common. Unlike system calls these give libc's own results and set errno
// themselves: an item count may come together with an error.
//
// Each is made in one of three ways. If the buffer has what it needs, at once. If the stream waits (file_buffer.h), by
// our own reading and writing, with the FILE's turn, so that the fiber parks while libc is not in the call. Otherwise
// by libc itself: of files on disk, which it reads and writes as ever, and of streams made of the program's functions.
#pragma once

#include "monkey/file_buffer.h"
#include "monkey/file_turns.h"
#include "monkey/in_fiber.h"
#include "monkey/lasting.h"

#include <cerrno>
#include <clocale>
#include <type_traits>
#include <utility>

namespace coir::monkey {

/// libc's call that does nothing but look at a FILE's buffer or change it. **Parks** while another fiber has the FILE.
template <class Libc>
auto without_waiting(FILE* stream, bool lock, Libc libc) {
    if (brief_turn const turn{stream, lock}) return libc();
    file_turn const turn{stream, lock};
    return libc();
}

/// libc's call of a stream that does not wait. **Parks** while another fiber has the FILE.
template <class Libc>
auto by_libc(FILE* stream, stream_kind kind, bool lock, Libc libc) {
    if (brief_turn const turn{stream, lock}; turn && kind == stream_kind::at_once) return libc();
    file_turn const turn{stream, lock};
    return libc();
}

/// **Parks.** `own` for a stream of bytes that waits, `libc` for every other.
template <class Libc, class Own>
auto by_kind(FILE* stream, bool lock, Libc libc, Own own) {
    stream_kind const kind = kind_of_stream(stream);
    if (kind != stream_kind::waits || is_wide(stream)) return by_libc(stream, kind, lock, libc);
    file_turn const turn{stream, lock};
    return static_cast<decltype(libc())>(own());
}

/// **Parks.** libc's call, of a stream that waits, on a thread of its own: for what reads or writes as often as it
/// likes in one call. It takes its time (some 10 µs), and ends with EINTR after a handler, with ECANCELED if the fiber
/// is killed, with ENOMEM if there can be no thread for it.
template <class Libc>
auto on_thread(file_turn& turn, Libc libc) {
    using result_type = decltype(libc());
    result_type result{}; // what tells a failure, if the fiber is killed before the call has begun
    if constexpr (!std::is_pointer_v<result_type> && !std::is_same_v<result_type, std::size_t>)
        result = result_type(EOF);
    result_type const failure = result;
    int error = errno;
    locale_t const locale = uselocale(nullptr);
    long ended = 0;
    turn.lend([&] {
        ended = lasting(
            [&]() -> long {
                locale_t const before = uselocale(locale);
                errno = std::exchange(error, 0);
                result = libc();
                error = errno;
                uselocale(before);
                return result == failure && error == EINTR ? -EINTR : 0; // success leaves errno as it was
            },
            "a call of stdio");
    });
    errno = ended ? int(-ended) : error;
    return result;
}

/// While it lives, an error that the FILE had before is put aside: one that it has is new. libc's own functions of
/// lines tell so (libio/iofgets.c).
class new_errors {
public:
    explicit new_errors(FILE* stream) noexcept : stream_(stream), before_(stream->_flags & _IO_ERR_SEEN) {
        stream->_flags &= ~_IO_ERR_SEEN;
    }
    ~new_errors() { stream_->_flags |= before_; }
    new_errors(new_errors const&) = delete;

    bool any() const noexcept { return stream_->_flags & _IO_ERR_SEEN; }

private:
    FILE* const stream_;
    int const before_;
};

} // namespace coir::monkey
