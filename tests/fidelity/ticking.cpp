// libticking.so: preloaded behind the shim, it makes the main code of any program a fiber beside a ticking one. So
// every blocking call of the program's main thread parks, and whoever waits for something that only that thread does,
// in the loop's stead, is found out.
//
// The hub is made, and the ticking fiber spawned, before main(). It sleeps, so it costs nothing while main runs, and it
// does not keep the process: that ends when main returns, as ever. A forked child, where a fiber that forked goes on
// alone, gets a ticking fiber of its own; one forked by a thread without a hub gets none.
//
// At its end, also by _exit, a process appends a line to the file that TICKING_LOG names: the process, how often it
// ticked, how often the thread's own fiber was woken from a park, and the path of its executable. What ends otherwise
// (exec, a signal) leaves no line.

#include "coir.h"

#include <cinttypes>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;

constexpr auto between_ticks = 5ms;

std::uint64_t ticks = 0; // the main thread's fibers alone write it
coir::context* main_fiber = nullptr;
char log_file[PATH_MAX]; // copied: programs clear or free their environment
pid_t owner = 0;         // the process that the two are of: a child of vfork or clone sees its parent's

void tick() {
    for (;;) {
        coir::sleep(between_ticks);
        ++ticks;
    }
}

// Where there is no memory for it, the program goes on without: that is its matter, and this one's log tells.
void start_ticking() noexcept {
    try {
        coir::spawn(coir::spawn_options{.name = "ticking"}, tick);
    } catch (std::exception const&) {}
}

// Of a forked child, whose hub has forgotten the fibers that its parent had.
void after_fork() {
    ticks = 0;
    main_fiber = nullptr;
    if (!coir::hub::existing()) return;
    main_fiber = &coir::context::current();
    owner = getpid();
    start_ticking();
}

[[gnu::constructor]] void begin() {
    coir::hub::current();
    main_fiber = &coir::context::current();
    owner = getpid();
    if (char const* const named = std::getenv("TICKING_LOG")) std::snprintf(log_file, sizeof log_file, "%s", named);
    pthread_atfork(nullptr, nullptr, after_fork); // behind the hub's own, which begins anew first
    start_ticking();
}

// One write, by system call: the program may have closed every descriptor or filled its table of them, and O_APPEND
// keeps the lines of several processes apart.
[[gnu::destructor]] void report() {
    if (!*log_file || !main_fiber || getpid() != owner) return;
    char program[256] = {};
    if (syscall(SYS_readlink, "/proc/self/exe", program, sizeof program - 1) < 0) program[0] = '?';
    char line[384];
    int const length = std::snprintf(line, sizeof line, "%d %" PRIu64 " %" PRIu32 " %s\n", int(owner), ticks,
                                     main_fiber->epoch, program);
    main_fiber = nullptr; // once
    long const file = syscall(SYS_openat, AT_FDCWD, log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) return; // whoever reads the log misses the line
    [[maybe_unused]] long const written = syscall(SYS_write, file, line, length);
    syscall(SYS_close, file);
}

} // namespace

// libc's own, but for the line. The program's calls come here; libc's own at the end of exit do not, and need not.
extern "C" [[gnu::visibility("default")]] void _exit(int status) {
    report();
    for (;;) syscall(SYS_exit_group, status);
}

extern "C" [[gnu::visibility("default")]] void _Exit(int status) noexcept { _exit(status); }
