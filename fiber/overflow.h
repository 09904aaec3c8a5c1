// Names the fiber whose stack overflowed, instead of a bare "Segmentation fault".
#pragma once

namespace coir {

/// Installs the process's SIGSEGV handler (once; the program's own, if any, still gets every other fault) and gives
/// this thread an alternate signal stack unless it has one. Called when a thread makes its first fiber. Any thread.
void report_overflows_on_this_thread() noexcept;

} // namespace coir
