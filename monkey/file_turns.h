// Whose turn it is at a FILE. libc's lock of a FILE belongs to a thread, and lets in every fiber of it: so a fiber that
// may park in the middle of a call, or that has locked the FILE by flockfile, is written down here, and the others wait
// for it. The kernel threads that have no fibers know libc's lock only: a turn holds it as well, and they wait for it
// as they would for any thread that is blocked in such a call.
//
// Two things are to be had of a FILE: its lock, which flockfile and every call without "_unlocked" in its name takes
// and which the same fiber can take again; and the call, by which one that parks keeps even the unlocked calls of
// others out, whose work would be lost. A FILE has an entry only while a fiber has one of them. Any thread.
#pragma once

#include "monkey/real.h"

#include <atomic>
#include <cstdio>
#include <sys/single_threaded.h>

namespace coir::monkey {

struct file_entry;

/// The number of FILEs that have an entry: while it is 0 nobody has to look.
extern constinit std::atomic<unsigned> files_taken;

/// Another fiber has `file`: its call, or if `lock` says so its lock.
bool taken_by_another(FILE* file, bool lock) noexcept;

/// Another fiber has it or waits for it.
bool is_wanted(FILE* file) noexcept;

/// Whether a call of a function that locks would lock `file` (__fsetlocking(3)).
inline bool is_locked_by_calls(FILE* file) noexcept { return !(file->_flags & _IO_USER_LOCK); }

/// **Parks**, a thread without fibers sleeps, for longer from attempt to attempt: libc tells nobody when its lock of a
/// FILE is given back. False if the fiber is killed.
bool pause_before(int attempt) noexcept;

/// A turn that is had at once or not at all, for calls that do not park while they have it.
class brief_turn {
public:
    /// `lock`: for a function that locks.
    brief_turn(FILE* file, bool lock) noexcept : file_(file) {
        lock = lock && is_locked_by_calls(file);
        had_ = files_taken.load(std::memory_order_relaxed) == 0 || !taken_by_another(file, lock);
        if (!had_ || !lock || __libc_single_threaded) return;
        had_ = locked_ = real.ftrylockfile(file) == 0;
    }
    brief_turn(brief_turn const&) = delete;
    ~brief_turn() {
        if (locked_) real.funlockfile(file_);
    }
    explicit operator bool() const noexcept { return had_; }

private:
    FILE* file_;
    bool had_;
    bool locked_ = false;
};

/// A turn that lasts while the call parks.
class file_turn {
public:
    /// **Parks** until no other has the FILE. `lock`: for a function that locks. Throws std::system_error(ECANCELED) if
    /// the fiber is killed meanwhile, std::bad_alloc.
    file_turn(FILE* file, bool lock);
    file_turn(file_turn const&) = delete;
    ~file_turn() { end(); }
    /// Before its time: the FILE is about to go.
    void end() noexcept;

    /// **Parks.** While another thread makes `call` for this fiber: it can have libc's lock, which is this thread's,
    /// unless the program holds it; then the call is made without.
    template <class Call>
    void lend(Call call) {
        bool const back = give_lock();
        call();
        take_lock(back);
    }

private:
    bool give_lock() noexcept;
    void take_lock(bool back) noexcept;
    FILE* const file_;
    file_entry* entry_;
    bool const lock_;
};

/// **Parks.** flockfile, for good: whatever interrupts the fiber meanwhile.
void lock_file(FILE* file) noexcept;
/// ftrylockfile: 0 if it is had.
int try_lock_file(FILE* file) noexcept;
/// funlockfile, also of what was locked before there were fibers.
void unlock_file(FILE* file) noexcept;

} // namespace coir::monkey
