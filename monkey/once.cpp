// pthread_once: what runs once may park, and whoever comes meanwhile must park, too, rather than block the thread that
// it would go on in. Who runs what is kept in a list here, for all threads once the process has a hub; libc's own does
// the rest. An initialiser that a thread began before that is waited for in libc, which blocks.
//
// What runs may throw: std::call_once does so through pthread_once, which libc and this file pass on.

#include "fiber/at_fork.h"
#include "fiber/thread_lock.h"
#include "monkey/bodies.h"
#include "monkey/parking.h"
#include "monkey/real.h"

#include <atomic>
#include <mutex>
#include <pthread.h>

namespace coir::monkey {
namespace {

// An initialiser that runs, from its beginning to its end; lies on the stack of who runs it.
struct running {
    pthread_once_t* control;
    pthread_t thread;
    context* fiber;
    running* next;
};

constinit thread_lock lock;
constinit running* first = nullptr;

running** find(pthread_once_t const* control) noexcept {
    running** link = &first;
    while (*link && (*link)->control != control) link = &(*link)->next;
    return link;
}

bool is_running(pthread_once_t const* control) noexcept {
    std::lock_guard held{lock};
    return *find(control) != nullptr;
}

// Only what the one that forked runs itself goes on in the child.
void forget_others_in_child() noexcept {
    new (&lock) thread_lock;
    for (running** link = &first; *link;) {
        running& each = **link;
        if (pthread_equal(each.thread, pthread_self()) && each.fiber == this_thread.current)
            link = &each.next;
        else
            *link = each.next;
    }
}
COIR_AT_FORK(forks) = {at_fork::order::others, nullptr, nullptr, &forget_others_in_child};

class claim {
public:
    explicit claim(pthread_once_t* control) noexcept : mine_{control, pthread_self(), this_thread.current, nullptr} {
        fork_table::look_after();
        std::lock_guard held{lock};
        if (*find(control)) return;
        mine_.next = std::exchange(first, &mine_);
        granted_ = true;
    }
    ~claim() {
        if (!granted_) return;
        {
            std::lock_guard held{lock};
            running** const link = find(mine_.control);
            *link = mine_.next;
        }
        unpark(mine_.control, all_of_them);
    }
    claim(claim const&) = delete;
    explicit operator bool() const noexcept { return granted_; }

private:
    running mine_;
    bool granted_ = false;
};

// What std::call_once is to call lies in two variables of the thread (libstdc++, mutex.cc): a fiber that waits takes
// them along, since it may have to make the call itself when it goes on.
class call_of_this_fiber {
public:
    call_of_this_fiber() noexcept : callable_(std::__once_callable), call_(std::__once_call) {}
    ~call_of_this_fiber() {
        std::__once_callable = callable_;
        std::__once_call = call_;
    }

private:
    void* const callable_;
    void (*const call_)();
};

void wait_for(pthread_once_t* control) {
    call_of_this_fiber const kept;
    parking here{control, "pthread once", leaving::never};
    here.wait([&] { return is_running(control); });
}

bool is_done(pthread_once_t const* control) noexcept {
    static pthread_once_t const done = [] {
        pthread_once_t sample = PTHREAD_ONCE_INIT;
        real.pthread_once(&sample, [] {});
        return sample;
    }();
    return __atomic_load_n(control, __ATOMIC_ACQUIRE) == done;
}

} // namespace

long body::pthread_once(pthread_once_t* control, void (*routine)()) {
    while (!is_done(control)) {
        {
            claim const mine{control};
            if (mine || !in_fiber()) return -real.pthread_once(control, routine);
        }
        wait_for(control);
    }
    return 0;
}

} // namespace coir::monkey
