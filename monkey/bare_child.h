// A child that runs on its parent's memory, or on a copy of it that nobody has made ready: between vfork and exec,
// after _Fork, in a function that clone calls. To such a child the fibers, the table of handlers and what is known of
// descriptors are its parent's, so every hook leaves its calls to libc.
//
// The mark is made by the parent before the child exists, per thread, and taken away by the first hooked call that
// finds itself in the parent: vfork returns twice, and nobody else has a turn there.
#pragma once

#include <sys/types.h>

namespace coir::monkey {

/// The process whose child this thread may be; 0: none.
extern constinit thread_local pid_t bare_child_of __attribute__((tls_model("initial-exec")));

/// The calling thread is about to make such a child.
void bare_child_comes() noexcept;
/// Whether it is that child that calls. Takes the mark away if not.
bool in_marked_child() noexcept;
inline bool in_bare_child() noexcept { return bare_child_of != 0 && in_marked_child(); }

} // namespace coir::monkey
