// stdio's scanning, and its wide characters: what libc reads and writes of its own accord in the middle of a call.
//
// Input is tried first on a FILE that cannot be read: if what is at hand is enough, that is all. If not, libc is left
// to its own on another thread.

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

// While it lives, libc cannot read for the stream: what needs more than is at hand fails, as with O_NONBLOCK, and loses
// nothing. Afterwards flags and errno are what they were.
class without_descriptor {
public:
    explicit without_descriptor(FILE* stream) noexcept
        : stream_(stream), fd_(stream->_fileno), flags_(stream->_flags), error_(errno) {
        stream->_fileno = -1;
        stream->_flags &= ~_IO_ERR_SEEN;
    }
    without_descriptor(without_descriptor const&) = delete;
    ~without_descriptor() {
        stream_->_fileno = fd_;
        if (!failed()) {
            stream_->_flags |= flags_ & _IO_ERR_SEEN;
            return;
        }
        stream_->_flags = (stream_->_flags & ~(_IO_ERR_SEEN | _IO_EOF_SEEN)) | (flags_ & (_IO_ERR_SEEN | _IO_EOF_SEEN));
        errno = error_;
    }
    bool failed() const noexcept { return stream_->_flags & _IO_ERR_SEEN; }

private:
    FILE* stream_;
    int fd_, flags_, error_;
};

// By libc as long as it needs not read.
template <class Libc>
wint_t wide_char(FILE* stream, bool lock, Libc libc) {
    stream_kind const kind = kind_of_stream(stream);
    if (kind != stream_kind::waits) return by_libc(stream, kind, lock, libc);
    file_turn turn{stream, lock};
    if (is_wide(stream) && !__fwriting(stream)) {
        without_descriptor const only_buffer{stream};
        wint_t const got = libc();
        if (!only_buffer.failed()) return got;
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

// Whether libc's call did with what is at hand. If not, the FILE is as it was.
template <class Libc>
bool scanned(FILE* stream, Libc libc, int& items) {
    if (stream->_IO_backup_base || __fwriting(stream) || !at_hand(stream)) return false;
    if (__flbf(stream) && pending(stdout)) return false; // which libc would write before it reads
    FILE const before = *stream;
    bool failed;
    {
        without_descriptor const only_buffer{stream};
        items = libc();
        failed = only_buffer.failed();
    }
    if (!failed) return true;
    if (stream->_IO_backup_base) __fpurge(stream); // what was pushed back, after the end
    stream->_IO_read_base = before._IO_read_base;
    stream->_IO_read_ptr = before._IO_read_ptr;
    stream->_IO_read_end = before._IO_read_end;
    stream->_offset = before._offset;
    return false;
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
    int const error_before = stream->_flags & _IO_ERR_SEEN;
    stream->_flags &= ~_IO_ERR_SEEN;
    std::size_t const had = wide_line_into(to, std::min(std::size_t(size) - 1, room), stream);
    bool const failed = had == 0 || ((stream->_flags & _IO_ERR_SEEN) && errno != EAGAIN);
    stream->_flags |= error_before;
    if (failed) return nullptr;
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
    auto const libc = [&] {
        copied_arguments again{arguments};
        return c99 ? real.__isoc99_vfscanf(stream, format, again.list) : real.vfscanf(stream, format, again.list);
    };
    stream_kind const kind = kind_of_stream(stream);
    if (kind != stream_kind::waits) return by_libc(stream, kind, true, libc);
    file_turn turn{stream, true};
    if (is_wide(stream)) return libc(); // fails
    int items;
    if (!allocates(format) && scanned(stream, libc, items)) return items;
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
