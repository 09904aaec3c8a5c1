// Where an exception was thrown, for exceptions that leave a function that nobody catches them from, as a fiber's do:
// when they are caught the stack they were thrown on is gone. Here it is looked at while it is whole: watch_throws puts
// a frame on the stack that the unwinder asks, before it unwinds anything, whether it catches; it does not, but it
// writes down from where it was asked.
//
// An exception that is caught below that frame never asks it. Of one that is caught and rethrown there the last `throw`
// is known, not the first. x86-64; elsewhere traces are empty.
#pragma once

#include "fiber/export.h"

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>

namespace coir {

/// The calls that led to a throw, from the one that threw outwards. Belongs to whoever watches.
struct stack_trace {
    std::array<void*, 32> frames; ///< an address within each call instruction
    unsigned count = 0;           ///< how many of them there are; 0: nothing was thrown
    bool complete = true;         ///< false: there were more
};

/// Calls `call(argument)`. If an exception leaves it, `into` tells afterwards where that was thrown, from the throwing
/// function to `call`; else it is empty. Ended by pthread_exit or a cancellation of the thread, it is empty, too. Code
/// without unwind tables ends a trace. Where something is thrown it takes about 1 KiB more of the stack. Throws what
/// `call` throws. Any thread, any fiber; nests.
COIR_API void watch_throws(stack_trace& into, void (*call)(void*), void* argument);

/// The same, but the trace is allocated when something is thrown; null if nothing was, or if there is no memory for it.
COIR_API void watch_throws(std::unique_ptr<stack_trace>& into, void (*call)(void*), void* argument);

/// @cond internal

/// Looks up what must be known when something is thrown: once, before. Any thread.
void prepare_to_watch_throws();
/// As watch_throws, after that. `into` must be empty.
void watch_throws_prepared(std::unique_ptr<stack_trace>& into, void (*call)(void*), void* argument);

/// @endcond

/// The same for any callable without arguments.
template <class F>
void watch_throws(stack_trace& into, F&& function) {
    watch_throws(
        into, [](void* called) { (*static_cast<std::remove_reference_t<F>*>(called))(); },
        const_cast<void*>(static_cast<void const*>(std::addressof(function))));
}

/// One line per call: "  #0 fetch(std::string const&) at net/x.cpp:12" where there is debug information and libdw
/// (elfutils), which is loaded now; else "  #0 fetch(std::string const&)+0x12 (/usr/bin/x+0x5012)", which addr2line
/// understands. Inlined calls have lines of their own. Empty if the trace is.
///
/// Blocks the thread, fibers and all, while debug information is read: some milliseconds, a second for a program of a
/// gigabyte. It is read by a thread of its own, because libdw needs more stack than a fiber has. Nothing is fetched
/// from debuginfod. Any thread.
COIR_API std::string describe(stack_trace const& trace);

} // namespace coir
