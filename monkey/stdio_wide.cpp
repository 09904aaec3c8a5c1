// stdio's scanning, and its wide characters: what libc reads and writes of its own accord in the middle of a call.
//
// Input is tried first on a FILE that seems to be at its end: if what is at hand is enough, that is all. If not, libc
// is left to its own on another thread.

#include "monkey/bodies.h"
#include "monkey/file_calls.h"

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <cwchar>
#include <stdio_ext.h>

extern "C" [[noreturn]] void __chk_fail(); // glibc: what a FORTIFY check calls (debug/chk_fail.c)

namespace coir::monkey {
namespace {

// While it lives, libc does not read for the wide stream: it is at its end, which is sticky (libio/wfileops.c: C99)
// unless something is pushed back. Nobody else looks at that without the lock. Of a stream that is not at its end.
class without_reading {
public:
    explicit without_reading(FILE* stream) noexcept
        : stream_(stream), error_seen_(stream->_flags & _IO_ERR_SEEN), error_(errno) {
        stream->_flags |= _IO_EOF_SEEN;
    }
    without_reading(without_reading const&) = delete;
    ~without_reading() { stream_->_flags &= ~_IO_EOF_SEEN; }
    // More than was at hand was needed: what that left is taken back.
    void undo() noexcept {
        stream_->_flags = (stream_->_flags & ~_IO_ERR_SEEN) | error_seen_;
        errno = error_;
    }

private:
    FILE* const stream_;
    int const error_seen_, error_;
};

bool is_at_end(FILE const* stream) noexcept { return stream->_flags & _IO_EOF_SEEN; }

// By libc as long as it needs not read.
template <class Libc>
wint_t wide_char(FILE* stream, bool lock, Libc libc) {
    stream_kind const kind = kind_of_stream(stream);
    if (kind != stream_kind::waits) return by_libc(stream, kind, lock, libc);
    file_turn turn{stream, lock};
    if (is_wide(stream) && !__fwriting(stream)) {
        if (is_at_end(stream)) return libc();
        without_reading only_buffer{stream};
        wint_t const got = libc();
        if (got != WEOF) return got;
        only_buffer.undo();
    }
    return on_thread(turn, libc);
}

// A wide stream has room, and nothing that makes it write.
bool has_room_for(FILE* stream, wchar_t wide) noexcept {
    return is_wide(stream) && __fwriting(stream) && __fpending(stream) > 0 &&
           __fpending(stream) + 1 < __fbufsize(stream) / sizeof(wchar_t) && !(__flbf(stream) && wide == L'\n');
}

template <class Libc>
wint_t put_wide(wchar_t wide, FILE* stream, bool lock, Libc libc) {
    stream_kind const kind = kind_of_stream(stream);
    if (kind != stream_kind::waits) return by_libc(stream, kind, lock, libc);
    file_turn turn{stream, lock};
    return has_room_for(stream, wide) ? libc() : on_thread(turn, libc);
}

// The whole call on a thread of its own.
template <class Libc>
auto all_on_thread(FILE* stream, bool lock, Libc libc) {
    stream_kind const kind = kind_of_stream(stream);
    if (kind != stream_kind::waits) return by_libc(stream, kind, lock, libc);
    file_turn turn{stream, lock};
    return on_thread(turn, libc);
}

// A second FILE over what the first has at hand, without its descriptor: what needs more fails there, and the first is
// as it was, to whoever looks. libc knows it by the table of functions behind it (libio/libioP.h, _IO_FILE_plus).
class look_ahead {
public:
    explicit look_ahead(FILE* stream) noexcept : first_(stream), error_(errno) {
        std::memcpy(static_cast<void*>(&second_), stream, sizeof second_);
        second_.file._fileno = -1;
        second_.file._flags = (second_.file._flags & ~_IO_ERR_SEEN) | _IO_USER_LOCK;
    }
    look_ahead(look_ahead const&) = delete;

    FILE* stream() noexcept { return &second_.file; }
    // Whether the call, which was made with stream(), did with it. Then the first is where it has come to.
    bool take() noexcept {
        FILE& now = second_.file;
        if (now._flags & _IO_ERR_SEEN) {
            if (now._IO_backup_base) __fpurge(&now); // what was pushed back, after the end
            errno = error_;
            return false;
        }
        first_->_IO_read_base = now._IO_read_base;
        first_->_IO_read_ptr = now._IO_read_ptr;
        first_->_IO_read_end = now._IO_read_end;
        first_->_IO_save_base = now._IO_save_base;
        first_->_IO_backup_base = now._IO_backup_base;
        first_->_IO_save_end = now._IO_save_end;
        first_->_mode = now._mode;
        int const kept = _IO_ERR_SEEN | _IO_USER_LOCK;
        first_->_flags = (now._flags & ~kept) | (first_->_flags & kept);
        return true;
    }

private:
    struct file_and_functions {
        FILE file;
        void const* functions;
    };
    FILE* const first_;
    file_and_functions second_;
    int const error_;
};

// Whether libc's call did with what is at hand. If not, the FILE is as it was.
template <class Libc>
bool scanned(FILE* stream, Libc libc, int& items) {
    if (stream->_IO_backup_base || __fwriting(stream) || !at_hand(stream)) return false;
    if (__flbf(stream) && pending(stdout)) return false; // which libc would write before it reads
    look_ahead only_buffer{stream};
    items = libc(only_buffer.stream());
    return only_buffer.take();
}

// %m allocates, which is not to be done twice.
bool allocates(char const* format) noexcept { return std::strchr(format, 'm') != nullptr; }

// Fewer on an error, which libc tells as fgets does (libio/iofgetws.c).
std::size_t wide_line_into(wchar_t* to, std::size_t most, FILE* stream) {
    std::size_t had = 0;
    while (had < most) {
        wint_t const next = wide_char(stream, false, [=] { return real.fgetwc_unlocked(stream); });
        if (next == WEOF) break;
        to[had++] = wchar_t(next);
        if (next == L'\n') break;
    }
    return had;
}

template <class Libc>
wchar_t* wide_line(wchar_t* to, int size, std::size_t room, FILE* stream, bool lock, Libc libc) {
    stream_kind const kind = kind_of_stream(stream);
    if (size <= 1 || kind != stream_kind::waits) return by_libc(stream, kind, lock, libc);
    file_turn const turn{stream, lock};
    if (std::fwide(stream, 1) < 0) return nullptr;
    new_errors const errors{stream};
    std::size_t const had = wide_line_into(to, std::min(std::size_t(size) - 1, room), stream);
    if (had == 0 || (errors.any() && errno != EAGAIN)) return nullptr;
    if (had >= room) __chk_fail();
    to[had] = L'\0';
    return to;
}

class copied_arguments {
public:
    explicit copied_arguments(va_list from) { va_copy(list, from); }
    copied_arguments(copied_arguments const&) = delete;
    ~copied_arguments() { va_end(list); }
    va_list list;
};

} // namespace

long body::vfscanf(FILE* stream, int c99, char const* format, va_list arguments) {
    auto const scan = [&](FILE* from) {
        copied_arguments again{arguments};
        return c99 ? real.__isoc99_vfscanf(from, format, again.list) : real.vfscanf(from, format, again.list);
    };
    auto const libc = [&] { return scan(stream); };
    stream_kind const kind = kind_of_stream(stream);
    if (kind != stream_kind::waits) return by_libc(stream, kind, true, libc);
    file_turn turn{stream, true};
    if (is_wide(stream)) return libc(); // fails
    int items;
    if (!allocates(format) && scanned(stream, scan, items)) return items;
    if (pending(stream)) drain(stream);
    return on_thread(turn, libc);
}

long body::vfwscanf(FILE* stream, int c99, wchar_t const* format, va_list arguments) {
    return all_on_thread(stream, true, [&] {
        copied_arguments again{arguments};
        return c99 ? real.__isoc99_vfwscanf(stream, format, again.list) : real.vfwscanf(stream, format, again.list);
    });
}

long body::fgetwc(FILE* stream) {
    return wide_char(stream, true, [=] { return real.fgetwc(stream); });
}

long body::fgetwc_unlocked(FILE* stream) {
    return wide_char(stream, false, [=] { return real.fgetwc_unlocked(stream); });
}

long body::ungetwc(wint_t wide, FILE* stream) {
    return without_waiting(stream, true, [=] { return real.ungetwc(wide, stream); });
}

long body::fgetws(wchar_t* to, int size, size_t room, FILE* stream) {
    return reinterpret_cast<long>(
        wide_line(to, size, room, stream, true, [=] { return real.fgetws(to, size, stream); }));
}

long body::fgetws_unlocked(wchar_t* to, int size, size_t room, FILE* stream) {
    return reinterpret_cast<long>(
        wide_line(to, size, room, stream, false, [=] { return real.fgetws_unlocked(to, size, stream); }));
}

long body::fputwc(wchar_t wide, FILE* stream) {
    return put_wide(wide, stream, true, [=] { return real.fputwc(wide, stream); });
}

long body::fputwc_unlocked(wchar_t wide, FILE* stream) {
    return put_wide(wide, stream, false, [=] { return real.fputwc_unlocked(wide, stream); });
}

long body::fputws(wchar_t const* text, FILE* stream) {
    return all_on_thread(stream, true, [=] { return real.fputws(text, stream); });
}

long body::fputws_unlocked(wchar_t const* text, FILE* stream) {
    return all_on_thread(stream, false, [=] { return real.fputws_unlocked(text, stream); });
}

long body::vfwprintf(FILE* stream, int check, wchar_t const* format, va_list arguments) {
    return all_on_thread(stream, true, [&] {
        copied_arguments again{arguments};
        return check ? real.__vfwprintf_chk(stream, check, format, again.list)
                     : real.vfwprintf(stream, format, again.list);
    });
}

} // namespace coir::monkey
