// The watchers of one thread, as its hub keeps them. Internal; one thread only.
#pragma once

#include "fiber/export.h"

#include <cstddef>

namespace coir {

class watcher;

struct watcher_link {
    watcher* of = nullptr; // null: the ring's own
    watcher_link* next = nullptr;
    watcher_link* previous = nullptr;

    bool linked() const noexcept { return next != nullptr; }
    void unlink() noexcept {
        next->previous = previous;
        previous->next = next;
        next = previous = nullptr;
    }
};

/// Leaving is possible at any time, also while the ring is gone through.
class watcher_ring {
public:
    watcher_ring() noexcept { head_.next = head_.previous = &head_; }
    watcher_ring(watcher_ring const&) = delete;
    watcher_ring& operator=(watcher_ring const&) = delete;
    ~watcher_ring() {
        while (!empty()) head_.next->unlink();
    }

    bool empty() const noexcept { return head_.next == &head_; }
    watcher_link& front() const noexcept { return *head_.next; }

    void push(watcher_link& last) noexcept {
        last.next = &head_;
        last.previous = head_.previous;
        head_.previous->next = &last;
        head_.previous = &last;
    }

    /// Calls `what(watcher&)` for each that is in it now. What it does may end any of them.
    template <class F>
    void for_each(F what) {
        watcher_ring left;
        while (!empty()) move(front(), left);
        while (!left.empty()) {
            watcher& of = *left.front().of;
            move(left.front(), *this);
            what(of);
        }
    }

private:
    static void move(watcher_link& one, watcher_ring& to) noexcept {
        one.unlink();
        to.push(one);
    }
    watcher_link head_;
};

struct watcher_list {
    watcher_ring all;
    watcher_ring preparing, checking, idling; // those of the kinds that the hub's turns call
    std::size_t keeping = 0;                  // active ones that are a reason to wait …
    std::size_t entries = 0; // … and how many timers and descriptors are set for watchers, which is none by itself

    /// Lets each of them happen.
    void run(watcher_ring& of_a_kind) noexcept;
    /// In a forked child, which starts with none but those that wait for this.
    void forked() noexcept;
    /// They outlive the thread's hub, but are of no use from here on.
    void thread_ends() noexcept;
};

} // namespace coir
