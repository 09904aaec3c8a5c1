// system, popen and pclose: as libc's own (POSIX; sysdeps/posix/system.c, libio/iopopen.c), but waiting for the shell
// parks.
//
// Once the process has a hub all its commands are run by this file, on every thread: what they ignore and what their
// children are to close is counted in one place. Streams that libc's own popen made before are remembered, so that
// commands which come later close them, too.

#include "fiber/at_fork.h"
#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/offload.h"
#include "hub/scheduler.h"
#include "monkey/bare_child.h"
#include "monkey/bodies.h"
#include "monkey/descriptors.h"
#include "monkey/kernel.h"
#include "monkey/lasting.h"
#include "monkey/real.h"
#include "monkey/signals.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <optional>
#include <paths.h>
#include <pthread.h>
#include <spawn.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/wait.h>

namespace coir::monkey {
namespace {

ino_t inode_of(int fd) noexcept {
    struct stat about;
    return kernel(SYS_fstat, fd, &about) == 0 ? about.st_ino : 0;
}

// A stream that popen made, and our end of its pipe.
struct command {
    FILE* stream;
    int fd;
    ino_t inode = inode_of(fd);
    pid_t pid = 0; // 0: libc made it
    command* next = nullptr;

    command(FILE* made, int end) noexcept : stream(made), fd(end) {}
    // Not if the program has closed it otherwise, before there was a hub to see it.
    bool is_open() const noexcept { return inode != 0 && inode_of(fd) == inode; }
};

constinit std::mutex lock;
COIR_AT_FORK(lock_in_child) = free_in_child<lock>;

struct all_commands {
    command* first = nullptr;
    std::atomic<int> count{0};
    unsigned waited_for = 0; // by system()
    struct sigaction on_interrupt {
    }, on_quit{};
};

constinit all_commands commands;
// A child has its parent's streams, and none of its calls of system().
COIR_AT_FORK(forks) = {at_fork::order::others, nullptr, nullptr, [] { commands.waited_for = 0; }};

// system(3): SIGINT and SIGQUIT are for the commands, not for who waits for them.
class keyboard_signals_ignored {
public:
    keyboard_signals_ignored() {
        fork_table::look_after();
        all_commands& all = commands;
        std::lock_guard held{lock};
        if (all.waited_for++ == 0) {
            struct sigaction ignored {};
            ignored.sa_handler = SIG_IGN;
            body::sigaction(SIGINT, &ignored, &all.on_interrupt);
            body::sigaction(SIGQUIT, &ignored, &all.on_quit);
        }
        sigemptyset(&heeded_);
        if (all.on_interrupt.sa_handler != SIG_IGN) sigaddset(&heeded_, SIGINT);
        if (all.on_quit.sa_handler != SIG_IGN) sigaddset(&heeded_, SIGQUIT);
    }
    ~keyboard_signals_ignored() {
        all_commands& all = commands;
        std::lock_guard held{lock};
        if (all.waited_for == 0 || --all.waited_for > 0) return;
        body::sigaction(SIGINT, &all.on_interrupt, nullptr);
        body::sigaction(SIGQUIT, &all.on_quit, nullptr);
    }
    keyboard_signals_ignored(keyboard_signals_ignored const&) = delete;

    /// Those that the program does not ignore.
    sigset_t const& heeded() const noexcept { return heeded_; }

private:
    sigset_t heeded_;
};

// For a thread without fibers, whose mask is its own.
class child_signals_blocked {
public:
    child_signals_blocked() noexcept {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, SIGCHLD);
        pthread_sigmask(SIG_BLOCK, &one, &before_);
    }
    ~child_signals_blocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    child_signals_blocked(child_signals_blocked const&) = delete;

    sigset_t const& before() const noexcept { return before_; }

private:
    sigset_t before_;
};

int spawn_shell(pid_t& child, char const* line, posix_spawn_file_actions_t const* files,
                posix_spawnattr_t const* attributes) {
    char shell[] = "sh", option[] = "-c";
    char* const arguments[] = {shell, option, const_cast<char*>(line), nullptr};
    shared_all();
    return real.posix_spawn(&child, _PATH_BSHELL, files, attributes, arguments, environ);
}

// The status, or -errno. Goes on after a handler, as libc's own.
long end_of(pid_t child) {
    int status = 0;
    for (;;) {
        long const found = body::wait4(child, &status, 0, nullptr);
        if (found == -EINTR) continue;
        return found < 0 ? found : status;
    }
}

long run(char const* line) {
    keyboard_signals_ignored const meanwhile;
    std::optional<child_signals_held> held;
    std::optional<child_signals_blocked> blocked;
    if (hub::in_fiber())
        held.emplace();
    else
        blocked.emplace();
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &meanwhile.heeded());
    if (blocked) posix_spawnattr_setsigmask(&attributes, &blocked->before());
    posix_spawnattr_setflags(&attributes, short(POSIX_SPAWN_SETSIGDEF | (blocked ? POSIX_SPAWN_SETSIGMASK : 0)));
    pid_t shell = 0;
    int const error = spawn_shell(shell, line, nullptr, &attributes);
    posix_spawnattr_destroy(&attributes);
    if (error) {
        errno = error;
        return W_EXITCODE(127, 0); // as if the shell had been there and had not found the command
    }
    long const status = end_of(shell);
    if (status == -ECANCELED) { // as libc's own when its thread is cancelled
        kernel(SYS_kill, shell, SIGKILL);
        offload([shell] { return kernel(SYS_wait4, shell, nullptr, 0, nullptr); }, "the end of a shell");
    }
    return status;
}

bool remembers(FILE* stream) {
    all_commands& all = commands;
    if (all.count.load() == 0) return false;
    std::lock_guard held{lock};
    for (command const* each = all.first; each; each = each->next)
        if (each->stream == stream) return true;
    return false;
}

std::unique_ptr<command> forget(FILE* stream) {
    all_commands& all = commands;
    std::lock_guard held{lock};
    for (command** link = &all.first; *link; link = &(*link)->next) {
        if ((*link)->stream != stream) continue;
        std::unique_ptr<command> found{*link};
        *link = found->next;
        --all.count;
        return found;
    }
    return nullptr;
}

// Under the lock.
void remember(std::unique_ptr<command> made) noexcept {
    all_commands& all = commands;
    made->next = all.first;
    all.first = made.release();
    ++all.count;
}

struct pipe_ends {
    int ours = -1, childs = -1;
    ~pipe_ends() {
        if (ours >= 0) kernel(SYS_close, ours);
        if (childs >= 0) kernel(SYS_close, childs);
    }
    long open(bool reads) noexcept {
        int both[2];
        if (long const error = kernel(SYS_pipe2, both, O_CLOEXEC)) return error;
        ours = both[reads ? 0 : 1];
        childs = both[reads ? 1 : 0];
        ends(ours), ends(childs); // in case the end of the file that had the number was not seen
        return 0;
    }
};

// What the shell does before it starts: nothing but the one end of the pipe stays open of all that popen made.
class pipe_for_shell {
public:
    pipe_for_shell(int end, int as) {
        posix_spawn_file_actions_init(&actions_);
        check(posix_spawn_file_actions_adddup2(&actions_, end, as));
        for (command const* each = commands.first; each; each = each->next)
            if (each->fd != as && each->is_open()) check(posix_spawn_file_actions_addclose(&actions_, each->fd));
    }
    ~pipe_for_shell() { posix_spawn_file_actions_destroy(&actions_); }
    pipe_for_shell(pipe_for_shell const&) = delete;

    posix_spawn_file_actions_t const* actions() const noexcept { return &actions_; }
    int error() const noexcept { return error_; }

private:
    void check(int error) noexcept {
        if (error) error_ = error;
    }
    posix_spawn_file_actions_t actions_;
    int error_ = 0;
};

// popen of a process without a hub: libc's own, remembered.
long popen_of_libc(char const* line, char const* mode) {
    FILE* const stream = real.popen(line, mode);
    if (!stream) return -errno;
    auto made = std::make_unique<command>(stream, fileno(stream));
    fork_table::look_after();
    std::lock_guard held{lock};
    remember(std::move(made));
    return reinterpret_cast<long>(stream);
}

} // namespace

long body::system(char const* line) { return line ? run(line) : run("exit 0") == 0; }

long body::popen(char const* line, char const* mode) {
    if (!hub_was_made.load(std::memory_order_relaxed) || in_bare_child()) return popen_of_libc(line, mode);
    std::string_view const letters{mode};
    bool const reads = letters.find('r') != letters.npos, writes = letters.find('w') != letters.npos;
    if (reads == writes || letters.find_first_not_of("rwe") != letters.npos) return -EINVAL;
    pipe_ends pipe;
    if (long const error = pipe.open(reads)) return error;
    int const as = reads ? STDOUT_FILENO : STDIN_FILENO;
    if (pipe.childs == as) { // dup2 to itself would leave it to be closed by exec
        long const moved = kernel(SYS_fcntl, as, F_DUPFD_CLOEXEC, 0);
        if (moved < 0) return moved;
        kernel(SYS_close, std::exchange(pipe.childs, int(moved)));
    }
    std::unique_ptr<FILE, int (*)(FILE*)> stream{fdopen(pipe.ours, reads ? "r" : "w"), std::fclose};
    if (!stream) return -errno;
    int const ours = std::exchange(pipe.ours, -1);
    auto made = std::make_unique<command>(stream.get(), ours);
    fork_table::look_after();
    std::lock_guard held{lock};
    pipe_for_shell const files{pipe.childs, as};
    if (files.error()) return -files.error();
    if (int const error = spawn_shell(made->pid, line, files.actions(), nullptr)) return -error;
    if (letters.find('e') == letters.npos) kernel(SYS_fcntl, ours, F_SETFD, 0);
    remember(std::move(made));
    return reinterpret_cast<long>(stream.release());
}

// What the shell returned counts for more than an error of the last write.
long body::pclose(FILE* stream) {
    std::unique_ptr<command> const one = forget(stream);
    bool const parks = hub::in_fiber();
    if (!one || !one->pid) {
        int const fd = fileno(stream);
        if (fd >= 0 && hub_was_made.load(std::memory_order_relaxed)) ends(fd);
        auto const close = [stream]() -> long {
            long const status = real.pclose(stream);
            return status == -1 ? -errno : status;
        };
        return one && parks ? lasting_through(close, "the end of a command") : close();
    }
    long const closed = body::fclose(stream) == 0 ? 0 : -errno;
    long const status = end_of(one->pid);
    if (status == -ECANCELED) // nobody else knows of it
        coir::spawn({.name = "the end of a command"}, [pid = one->pid] { end_of(pid); });
    return status ? status : closed;
}

bool is_command(FILE* stream) { return remembers(stream); }

} // namespace coir::monkey
