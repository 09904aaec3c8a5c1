// stdio's input of bytes.

#include "monkey/bodies.h"
#include "monkey/file_calls.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>

extern "C" [[noreturn]] void __chk_fail(); // glibc: what a FORTIFY check calls (debug/chk_fail.c)

namespace coir::monkey {
namespace {

int next_byte(FILE* stream) noexcept { return static_cast<unsigned char>(*stream->_IO_read_ptr++); }

bool has_bytes(FILE* stream) noexcept { return at_hand(stream) > 0 && stream->_mode < 0; }

template <class Libc>
int get_byte(FILE* stream, bool lock, Libc libc) {
    if (brief_turn const turn{stream, lock}; turn && has_bytes(stream)) return next_byte(stream);
    return by_kind(stream, lock, libc, [&] { return at_hand(stream) || fill(stream) ? next_byte(stream) : EOF; });
}

// Up to the end of a line, at most `most` bytes: how many. libc says of an error only if it is new, and of EAGAIN only
// if nothing was read (libio/iofgets.c).
std::size_t line_into(char* to, std::size_t most, FILE* stream) {
    std::size_t had = 0;
    while (had < most && (at_hand(stream) || fill(stream))) {
        std::size_t count = std::min(most - had, at_hand(stream));
        void const* const end = std::memchr(stream->_IO_read_ptr, '\n', count);
        if (end) count = std::size_t(static_cast<char const*>(end) - stream->_IO_read_ptr) + 1;
        std::memcpy(to + had, stream->_IO_read_ptr, count);
        stream->_IO_read_ptr += count;
        had += count;
        if (end) break;
    }
    return had;
}

char* get_line(char* to, int size, std::size_t room, FILE* stream) {
    new_errors const errors{stream};
    std::size_t const had = line_into(to, std::min(std::size_t(size) - 1, room), stream);
    if (had == 0 || (errors.any() && errno != EAGAIN)) return nullptr;
    if (had >= room) __chk_fail();
    to[had] = '\0';
    return to;
}

template <class Libc>
long fgets(char* to, int size, std::size_t room, FILE* stream, bool lock, Libc libc) {
    if (size <= 0) return 0;
    if (size == 1 && room) {
        *to = '\0';
        return reinterpret_cast<long>(to);
    }
    return reinterpret_cast<long>(by_kind(stream, lock, libc, [&] { return get_line(to, size, room, stream); }));
}

template <class Libc>
std::size_t read_items(void* to, std::size_t size, std::size_t count, FILE* stream, bool lock, Libc libc) {
    std::size_t const bytes = size * count;
    if (bytes == 0) return 0;
    auto* const begin = static_cast<char*>(to);
    if (brief_turn const turn{stream, lock}; turn && has_bytes(stream) && at_hand(stream) >= bytes)
        return take(stream, begin, bytes), count;
    return by_kind(stream, lock, libc, [&] {
        std::size_t const had = take(stream, begin, bytes);
        return had == bytes ? count : had / size;
    });
}

// The room for the line grows as libc's does (libio/iogetdelim.c): programs can see how large it is.
bool make_room(char** line, std::size_t* room, std::size_t needed) noexcept {
    if (needed <= *room) return true;
    needed = std::max(needed, 2 * *room);
    void* const larger = std::realloc(*line, needed);
    if (!larger) return false;
    *line = static_cast<char*>(larger);
    *room = needed;
    return true;
}

long get_delimited(char** line, std::size_t* room, int delimiter, FILE* stream) {
    constexpr std::size_t at_first = 120, most = SSIZE_MAX;
    if (stream->_flags & _IO_ERR_SEEN) return -1;
    if (!*line || !*room) {
        *room = at_first;
        *line = static_cast<char*>(std::malloc(*room));
        if (!*line) return -1;
    }
    if (!at_hand(stream) && !fill(stream)) return -1;
    std::size_t had = 0;
    void const* end;
    do {
        std::size_t count = at_hand(stream);
        end = std::memchr(stream->_IO_read_ptr, delimiter, count);
        if (end) count = std::size_t(static_cast<char const*>(end) - stream->_IO_read_ptr) + 1;
        if (count >= most - had) {
            errno = EOVERFLOW;
            return -1;
        }
        if (!make_room(line, room, had + count + 1)) return -1;
        std::memcpy(*line + had, stream->_IO_read_ptr, count);
        stream->_IO_read_ptr += count;
        had += count;
    } while (!end && fill(stream));
    (*line)[had] = '\0';
    return long(had);
}

} // namespace

long body::fgetc(FILE* stream) {
    return get_byte(stream, true, [=] { return real.fgetc(stream); });
}

long body::fgetc_unlocked(FILE* stream) {
    return get_byte(stream, false, [=] { return real.fgetc_unlocked(stream); });
}

long body::underflow(FILE* stream) {
    return by_kind(
        stream, false, [=] { return real.__underflow(stream); },
        [=] { return at_hand(stream) || fill(stream) ? static_cast<unsigned char>(*stream->_IO_read_ptr) : EOF; });
}

long body::uflow(FILE* stream) {
    return get_byte(stream, false, [=] { return real.__uflow(stream); });
}

long body::ungetc(int byte, FILE* stream) {
    return without_waiting(stream, true, [=] { return real.ungetc(byte, stream); });
}

long body::fgets(char* to, int size, size_t room, FILE* stream) {
    return monkey::fgets(to, size, room, stream, true, [=] { return real.fgets(to, size, stream); });
}

long body::fgets_unlocked(char* to, int size, size_t room, FILE* stream) {
    return monkey::fgets(to, size, room, stream, false, [=] { return real.fgets_unlocked(to, size, stream); });
}

// A line of stdin without its end, into room that libc does not know either.
long body::gets(char* to, size_t room) {
    return reinterpret_cast<long>(by_kind(
        stdin, true, [=] { return real.__gets_chk(to, room); },
        [=]() -> char* {
            new_errors const errors{stdin};
            std::size_t const had = line_into(to, room, stdin);
            if (had == 0 || errors.any()) return nullptr;
            bool const whole = to[had - 1] == '\n';
            if (!whole && had >= room) __chk_fail();
            to[whole ? had - 1 : had] = '\0';
            return to;
        }));
}

long body::fread(void* to, size_t size, size_t count, FILE* stream) {
    return long(read_items(to, size, count, stream, true, [=] { return real.fread(to, size, count, stream); }));
}

long body::fread_unlocked(void* to, size_t size, size_t count, FILE* stream) {
    return long(
        read_items(to, size, count, stream, false, [=] { return real.fread_unlocked(to, size, count, stream); }));
}

long body::getw(FILE* stream) {
    int word;
    return body::fread(&word, sizeof word, 1, stream) == 1 ? word : EOF;
}

long body::getdelim(char** line, size_t* room, int delimiter, FILE* stream) {
    if (!line || !room) {
        errno = EINVAL;
        return -1;
    }
    return by_kind(
        stream, true, [=] { return real.getdelim(line, room, delimiter, stream); },
        [=] { return get_delimited(line, room, delimiter, stream); });
}

} // namespace coir::monkey
