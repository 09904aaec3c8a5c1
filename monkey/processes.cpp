// Processes: waiting for children, and making them.
//
// Each wait is first made with WNOHANG. For the end of one child its pidfd is waited for; for any of several, and for
// stops, the call is made by a thread of its own: all threads of a process have the same children. As in the kernel, a
// child that is found counts for more than a handler that has run: SIGCHLD comes when there is a child to be found.
//
// vfork, _Fork and clone make children that share or copy the fibers without being able to run them: bare_child.h.

#include "fiber/at_fork.h"
#include "hub/hub.h"
#include "hub/own_fd.h"
#include "hub/scheduler.h"
#include "monkey/bare_child.h"
#include "monkey/bodies.h"
#include "monkey/descriptors.h"
#include "monkey/kernel.h"
#include "monkey/lasting.h"
#include "monkey/real.h"
#include "monkey/retry.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

namespace coir::monkey {
namespace {

// This process traces others, whose stops its waits report though it does not ask for them (ptrace(2)). That a child
// asks to be traced is known only when it has stopped.
constinit std::atomic<bool> traces{false};

constexpr int other_than_ends = WUNTRACED | WCONTINUED;                        // WUNTRACED is WSTOPPED
constexpr std::int64_t first_pause = 1'000'000, longest_pause = 1'000'000'000; // ns

// `look` until it finds something, which is not 0. The pidfd tells of the end; a child that this process traces stops
// without its telling, and that of a thread (-1) has none: so it looks by itself, too, from time to time.
template <class Look>
long look_and_wait(int pidfd, Look look) {
    notice_handlers();
    ended_by_handlers or_a_handler;
    for (std::int64_t pause = first_pause;; pause = std::min(2 * pause, longest_pause)) {
        if (long const found = look()) return found;
        if (!or_a_handler.arm(handlers::without_restart)) return -EINTR;
        deadline const again = deadline::at(steady_now() + pause);
        wake_reason const why =
            pidfd < 0 ? hub::wait_until(again) : hub::wait_fd(pidfd, hub::readable, again, closing::seen);
        if (why == wake_reason::ready || why == wake_reason::timed_out) continue;
        long const found = look();
        return found ? found : after(why);
    }
}

// `look` never waits, `call` does: for the children that `options` and, if it is one, `pidfd` name.
template <class Look, class Call>
long wait_for_child(int pidfd, int options, Look look, Call call, char const* what) {
    if (options & __WNOTHREAD) return look_and_wait(-1, look); // another thread has other children
    if (pidfd >= 0 && !(options & other_than_ends) && !traces.load(std::memory_order_relaxed))
        return look_and_wait(pidfd, look);
    long const result = lasting(call, what);
    if (result != -EINTR && result != -ECANCELED) return result;
    long const found = look();
    return found ? found : result;
}

} // namespace

long body::wait4(pid_t who, int* status, int options, rusage* usage) {
    if ((options & WNOHANG) || !hub::in_fiber()) return kernel(SYS_wait4, who, status, options, usage);
    int own_status = 0;
    int* const to = status ? status : &own_status;
    auto const look = [&] {
        long const found = kernel(SYS_wait4, who, to, options | WNOHANG, usage);
        if (found > 0 && WIFSTOPPED(*to) && !(options & WUNTRACED)) traces.store(true);
        return found;
    };
    if (long const found = look()) return found;
    own_fd const child{who > 0 ? make_own_fd([&] { return kernel(SYS_pidfd_open, who, 0); }) : -1};
    return wait_for_child(
        child.get(), options, look, [&] { return kernel(SYS_wait4, who, to, options, usage); }, "wait for a child");
}

// A pidfd of the program's is duplicated: the call goes on if another fiber closes it.
long body::waitid(idtype_t type, id_t id, siginfo_t* about, int options, rusage* usage) {
    if ((options & WNOHANG) || !hub::in_fiber()) return kernel(SYS_waitid, type, id, about, options, usage);
    bool const named = type == P_PIDFD;
    own_fd const child{type == P_PID ? make_own_fd([&] { return kernel(SYS_pidfd_open, id, 0); })
                       : named       ? make_own_fd([&] { return kernel(SYS_dup, id); })
                                     : -1};
    if (named && child.get() >= 0) id = id_t(child.get());
    // 1 if there is one. It is looked for with a siginfo of our own: what the program gave is written only at the end.
    auto const look = [&]() -> long {
        siginfo_t found{};
        if (long const error = kernel(SYS_waitid, type, id, &found, options | WNOHANG | WNOWAIT, nullptr)) return error;
        if (found.si_pid == 0) return 0;
        if (found.si_code == CLD_TRAPPED) traces.store(true);
        if (long const error = kernel(SYS_waitid, type, id, about, options | WNOHANG, usage)) return error;
        return !about || about->si_pid != 0;
    };
    long found = look();
    bool const nonblocking = named && found == 0 && (kernel(SYS_fcntl, id, F_GETFL, 0) & O_NONBLOCK);
    if (nonblocking) return -EAGAIN; // waitid(2): PIDFD_NONBLOCK
    if (found == 0)
        found = wait_for_child(
            child.get(), options, look,
            [&] {
                long const error = kernel(SYS_waitid, type, id, about, options, usage);
                return error ? error : 1;
            },
            "wait for a child");
    return found < 0 ? found : 0;
}

// The child has every descriptor that its parent has, and may set O_NONBLOCK for both.
long body::posix_spawn(pid_t* child, char const* path, posix_spawn_file_actions_t const* actions,
                       posix_spawnattr_t const* attributes, char* const* arguments, char* const* environment) {
    shared_all();
    return -real.posix_spawn(child, path, actions, attributes, arguments, environment);
}

long body::posix_spawnp(pid_t* child, char const* file, posix_spawn_file_actions_t const* actions,
                        posix_spawnattr_t const* attributes, char* const* arguments, char* const* environment) {
    shared_all();
    return -real.posix_spawnp(child, file, actions, attributes, arguments, environment);
}

long body::bare_fork() {
    shared_all();
    bare_child_comes();
    pid_t const child = real._Fork();
    return child < 0 ? -errno : child;
}

// One that shares the memory and runs beside its parent shares errno and this mark with it, too: the mark helps only
// until the parent's next hooked call.
long body::clone(int (*function)(void*), void* stack, int flags, void* argument, pid_t* parent_tid, void* tls,
                 pid_t* child_tid) {
    if (!(flags & CLONE_THREAD)) {
        shared_all();
        bare_child_comes();
    }
    int const child = real.clone(function, stack, flags, argument, parent_tid, tls, child_tid);
    return child < 0 ? -errno : child;
}

// It forks as fork does, and replaces the first three without a hook's seeing it (misc/daemon.c).
long body::daemon(int stay_in_directory, int keep_open) {
    if (real.daemon(stay_in_directory, keep_open) != 0) return -errno;
    for (int fd = 0; fd < 3 && !keep_open; ++fd) ends(fd);
    return 0;
}

constinit thread_local pid_t bare_child_of = 0;

// A child of fork, which may come before the mark is taken away, has a hub of its own.
COIR_AT_FORK(forks) = {at_fork::order::others, nullptr, nullptr, [] { bare_child_of = 0; }};

void bare_child_comes() noexcept {
    fork_table::look_after();
    bare_child_of = pid_t(kernel(SYS_getpid));
}

bool in_marked_child() noexcept {
    if (kernel(SYS_getpid) != bare_child_of) return true;
    bare_child_of = 0;
    return false;
}

// What the parent does before vfork: where libc's own is.
extern "C" [[gnu::used, gnu::visibility("hidden")]] void* coir_before_vfork() noexcept {
    static std::atomic<void*> real_vfork{find_real("vfork")};
    if (hub_was_made.load(std::memory_order_relaxed) && bare_child_of == 0) {
        shared_all();
        bare_child_comes();
    }
    return real_vfork.load();
}

} // namespace coir::monkey

// The child returns first, and what it does then overwrites what is on the stack below the caller's frame: when libc's
// own is entered, nothing of ours may be there.
#if defined(__x86_64__)
asm(R"(
    .text
    .globl vfork, __vfork
    .type vfork, @function
    .type __vfork, @function
vfork:
__vfork:
    .cfi_startproc
    endbr64
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    call coir_before_vfork
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    jmp *%rax
    .cfi_endproc
    .size vfork, . - vfork
    .size __vfork, . - __vfork
)");
#endif
