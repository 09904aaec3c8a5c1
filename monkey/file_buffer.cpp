#include "monkey/file_buffer.h"

#include "monkey/bodies.h"
#include "monkey/descriptors.h"
#include "monkey/file_turns.h"
#include "monkey/real.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <cwchar>

// Exported by glibc for programs that were compiled with its older headers.
extern "C" {
void _IO_doallocbuf(FILE* stream) noexcept;       // gives it its buffer, if it has none; looks whether it is a terminal
void _IO_free_backup_area(FILE* stream) noexcept; // goes back from what was pushed back to the buffer
int _IO_switch_to_get_mode(FILE* stream) noexcept; // from writing to reading
}

namespace coir::monkey {
namespace {

constexpr __off64_t nowhere = -1; // of _offset: libc does not know the descriptor's

// A call of read or write as libc's makes it: -1 and errno, which is as it was after success.
template <class Call>
long as_libc(Call call) {
    int const before = errno;
    long const result = call();
    errno = result < 0 ? int(-result) : before;
    return result < 0 ? -1 : result;
}

bool is_unbuffered(FILE const* stream) noexcept { return stream->_IO_buf_base == stream->_shortbuf; }
std::size_t room_of_buffer(FILE const* stream) noexcept {
    return std::size_t(stream->_IO_buf_end - stream->_IO_buf_base);
}

// Who asks for input on a terminal shall see first what was printed so far.
void show_prompt(FILE* asking) {
    if (asking == stdout || is_wide(stdout) || !__flbf(stdout) || !__fwritable(stdout) || !pending(stdout)) return;
    file_turn const turn{stdout, true};
    if (kind_of_stream(stdout) == stream_kind::waits)
        drain(stdout);
    else
        real.fflush_unlocked(stdout);
}

// The empty state, in which both areas are at the buffer's begin.
void empty(FILE* stream) noexcept {
    char* const begin = stream->_IO_buf_base;
    stream->_IO_read_base = stream->_IO_read_ptr = stream->_IO_read_end = begin;
    stream->_IO_write_base = stream->_IO_write_ptr = stream->_IO_write_end = begin;
}

// One read, by a stream that has nothing at hand: how many bytes, or with the flag set, 0.
std::size_t read_into(FILE* stream, char* to, std::size_t size) {
    long const got = as_libc([=] { return body::read(stream->_fileno, to, size); });
    if (got <= 0) {
        stream->_flags |= got == 0 ? _IO_EOF_SEEN : _IO_ERR_SEEN;
        return 0;
    }
    if (stream->_offset != nowhere) stream->_offset += got;
    return std::size_t(got);
}

// All of it, as long as there is no error. The caller begins anew afterwards; until then there is no room, so that what
// programs have inline (putc_unlocked) comes to __overflow, and waits.
std::size_t write_out(FILE* stream, char const* data, std::size_t size) {
    stream->_IO_write_end = stream->_IO_write_ptr;
    std::size_t done = 0;
    while (done < size) {
        long const wrote = as_libc([=] { return body::write(stream->_fileno, data + done, size - done); });
        if (wrote < 0) {
            stream->_flags |= _IO_ERR_SEEN;
            break;
        }
        done += std::size_t(wrote);
    }
    if (stream->_offset >= 0) stream->_offset += __off64_t(done);
    return done;
}

// After a write: nothing pending, and room for as much as may be put without asking.
void begin_anew(FILE* stream) noexcept {
    empty(stream);
    if (!__flbf(stream) && !is_unbuffered(stream)) stream->_IO_write_end = stream->_IO_buf_end;
}

// A stream that is to be read: what was pushed back is used up, nothing is pending, it has its buffer. False if libc
// does not read it; the flags and errno say why.
bool begin_reading(FILE* stream) {
    if (std::fwide(stream, -1) > 0) return false;
    if (pending(stream) && !drain(stream)) return false;
    if (!__freadable(stream)) return real.__underflow(stream) != EOF; // EBADF
    if (__fwriting(stream)) _IO_switch_to_get_mode(stream);
    if (at_hand(stream) == 0 && stream->_IO_backup_base) _IO_free_backup_area(stream);
    if (!stream->_IO_buf_base) _IO_doallocbuf(stream);
    return true;
}

// A stream that is to be written. False if libc does not write it; the flags and errno say why.
bool begin_writing(FILE* stream) {
    if (pending(stream)) return true;
    return real.__overflow(stream, EOF) != EOF; // nothing is pending: no system call
}

// libc's own mark (before glibc 2.28 <libio.h> had it): the last was a write.
bool is_putting(FILE const* stream) noexcept {
    constexpr int currently_putting = 0x800;
    return stream->_flags & currently_putting;
}

} // namespace

bool may_wait(FILE* stream) noexcept {
    int const before = errno;
    int const fd = fileno_unlocked(stream);
    errno = before;
    switch (describe(fd).kind.load(std::memory_order_relaxed)) {
    case file_kind::stream:
    case file_kind::packets:
    case file_kind::pipe:
    case file_kind::other: return true;
    case file_kind::disk:
    case file_kind::none:
    case file_kind::unknown: break;
    }
    return false;
}

stream_kind kind_of_stream(FILE* stream) noexcept {
    int const before = errno;
    int const fd = fileno_unlocked(stream);
    errno = before;
    if (fd < 0) return stream_kind::foreign;
    if (!may_wait(stream)) return stream_kind::at_once;
    return patience_of(fd, describe(fd), direction::write).nonblocking ? stream_kind::at_once : stream_kind::waits;
}

bool would_seek(FILE const* stream) noexcept {
    if (is_putting(stream)) return stream->_IO_read_end != stream->_IO_write_base;
    return at_hand(stream) > 0 || stream->_IO_backup_base;
}

bool fill(FILE* stream) {
    if (!begin_reading(stream)) return false;
    if (at_hand(stream)) return true;
    if (stream->_flags & _IO_EOF_SEEN) return false; // it stays at its end until clearerr (C99)
    if (__flbf(stream) || is_unbuffered(stream)) show_prompt(stream);
    empty(stream);
    std::size_t const got = read_into(stream, stream->_IO_buf_base, room_of_buffer(stream));
    if (got == 0) stream->_offset = nowhere;
    stream->_IO_read_end += got;
    return got > 0;
}

std::size_t take(FILE* stream, char* to, std::size_t size) {
    std::size_t had = 0;
    while (had < size) {
        if (at_hand(stream) == 0 && stream->_IO_backup_base) _IO_free_backup_area(stream);
        std::size_t const next = std::min(size - had, at_hand(stream));
        if (next) {
            std::memcpy(to + had, stream->_IO_read_ptr, next);
            stream->_IO_read_ptr += next;
            had += next;
            continue;
        }
        if (!begin_reading(stream)) break;
        std::size_t const rest = size - had, block = room_of_buffer(stream);
        if (rest < block) {
            if (!fill(stream)) break;
            continue;
        }
        empty(stream);
        std::size_t const got = read_into(stream, to + had, rest - (block >= 128 ? rest % block : 0));
        if (got == 0) break;
        had += got;
    }
    return had;
}

bool drain(FILE* stream) {
    if (would_seek(stream)) return real.fflush_unlocked(stream) != EOF;
    std::size_t const size = pending(stream);
    bool const done = write_out(stream, stream->_IO_write_base, size) == size;
    begin_anew(stream);
    return done;
}

std::size_t put(FILE* stream, char const* data, std::size_t size) {
    if (size == 0) return 0;
    bool const putting = is_putting(stream); // if not, libc writes whole blocks before it fills the buffer
    std::size_t room = std::size_t(stream->_IO_write_end - stream->_IO_write_ptr);
    if (!begin_writing(stream)) return 0;
    bool line_ended = false;
    if (__flbf(stream) && putting) {
        room = std::size_t(stream->_IO_buf_end - stream->_IO_write_ptr);
        if (room >= size)
            if (auto const* last = static_cast<char const*>(memrchr(data, '\n', size))) {
                room = std::size_t(last - data) + 1;
                line_ended = true;
            }
    }
    std::size_t left = size;
    auto const buffered = [&](std::size_t count) {
        std::memcpy(stream->_IO_write_ptr, data, count);
        stream->_IO_write_ptr += count;
        data += count;
        left -= count;
    };
    buffered(std::min(room, size));
    if (left == 0 && !line_ended) return size;
    if (pending(stream) && !drain(stream)) return left ? size - left : std::size_t(EOF);
    std::size_t const block = room_of_buffer(stream);
    if (std::size_t const direct = left - (block >= 128 ? left % block : 0)) {
        std::size_t const wrote = write_out(stream, data, direct);
        begin_anew(stream);
        data += wrote;
        left -= wrote;
        if (wrote < direct) return size - left;
    }
    while (left) { // less than a buffer
        if (stream->_IO_write_ptr == stream->_IO_buf_end && !drain(stream)) return size - left;
        std::size_t const next = std::min(left, std::size_t(stream->_IO_buf_end - stream->_IO_write_ptr));
        auto const* end = __flbf(stream) ? static_cast<char const*>(std::memchr(data, '\n', next)) : nullptr;
        buffered(end ? std::size_t(end - data) + 1 : next);
        if (end && !drain(stream)) return size - left - 1;
    }
    return size;
}

int put_byte(FILE* stream, unsigned char byte) {
    if (!begin_writing(stream)) return EOF;
    if (stream->_IO_write_ptr == stream->_IO_buf_end && !drain(stream)) return EOF;
    *stream->_IO_write_ptr++ = char(byte);
    if ((is_unbuffered(stream) || (__flbf(stream) && byte == '\n')) && !drain(stream)) return EOF;
    return byte;
}

} // namespace coir::monkey
