// The buffer of a FILE, filled and emptied by the calling fiber: where libc's own would read or write in the middle of
// a call, with its locks held, these park. What they leave in the FILE (buffer, flags, offset) and in errno is what
// libc leaves (libio/fileops.c), so that its functions go on from there, and the system calls they make are those that
// libc would make, byte for byte.
//
// They know of the FILE what <bits/types/struct_FILE.h> shows, which compiled programs rely on. The caller has the
// FILE's turn (file_turns.h).
#pragma once

#include <cstdio>
#include <stdio_ext.h>

namespace coir::monkey {

/// What kind of stream it is for the shim.
enum class stream_kind {
    at_once, ///< of a file on disk, or one that the program made non-blocking: libc's own call, which waits for nothing
             ///< that a fiber could bring
    waits,   ///< of a descriptor that can be waited for
    foreign, ///< of functions of the program's (fopencookie): libc's own call, in which these may park
};
/// Costs system calls unless the descriptor's file is its alone.
stream_kind kind_of_stream(FILE* stream) noexcept;

/// Of a descriptor that can be waited for. Costs no system call but the first time.
bool may_wait(FILE* stream) noexcept;

/// Bytes that can be read without a system call, from what is current: the buffer, or what was pushed back.
inline std::size_t at_hand(FILE const* stream) noexcept {
    return std::size_t(stream->_IO_read_end - stream->_IO_read_ptr);
}

/// Bytes that were put but not written.
inline std::size_t pending(FILE const* stream) noexcept {
    return stream->_IO_write_ptr > stream->_IO_write_base ? std::size_t(stream->_IO_write_ptr - stream->_IO_write_base)
                                                          : 0;
}

inline bool is_wide(FILE const* stream) noexcept { return stream->_mode > 0; }

/// **Parks.** Sees to it that at least one byte is at hand. False at the end of the file or after an error, which the
/// FILE's flags and errno tell.
bool fill(FILE* stream);

/// **Parks.** Reads into the buffer, or, if `size` is no less than a buffer, past it; how many bytes were had. Fewer
/// than `size` at the end or after an error.
std::size_t take(FILE* stream, char* to, std::size_t size);

/// libc has read ahead, and would have to go back before it writes, which it cannot where there is something to wait
/// for: its own call fails, and writes nothing.
bool would_seek(FILE const* stream) noexcept;

/// **Parks.** Writes what is pending. False after an error, which ferror and errno tell: what was pending is lost then.
bool drain(FILE* stream);

/// **Parks.** Puts `size` bytes, and writes what is to be written then: when the buffer is full, or after a line. How
/// many bytes were taken; EOF, as a size, if all were but could not be written.
std::size_t put(FILE* stream, char const* data, std::size_t size);

/// **Parks.** The same for one byte: it, or EOF.
int put_byte(FILE* stream, unsigned char byte);

/// `size` bytes can be put without anything being written, nor the state of the FILE changed.
inline bool has_room(FILE* stream, std::size_t size) noexcept {
    return std::size_t(stream->_IO_write_end - stream->_IO_write_ptr) >= size && stream->_IO_write_ptr &&
           stream->_IO_write_end > stream->_IO_write_ptr && stream->_mode < 0;
}

} // namespace coir::monkey
