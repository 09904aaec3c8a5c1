// The kinds of waits that coir has, behind one face: what every wait promises is tested for all of them
// (every_wait_test.cpp).
//
// `prepare` and `grant` belong to one fiber; `wait` to another, of whatever thread. `wait` says whether it was granted
// before the deadline, and each grant() is for one wait(); some grants themselves wait for that (grant_waits).
#pragma once

#include "coir.h"

#include <mutex>

struct waits_for_event {
    static constexpr char const* what = "event";
    static constexpr bool one_each = false; // a grant is for all who wait
    coir::event it;
    void prepare() {}
    bool wait(coir::deadline until = {}) { return it.wait(until); }
    void grant() { it.set(); }
};

struct waits_for_semaphore {
    static constexpr char const* what = "semaphore";
    static constexpr bool one_each = true;
    coir::semaphore it{0};
    void prepare() {}
    bool wait(coir::deadline until = {}) { return it.acquire(until); }
    void grant() { it.release(); }
};

template <class Mutex>
struct waits_for_lock {
    static constexpr char const* what = "mutex";
    static constexpr bool one_each = true;
    Mutex it;
    void prepare() { it.lock(); }
    bool wait(coir::deadline until = {}) {
        if (!it.lock(until)) return false;
        it.unlock();
        return true;
    }
    void grant() { it.unlock(); }
};

template <class Mutex>
struct waits_for_condition {
    static constexpr char const* what = "condition";
    static constexpr bool one_each = true;
    Mutex lock;
    coir::condition it;
    int news = 0;
    void prepare() {}
    bool wait(coir::deadline until = {}) {
        std::unique_lock held{lock};
        bool const came = it.wait(
            held, [&] { return news > 0; }, until);
        if (came) --news;
        return came;
    }
    void grant() {
        std::lock_guard const held{lock};
        ++news;
        it.notify_one();
    }
};

struct waits_at_barrier {
    static constexpr char const* what = "barrier";
    static constexpr bool one_each = false;
    static constexpr bool grant_waits = true;
    coir::barrier it{2};
    void prepare() {}
    bool wait(coir::deadline until = {}) {
        try {
            it.arrive_and_wait(until);
            return true;
        } catch (coir::broken_barrier const&) {
            it.reset();
            return false;
        }
    }
    void grant() { it.arrive_and_wait(); }
};

struct waits_at_latch {
    static constexpr char const* what = "latch";
    static constexpr bool one_each = false;
    coir::latch it{1};
    void prepare() {}
    bool wait(coir::deadline until = {}) { return it.wait(until); }
    void grant() { it.count_down(); }
};

template <class Queue>
struct waits_to_get {
    static constexpr char const* what = "an item of a queue";
    static constexpr bool one_each = true;
    Queue it;
    void prepare() {}
    bool wait(coir::deadline until = {}) { return it.get(until).has_value(); }
    void grant() { it.put(1); }
};

template <class Queue>
struct waits_to_put {
    static constexpr char const* what = "room in a queue";
    static constexpr bool one_each = true;
    Queue it{1};
    void prepare() { it.put(1); }
    bool wait(coir::deadline until = {}) { return it.put(2, until); }
    void grant() { it.get(); }
};

struct waits_for_work {
    static constexpr char const* what = "unfinished work in a queue";
    static constexpr bool one_each = false;
    coir::joinable_queue<int> it;
    void prepare() { it.put(1); }
    bool wait(coir::deadline until = {}) { return it.join(until); }
    void grant() { it.task_done(); }
};

struct waits_to_get_from_channel {
    static constexpr char const* what = "a fiber that puts";
    static constexpr bool one_each = true;
    static constexpr bool grant_waits = true;
    coir::channel<int> it;
    void prepare() {}
    bool wait(coir::deadline until = {}) { return it.get(until).has_value(); }
    void grant() { it.put(1); }
};

struct waits_to_put_to_channel {
    static constexpr char const* what = "a fiber that gets";
    static constexpr bool one_each = true;
    static constexpr bool grant_waits = true;
    coir::channel<int> it;
    void prepare() {}
    bool wait(coir::deadline until = {}) { return it.put(1, until); }
    void grant() { it.get(); }
};

struct waits_for_result {
    static constexpr char const* what = "a result";
    static constexpr bool one_each = false;
    coir::async_result<int> it;
    void prepare() {}
    bool wait(coir::deadline until = {}) { return it.wait(until); }
    void grant() { it.set(1); }
};

struct selects {
    static constexpr char const* what = "one of several";
    static constexpr bool one_each = true;
    coir::semaphore never{0};
    coir::queue<int> it;
    void prepare() {}
    bool wait(coir::deadline until = {}) {
        int got = 0;
        if (until.is_never()) return coir::select(never.on_acquire(), it.on_get(got)) == 1 && got == 1;
        return coir::select(never.on_acquire(), it.on_get(got), coir::after(until)) == 1;
    }
    void grant() { it.put(1); }
};

struct waits_for_several {
    static constexpr char const* what = "one of several";
    static constexpr bool one_each = false;
    coir::event never, it;
    void prepare() {}
    bool wait(coir::deadline until = {}) {
        auto const ready = coir::wait({never, it}, {until, 1});
        return ready.size() == 1 && ready[0] == it;
    }
    void grant() { it.set(); }
};
