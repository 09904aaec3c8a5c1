#include "monkey/lasting.h"

#include "fiber/at_fork.h"
#include "fiber/thread_lock.h"
#include "hub/waiter.h"
#include "monkey/kernel.h"
#include "monkey/real.h"
#include "monkey/retry.h"

#include <csignal>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <system_error>
#include <ucontext.h>

namespace coir::monkey {
namespace {

constexpr std::size_t most_threads = 30'000; // the kernel has fewer, usually

constinit thread_lock threads_lock;
constinit std::atomic<worker_pool*> threads{nullptr};
COIR_AT_FORK(lock_in_child) = free_in_child<threads_lock>;
COIR_AT_FORK(forks) = {at_fork::order::threads, nullptr, nullptr, [] { threads = nullptr; }};

constinit thread_local int interruptible_by = 0; // the signal, on a thread that makes a lasting call

// A signal that nobody of ours has sent goes on: from here to the program's threads, on those to what it does by
// default, which is to end the process.
void on_interruption(int number, siginfo_t* about, void* where) {
    int const error = errno;
    pid_t const process = int(kernel(SYS_getpid));
    bool const here = interruptible_by == number;
    if (here && !(about->si_code == SI_TKILL && about->si_pid == process)) {
        sigaddset(&static_cast<ucontext_t*>(where)->uc_sigmask, number); // not here again
        kernel(SYS_rt_sigqueueinfo, process, number, about);
    } else if (!here) {
        struct sigaction by_default {};
        real.sigaction(number, &by_default, nullptr);
        kernel(SYS_rt_tgsigqueueinfo, process, kernel(SYS_gettid), number, about);
    }
    errno = error;
}

void* handler_of(struct sigaction const& of) noexcept { return reinterpret_cast<void*>(of.sa_handler); }

bool is_free(int number) noexcept {
    struct sigaction now;
    return real.sigaction(number, nullptr, &now) == 0 &&
           (now.sa_handler == SIG_DFL || is_interrupting(handler_of(now)));
}

// With a handler that does nothing: any other disposition would not interrupt a call, or end the process.
bool take_signal(int number) noexcept {
    static constinit thread_lock lock;
    std::lock_guard held{lock};
    if (!is_free(number)) return false;
    struct sigaction action {};
    action.sa_sigaction = on_interruption;
    action.sa_flags = SA_SIGINFO;
    return real.sigaction(number, &action, nullptr) == 0;
}

// A real-time signal, below `below`, that the program leaves alone; 0 if there is none.
int interrupting_signal(int below) noexcept {
    for (int number = below - 1; number >= SIGRTMIN; --number)
        if (take_signal(number)) return number;
    return 0;
}

bool is_by_default(int number) noexcept {
    struct sigaction now;
    return real.sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_DFL;
}

// What lets `number` interrupt this thread, and job control stop the process, as far as `of_caller` lets it
// (drivers/tty/tty_jobctrl.c). The program's own signals stay blocked, as a worker has them.
class interruptible {
public:
    interruptible(int number, sigset_t const& of_caller) noexcept {
        sigset_t some;
        sigemptyset(&some);
        if (number) sigaddset(&some, number);
        for (int stops : {SIGTTIN, SIGTTOU})
            if (!sigismember(&of_caller, stops) && is_by_default(stops)) sigaddset(&some, stops);
        interruptible_by = number;
        pthread_sigmask(SIG_UNBLOCK, &some, &before_);
    }
    ~interruptible() {
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        interruptible_by = 0;
    }
    interruptible(interruptible const&) = delete;

private:
    sigset_t before_;
};

} // namespace

// Never destroyed; a forked child has none of its parent's threads.
worker_pool& lasting_threads() {
    if (worker_pool* const made = threads.load(std::memory_order_acquire)) return *made;
    fork_table::look_after();
    std::lock_guard held{threads_lock};
    if (!threads) threads = new worker_pool(most_threads, worker_pool::behind::nobody);
    return *threads;
}

bool is_interrupting(void* handler) noexcept { return handler == reinterpret_cast<void*>(&on_interruption); }

void lasting_call::call_by(int thread, int with) noexcept {
    std::lock_guard held{sending_};
    thread_ = thread;
    interrupted_by_ = with;
}

void lasting_call::interrupt() noexcept {
    std::lock_guard held{sending_};
    // The program may have given the signal another handler meanwhile.
    if (thread_ && interrupted_by_ && take_signal(interrupted_by_))
        kernel(SYS_tgkill, kernel(SYS_getpid), thread_, interrupted_by_);
}

void lasting_call::work() noexcept {
    int const thread = int(kernel(SYS_gettid));
    int signal = SIGRTMAX + 1;
    do {
        // One that a stranger sends is the program's, which waits for it in another way: not that one again.
        signal = interrupting_signal(signal);
        interruptible const meanwhile{signal, of_caller_};
        call_by(thread, signal);
        result_ = unwanted_.load() ? -EINTR : call();
        call_by(0, 0);
    } while (result_ == -EINTR && !unwanted_.load());
}

void lasting_call::work(job& self) noexcept {
    auto& mine = static_cast<lasting_call&>(self);
    mine.work();
    mine.done_.set(); // it may be gone then
}

// Sends the signal until the call has ended: one that comes before the call has begun is lost.
struct lasting_call::interrupter : job {
    lasting_call& of;
    event ended;
    explicit interrupter(lasting_call& which) : job{&work}, of(which) {}
    static void work(job& self) noexcept {
        auto& mine = static_cast<interrupter&>(self);
        mine.until_ended();
        mine.ended.set();
    }
    void until_ended() noexcept {
        while (!of.done_.is_set()) { // it is there until this one has ended
            of.interrupt();
            timespec const soon{0, 1'000'000};
            kernel(SYS_nanosleep, &soon, nullptr);
        }
    }
};

bool lasting_call::has_ended() const noexcept { return static_cast<source const&>(done_).is_ready(); }

long lasting_call::make(char const* what, handlers ended_by) {
    notice_handlers();
    pthread_sigmask(SIG_BLOCK, nullptr, &of_caller_);
    try {
        lasting_threads().submit_patiently(*this);
    } catch (std::system_error const&) {
        return -ENOMEM;
    } // EAGAIN would be the call's own
    long error = 0;
    {
        ended_by_handlers or_one;
        or_one.arm(ended_by);
        std::unique_lock held{done_.lock};
        waiter one;
        if (!has_ended()) error = after(done_.waiting.wait_quietly(one, held, {}, what));
    }
    if (!error) return result_;
    unwanted_.store(true);
    interrupter stop{*this};
    try {
        lasting_threads().submit(stop);
        std::unique_lock held{stop.ended.lock};
        stop.ended.waiting.wait_through(held, what, [&] { return static_cast<source&>(stop.ended).is_ready(); });
    } catch (std::system_error const&) {
        stop.until_ended();
    } // no thread for it: a millisecond of this one
    return result_ == -EINTR ? error : result_;
}

} // namespace coir::monkey
