// What the kernel keeps per thread and libc does not make the same for all: credentials, capabilities, namespaces. What
// a thread may do or sees because of them, a worker might not, or might that the thread may not: once the threads of a
// process can differ in them, each makes its own calls, and blocks in those that no fiber can wait for otherwise.
// Any thread.
#pragma once

#include <atomic>

namespace coir::monkey {

/// A thread changed its own while there could be others. It stays so: the threads that it starts have what it has.
extern constinit std::atomic<bool> rights_differ;

/// No other thread can make the calls of this one that ask for a name, or for leave.
inline bool calls_are_this_threads() noexcept { return rights_differ.load(std::memory_order_relaxed); }

/// The system call `number`, made by this thread, changes its own.
void note_change_of_rights(long number) noexcept;

} // namespace coir::monkey
