// What is undone when a thread ends, after the destructors of its thread_local objects: those may still use
// fibers. Nothing is undone when the process exits: static objects' destructors may use fibers too, and the
// rest goes with the process. A thread_local of our own would be destroyed too early in both cases.
//
// What is registered lies with its owner. For the thread's own use. Internal.
#pragma once

namespace coir {

struct thread_ending {
    void (*run)(thread_ending& self) noexcept;
    thread_ending* next = nullptr; // the one registered before
};

/// Runs `what` when this thread ends: the last registered first, and what is registered meanwhile too. Throws
/// std::system_error if the thread can keep nothing (EAGAIN: the program has taken all PTHREAD_KEYS_MAX keys; ENOMEM);
/// then `what` is not registered.
void at_thread_end(thread_ending& what);

} // namespace coir
