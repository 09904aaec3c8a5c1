// A FILE as a whole: flushing, closing, moving, its locks.

#include "monkey/bodies.h"
#include "monkey/descriptors.h"
#include "monkey/file_calls.h"

#include <cstdlib>
#include <exception>
#include <system_error>

// Exported by glibc for libraries that walk its FILEs.
extern "C" {
extern FILE* _IO_list_all; // linked by _chain; stable while the lock is held
extern FILE _IO_2_1_stdin_, _IO_2_1_stdout_, _IO_2_1_stderr_;
void _IO_list_lock() noexcept;
void _IO_list_unlock() noexcept;
}

namespace coir::monkey {
namespace {

// What is pending of a stream that waits. False if it could not be written.
bool write_rest(FILE* stream, file_turn& turn) {
    if (kind_of_stream(stream) != stream_kind::waits) return true;
    if (is_wide(stream))
        return !__fwriting(stream) || on_thread(turn, [=] { return real.fflush_unlocked(stream); }) != EOF;
    return !pending(stream) || drain(stream);
}

template <class Libc>
int flush(FILE* stream, bool lock, Libc libc) {
    stream_kind const kind = kind_of_stream(stream);
    if (kind != stream_kind::waits) return by_libc(stream, kind, lock, libc);
    file_turn turn{stream, lock};
    return write_rest(stream, turn) ? libc() : EOF;
}

// The next stream that has something pending, with libc's lock, if it is to be had: no other thread closes it then.
// With the lock of all FILEs none is waited for: who has it may be about to open or to close another.
struct to_flush {
    FILE* stream = nullptr;
    bool locked = false;
};
to_flush next_to_flush(FILE* after) {
    to_flush found;
    bool passed = !after;
    _IO_list_lock();
    for (FILE* each = _IO_list_all; each && !found.stream; each = each->_chain) {
        if (passed && (is_wide(each) ? __fwriting(each) && __fpending(each) : pending(each)))
            found = {each, real.ftrylockfile(each) == 0};
        passed |= each == after;
    }
    _IO_list_unlock();
    if (!passed) return next_to_flush(nullptr); // it was closed: what has been written has nothing pending
    return found;
}

// The same, locked. What another thread has locked may be closed by it: so it is looked for again.
FILE* lock_next_to_flush(FILE* after) {
    for (int attempt = 0;; ++attempt) {
        to_flush const next = next_to_flush(after);
        if (!next.stream || next.locked) return next.stream;
        if (!pause_before(attempt)) throw std::system_error(ECANCELED, std::generic_category(), "fflush");
    }
}

bool write_all_of(FILE* stream, bool by_fiber) {
    if (!by_fiber) return real.fflush(stream) == 0;
    file_turn turn{stream, true};
    return kind_of_stream(stream) == stream_kind::waits ? write_rest(stream, turn) : real.fflush(stream) == 0;
}

// libc would write them one after the other, with the lock of all FILEs held: who waits for one of them could open or
// close none, nor any other fiber of that thread.
bool flush_all(bool by_fiber) {
    bool all_written = true;
    FILE* stream = nullptr;
    while ((stream = lock_next_to_flush(stream))) {
        struct unlocking {
            FILE* of;
            ~unlocking() { real.funlockfile(of); }
        } const later{stream};
        all_written &= write_all_of(stream, by_fiber);
    }
    return all_written;
}

// Closes one with libc's lock held: libc's own waits for that while it holds the lock of all. Those that the program
// began with stay there.
int close_locked(FILE* stream) {
    bool const stays = stream == &_IO_2_1_stdin_ || stream == &_IO_2_1_stdout_ || stream == &_IO_2_1_stderr_;
    int const result = real.fclose(stream);
    if (stays) real.funlockfile(stream);
    return result;
}

// Until nobody else has it or waits for it: who flushes all may.
void lock_to_close(FILE* stream) {
    for (int attempt = 0; in_fiber(); ++attempt) {
        while (is_wanted(stream)) file_turn const last{stream, true};
        if (real.ftrylockfile(stream) == 0) return;
        if (!pause_before(attempt)) break;
    }
    real.flockfile(stream);
}

// Whatever moves in a stream or changes its buffer writes what is pending first.
template <class Libc>
auto moved(FILE* stream, Libc libc) {
    stream_kind const kind = kind_of_stream(stream);
    if (kind != stream_kind::waits) return by_libc(stream, kind, true, libc);
    file_turn turn{stream, true};
    write_rest(stream, turn);
    return libc();
}

} // namespace

// On every thread, for the lock of all; what waits is a fiber's, unless its calls of stdio are left to libc.
long body::fflush(FILE* stream, bool by_fiber) {
    auto const libc = [=] { return real.fflush(stream); };
    if (!stream) return flush_all(by_fiber) ? 0 : EOF;
    return by_fiber ? flush(stream, true, libc) : libc();
}

long body::fflush_unlocked(FILE* stream, bool by_fiber) {
    if (!stream) return body::fflush(stream, by_fiber);
    auto const libc = [=] { return real.fflush_unlocked(stream); };
    return by_fiber ? flush(stream, false, libc) : libc();
}

long body::fclose(FILE* stream) {
    if (is_command(stream)) {
        long const status = body::pclose(stream);
        if (status >= 0) return status;
        errno = int(-status);
        return EOF;
    }
    bool all_written = true;
    int error = 0;
    if (in_fiber()) {
        file_turn turn{stream, true};
        all_written = write_rest(stream, turn);
        error = errno;
    }
    lock_to_close(stream);
    int const fd = fileno_unlocked(stream);
    if (fd >= 0) ends(fd);
    int const result = close_locked(stream);
    if (result == 0 && !all_written) errno = error;
    return all_written ? result : EOF;
}

// The descriptor is another file afterwards.
FILE* reopened(FILE* stream, FILE* (*libc)(char const*, char const*, FILE*), char const* name, char const* mode) {
    if (in_fiber()) {
        file_turn turn{stream, true};
        write_rest(stream, turn);
    }
    if (int const fd = fileno_unlocked(stream); fd >= 0) ends(fd);
    return libc(name, mode, stream);
}

long body::freopen(char const* name, char const* mode, FILE* stream) {
    return reinterpret_cast<long>(reopened(
        stream, [](auto... all) { return real.freopen(all...); }, name, mode));
}

long body::freopen64(char const* name, char const* mode, FILE* stream) {
    return reinterpret_cast<long>(reopened(
        stream, [](auto... all) { return real.freopen64(all...); }, name, mode));
}

long body::fseek(FILE* stream, off_t offset, int from) {
    return moved(stream, [=] { return real.fseeko(stream, offset, from); });
}

long body::fsetpos(FILE* stream, fpos_t const* place) {
    return moved(stream, [=] { return real.fsetpos(stream, place); });
}

long body::rewind(FILE* stream) {
    return moved(stream, [=] { return real.rewind(stream), 0; });
}

long body::setvbuf(FILE* stream, char* buffer, int mode, size_t size) {
    return moved(stream, [=] { return real.setvbuf(stream, buffer, mode, size); });
}

// libc writes what is pending when the handlers of atexit have run, and no fiber runs any more: what has to be waited
// for is written now. Not what the program prints in its handlers, nor when main returns, of which no symbol tells.
long body::exit(int status) {
    try {
        flush_all(true);
    } catch (std::exception const&) {} // a fiber that is killed, or no memory: libc writes it
    real.exit(status);
    std::abort(); // it does not return
}

long body::flockfile(FILE* stream) {
    lock_file(stream);
    return 0;
}

long body::ftrylockfile(FILE* stream) { return try_lock_file(stream); }

long body::funlockfile(FILE* stream) {
    unlock_file(stream);
    return 0;
}

} // namespace coir::monkey
