// stdio's output of bytes.
//
// Formatted output is made in memory first, of unknown size as it is: only if the stream waits.

#include "monkey/bodies.h"
#include "monkey/file_calls.h"

#include <algorithm>
#include <climits>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <memory>

extern "C" int __vsnprintf_chk(char*, size_t, int, size_t, char const*, va_list) noexcept;

namespace coir::monkey {
namespace {

// What a format gives. `check`: of FORTIFY, 0 without.
class formatted {
public:
    formatted(int check, char const* format, va_list arguments) {
        int const error = errno; // %m
        size_ = print(here_, sizeof here_, check, format, arguments);
        if (size_ < int(sizeof here_)) return;
        std::size_t const room = std::size_t(size_) + 1;
        more_.reset(static_cast<char*>(std::malloc(room)));
        if (!more_) throw std::bad_alloc();
        errno = error;
        size_ = print(more_.get(), room, check, format, arguments);
    }

    int size() const noexcept { return size_; } // negative after an error
    char const* text() const noexcept { return more_ ? more_.get() : here_; }

private:
    static int print(char* to, std::size_t room, int check, char const* format, va_list arguments) noexcept {
        va_list again;
        va_copy(again, arguments);
        int const size =
            check ? __vsnprintf_chk(to, room, check, room, format, again) : std::vsnprintf(to, room, format, again);
        va_end(again);
        return size;
    }

    struct freeing {
        void operator()(char* memory) const noexcept { std::free(memory); }
    };
    char here_[512];
    std::unique_ptr<char, freeing> more_;
    int size_;
};

template <class Libc>
int put_one(int byte, FILE* stream, bool lock, Libc libc) {
    auto const one = static_cast<unsigned char>(byte);
    if (brief_turn const turn{stream, lock}; turn && has_room(stream, 1)) {
        *stream->_IO_write_ptr++ = char(one);
        return one;
    }
    return by_kind(stream, lock, libc, [&] { return would_seek(stream) ? libc() : put_byte(stream, one); });
}

bool put_at_once(FILE* stream, bool lock, char const* text, std::size_t size) {
    brief_turn const turn{stream, lock};
    if (!turn || !has_room(stream, size)) return false;
    std::memcpy(stream->_IO_write_ptr, text, size);
    stream->_IO_write_ptr += size;
    return true;
}

bool is_of_bytes(FILE* stream) noexcept { return std::fwide(stream, -1) < 0; }

bool put_all(FILE* stream, char const* text, std::size_t size) {
    return is_of_bytes(stream) && put(stream, text, size) == size;
}

template <class Libc>
int put_text(char const* text, FILE* stream, bool lock, Libc libc) {
    std::size_t const size = std::strlen(text);
    if (put_at_once(stream, lock, text, size)) return 1;
    return by_kind(stream, lock, libc, [&] {
        if (would_seek(stream)) return libc();
        return put_all(stream, text, size) ? 1 : EOF;
    });
}

template <class Libc>
std::size_t put_items(void const* from, std::size_t size, std::size_t count, FILE* stream, bool lock, Libc libc) {
    std::size_t const bytes = size * count;
    if (bytes == 0) return 0;
    auto* const begin = static_cast<char const*>(from);
    if (put_at_once(stream, lock, begin, bytes)) return count;
    return by_kind(stream, lock, libc, [&] {
        if (would_seek(stream)) return libc();
        std::size_t const had = is_of_bytes(stream) ? put(stream, begin, bytes) : 0;
        return had == bytes || had == std::size_t(EOF) ? count : had / size; // EOF: all is taken (libio/iofwrite.c)
    });
}

} // namespace

long body::fputc(int byte, FILE* stream) {
    return put_one(byte, stream, true, [=] { return real.fputc(byte, stream); });
}

long body::fputc_unlocked(int byte, FILE* stream) {
    return put_one(byte, stream, false, [=] { return real.fputc_unlocked(byte, stream); });
}

// With EOF: what is pending is to be written.
long body::overflow(FILE* stream, int byte) {
    auto const libc = [=] { return real.__overflow(stream, byte); };
    if (byte != EOF) return put_one(byte, stream, false, libc);
    return by_kind(stream, false, libc, [=] { return pending(stream) && !drain(stream) ? EOF : libc(); });
}

long body::fputs(char const* text, FILE* stream) {
    return put_text(text, stream, true, [=] { return real.fputs(text, stream); });
}

long body::fputs_unlocked(char const* text, FILE* stream) {
    return put_text(text, stream, false, [=] { return real.fputs_unlocked(text, stream); });
}

long body::puts(char const* text) {
    FILE* const stream = stdout;
    return by_kind(
        stream, true, [=] { return real.puts(text); },
        [=] {
            if (would_seek(stream)) return real.puts(text);
            std::size_t const size = std::strlen(text);
            if (!put_all(stream, text, size) || put_byte(stream, '\n') == EOF) return EOF;
            return int(std::min<std::size_t>(INT_MAX, size + 1));
        });
}

long body::fwrite(void const* from, size_t size, size_t count, FILE* stream) {
    return long(put_items(from, size, count, stream, true, [=] { return real.fwrite(from, size, count, stream); }));
}

long body::fwrite_unlocked(void const* from, size_t size, size_t count, FILE* stream) {
    return long(
        put_items(from, size, count, stream, false, [=] { return real.fwrite_unlocked(from, size, count, stream); }));
}

long body::putw(int word, FILE* stream) { return body::fwrite(&word, sizeof word, 1, stream) == 1 ? 0 : EOF; }

long body::vfprintf(FILE* stream, int check, char const* format, va_list arguments) {
    auto const libc = [&] {
        va_list again;
        va_copy(again, arguments);
        int const size =
            check ? real.__vfprintf_chk(stream, check, format, again) : real.vfprintf(stream, format, again);
        va_end(again);
        return size;
    };
    if (!may_wait(stream) || is_wide(stream) || !__fwritable(stream) || !format)
        return by_libc(stream, kind_of_stream(stream), true, libc);
    formatted const text{check, format, arguments};
    if (text.size() < 0) return -1;
    auto const size = std::size_t(text.size());
    if (put_at_once(stream, true, text.text(), size)) return text.size();
    return by_kind(stream, true, libc, [&] {
        if (would_seek(stream)) return libc();
        return put_all(stream, text.text(), size) ? text.size() : -1;
    });
}

long body::vdprintf(int fd, int check, char const* format, va_list arguments) {
    formatted const text{check, format, arguments};
    for (int done = 0; done < text.size();) {
        long const wrote = body::write(fd, text.text() + done, std::size_t(text.size() - done));
        if (wrote < 0) {
            errno = int(-wrote);
            return -1;
        }
        done += int(wrote);
    }
    return text.size();
}

} // namespace coir::monkey
