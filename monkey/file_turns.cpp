#include "monkey/file_turns.h"

#include "fiber/at_fork.h"
#include "hub/hub.h"
#include "hub/scheduler.h"
#include "hub/waiter.h"
#include "monkey/in_fiber.h"
#include "monkey/kernel.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <pthread.h>
#include <stdio_ext.h>
#include <system_error>

namespace coir::monkey {
namespace {

// What one fiber can have of a FILE, any number of times. Under the lock of the entries.
struct possession {
    context* owner = nullptr;
    unsigned times = 0;
    wait_queue waiting;

    bool is_free_for(context* who) const noexcept { return !owner || owner == who; }

    wake_reason take(context* who, std::unique_lock<thread_lock>& held) {
        if (is_free_for(who)) {
            owner = who;
            ++times;
            return wake_reason::ready;
        }
        waiter one;
        return waiting.wait_quietly(one, held, {}, "a FILE of another fiber"); // give_back() made it the owner
    }

    void take_through(context* who, std::unique_lock<thread_lock>& held) {
        if (waiting.wait_through(held, "a FILE that another fiber locked", [&] { return is_free_for(who); })) return;
        owner = who;
        ++times;
    }

    void give_back() noexcept {
        if (--times) return;
        while (!waiting.empty()) {
            waiter& next = waiting.pop();
            owner = next.who;
            times = 1;
            if (grant(next)) return;
        }
        owner = nullptr;
        times = 0;
    }
};

} // namespace

struct file_entry {
    FILE* of = nullptr;
    file_entry* next = nullptr;
    unsigned users = 0;  // who have something of it or wait for it
    unsigned locked = 0; // how often libc's lock is held for those
    possession lock, call;

    unsigned of_fiber(context* who) const noexcept {
        return (lock.owner == who ? lock.times : 0) + (call.owner == who ? call.times : 0);
    }
};

constinit std::atomic<unsigned> files_taken{0};

namespace {

// Entries by FILE. One that nobody uses any more is kept for the next FILE.
struct entries {
    static constexpr std::size_t chains = 1024;
    thread_lock lock;
    std::array<file_entry*, chains> first{};
    file_entry* spare = nullptr;

    file_entry*& chain_of(FILE* file) noexcept {
        return first[(reinterpret_cast<std::uintptr_t>(file) / 64 * 0x9e3779b97f4a7c15ull) >> 54];
    }

    file_entry* find(FILE* file) noexcept {
        for (file_entry* each = chain_of(file); each; each = each->next)
            if (each->of == file) return each;
        return nullptr;
    }

    // Throws std::bad_alloc.
    file_entry& use(FILE* file) {
        file_entry* one = find(file);
        if (!one) {
            one = spare ? std::exchange(spare, spare->next) : new file_entry;
            one->of = file;
            one->next = std::exchange(chain_of(file), one);
            files_taken.fetch_add(1, std::memory_order_relaxed);
        }
        ++one->users;
        return *one;
    }

    void leave(file_entry& one) noexcept {
        if (--one.users == 0) drop(one);
    }

    void drop(file_entry& one) noexcept {
        file_entry** place = &chain_of(one.of);
        while (*place != &one) place = &(*place)->next;
        *place = one.next;
        one.next = std::exchange(spare, &one);
        files_taken.fetch_sub(1, std::memory_order_relaxed);
    }
};
constinit entries all;
bool was_single_threaded = false; // when the process forked last

// In a forked child the other fibers are parked for good: what they had is nobody's. libc has given its own locks back
// if the process had threads (sysdeps/nptl/fork.c).
void forget_others() noexcept {
    std::lock_guard held{all.lock};
    for (auto& chain : all.first)
        for (file_entry *each = chain, *next; each; each = next) {
            next = each->next;
            context* const self = this_thread.current;
            for (possession* one : {&each->lock, &each->call}) {
                while (!one->waiting.empty()) one->waiting.pop();
                if (one->owner == self) continue;
                one->owner = nullptr;
                one->times = 0;
            }
            each->users = each->lock.times + each->call.times;
            for (; was_single_threaded && !each->lock.owner && each->locked; --each->locked) real.funlockfile(each->of);
            if (each->users == 0) each->locked = 0, all.drop(*each);
        }
}

COIR_AT_FORK(forks) = {at_fork::order::others,
                       [] {
                           was_single_threaded = __libc_single_threaded;
                           all.lock.lock();
                       },
                       [] { all.lock.unlock(); },
                       [] {
                           all.lock.unlock();
                           forget_others();
                       }};

// The fiber's lock and libc's, both or none. Neither is held while the other is waited for: a thread may have locked
// the FILE before it had fibers, and use it now that it has. False if the fiber is killed.
bool take_locks(file_entry& entry, std::unique_lock<thread_lock>& held) {
    for (int attempt = 0;; ++attempt) {
        if (entry.lock.take(this_thread.current, held) != wake_reason::ready) return false;
        if (real.ftrylockfile(entry.of) == 0) break;
        entry.lock.give_back();
        held.unlock();
        bool const goes_on = pause_before(attempt);
        held.lock();
        if (!goes_on) return false;
    }
    ++entry.locked;
    return true;
}

void gave_back(file_entry& entry, bool lock) noexcept {
    if (lock) {
        --entry.locked;
        entry.lock.give_back();
    }
}

} // namespace

bool pause_before(int attempt) noexcept {
    if (attempt < 10) {
        kernel(SYS_sched_yield);
        return true;
    }
    auto const time = std::chrono::microseconds(std::min(10'000, 100 * attempt));
    if (in_fiber()) return hub::wait_until(time) != wake_reason::cancelled;
    timespec const pause{0, std::chrono::nanoseconds(time).count()};
    kernel(SYS_nanosleep, &pause, nullptr);
    return true;
}

bool taken_by_another(FILE* file, bool lock) noexcept {
    std::lock_guard held{all.lock};
    file_entry* const entry = all.find(file);
    if (!entry) return false;
    context* const self = this_thread.current;
    return !entry->call.is_free_for(self) || (lock && !entry->lock.is_free_for(self));
}

bool is_wanted(FILE* file) noexcept {
    std::lock_guard held{all.lock};
    file_entry* const entry = all.find(file);
    return entry && entry->users > entry->of_fiber(this_thread.current);
}

file_turn::file_turn(FILE* file, bool lock) : file_(file), entry_(nullptr), lock_(lock && is_locked_by_calls(file)) {
    fork_table::look_after();
    context* const self = this_thread.current;
    std::unique_lock held{all.lock};
    file_entry& entry = all.use(file);
    auto const give_up = [&] {
        all.leave(entry);
        throw std::system_error(ECANCELED, std::generic_category(), "a call of stdio");
    };
    if (lock_ && !take_locks(entry, held)) give_up();
    if (entry.call.take(self, held) != wake_reason::ready) {
        if (lock_) real.funlockfile(file);
        gave_back(entry, lock_);
        give_up();
    }
    entry_ = &entry;
}

void file_turn::end() noexcept {
    file_entry* const entry = std::exchange(entry_, nullptr);
    if (!entry) return;
    if (lock_) real.funlockfile(file_);
    std::lock_guard held{all.lock};
    entry->call.give_back();
    gave_back(*entry, lock_);
    all.leave(*entry);
}

// True if it is to be taken back.
bool file_turn::give_lock() noexcept {
    if (entry_->locked == unsigned(lock_)) {
        if (lock_) real.funlockfile(file_);
        return lock_;
    }
    __fsetlocking(file_, FSETLOCKING_BYCALLER);
    return false;
}

void file_turn::take_lock(bool back) noexcept {
    if (!back && entry_->locked > unsigned(lock_)) __fsetlocking(file_, FSETLOCKING_INTERNAL);
    if (!back) return;
    for (int attempt = 0; real.ftrylockfile(file_) != 0; ++attempt)
        if (!pause_before(attempt)) return real.flockfile(file_);
}

// It cannot fail: a fiber that is killed waits on, if need be with its thread; without memory for the entry the lock is
// the thread's, as libc's own.
void lock_file(FILE* file) noexcept {
    fork_table::look_after();
    try {
        std::unique_lock held{all.lock};
        file_entry& entry = all.use(file);
        if (take_locks(entry, held)) return;
        entry.lock.take_through(this_thread.current, held);
        ++entry.locked;
    } catch (std::bad_alloc const&) {}
    real.flockfile(file);
}

int try_lock_file(FILE* file) noexcept {
    fork_table::look_after();
    context* const self = this_thread.current;
    std::unique_lock held{all.lock};
    if (file_entry* const entry = all.find(file); entry && !entry->lock.is_free_for(self)) return EBUSY;
    if (int const busy = real.ftrylockfile(file)) return busy;
    try {
        file_entry& entry = all.use(file);
        entry.lock.take(self, held);
        ++entry.locked;
    } catch (std::bad_alloc const&) {}
    return 0;
}

void unlock_file(FILE* file) noexcept {
    real.funlockfile(file);
    std::lock_guard held{all.lock};
    file_entry* const entry = all.find(file);
    if (!entry || entry->lock.owner != this_thread.current) return;
    gave_back(*entry, true);
    all.leave(*entry);
}

} // namespace coir::monkey
