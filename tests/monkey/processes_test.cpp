// Waiting for children, and making them.

#include "tests/monkey/outcome.h"
#include "tests/rerun.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

using namespace std::chrono_literals;

namespace {

// Lives until it is told to end, with `code`; or as long as its parent.
class child {
public:
    explicit child(int code = 3) : go_(fd_pair::pipe()), pid(checked(fork(), "fork")) {
        if (pid > 0) {
            go_.close_first();
            return;
        }
        go_.close_second();
        char byte;
        while (::read(go_.first, &byte, 1) < 0) {}
        _exit(code);
    }
    child(child const&) = delete;
    ~child() {
        end();
        siginfo_t about{};
        syscall(SYS_waitid, P_PID, pid, &about, WEXITED, nullptr);
    }
    void end() { go_.close_second(); }

private:
    fd_pair go_;

public:
    pid_t const pid;
};

int pidfd_of(pid_t of) { return checked(int(syscall(SYS_pidfd_open, of, 0)), "pidfd_open"); }

// `call` waits for the child that it is given, and says whether it was that one and ended with 3.
template <class Call>
void expect_wait(char const* what, Call call) {
    SCOPED_TRACE(what);
    child one{3};
    auto waiter = coir::spawn([&] { return call(one.pid); });
    until_parked(waiter);
    one.end();
    EXPECT_TRUE(waiter.get());
    EXPECT_EQ(outcome_of([&] { return waitpid(one.pid, nullptr, WNOHANG); }), (outcome{-1, ECHILD}));
}

bool ended_with_3(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 3; }

bool says_3(siginfo_t const& about, pid_t of) {
    return about.si_pid == of && about.si_signo == SIGCHLD && about.si_code == CLD_EXITED && about.si_status == 3;
}

} // namespace

TEST(wait, every_form_parks) {
    int status = 0;
    siginfo_t about{};
    expect_wait("wait", [&](pid_t of) { return wait(&status) == of && ended_with_3(status); });
    expect_wait("waitpid", [&](pid_t of) { return waitpid(of, &status, 0) == of && ended_with_3(status); });
    expect_wait("waitpid of any", [&](pid_t of) { return waitpid(-1, &status, 0) == of && ended_with_3(status); });
    expect_wait("waitpid of the group", [&](pid_t of) { return waitpid(0, &status, 0) == of && ended_with_3(status); });
    expect_wait("waitpid without a status", [&](pid_t of) { return waitpid(of, nullptr, 0) == of; });
    expect_wait("waitpid that sees stops",
                [&](pid_t of) { return waitpid(of, &status, WUNTRACED | WCONTINUED) == of && ended_with_3(status); });
    expect_wait("waitpid of a thread's own children",
                [&](pid_t of) { return waitpid(of, &status, __WNOTHREAD) == of && ended_with_3(status); });
    rusage used;
    used.ru_maxrss = 0;
    expect_wait("wait3", [&](pid_t of) { return wait3(&status, 0, &used) == of && used.ru_maxrss > 0; });
    used.ru_maxrss = 0;
    expect_wait("wait4", [&](pid_t of) { return wait4(of, &status, 0, &used) == of && used.ru_maxrss > 0; });
    expect_wait("waitid", [&](pid_t of) { return !waitid(P_PID, id_t(of), &about, WEXITED) && says_3(about, of); });
    expect_wait("waitid of all", [&](pid_t of) { return !waitid(P_ALL, 0, &about, WEXITED) && says_3(about, of); });
    expect_wait("waitid of the group",
                [&](pid_t of) { return !waitid(P_PGID, 0, &about, WEXITED) && says_3(about, of); });
    expect_wait("waitid that tells nothing", [&](pid_t of) { return !waitid(P_PID, id_t(of), nullptr, WEXITED); });
    expect_wait("waitid of a pidfd, closed meanwhile", [&](pid_t of) {
        int const fd = pidfd_of(of);
        auto const closes = coir::spawn([&] { close(fd); });
        return !waitid(P_PIDFD, id_t(fd), &about, WEXITED) && says_3(about, of);
    });
}

TEST(wait, one_that_has_ended_is_there_at_once) {
    child one{3};
    one.end();
    siginfo_t about{};
    EXPECT_EQ(waitid(P_PID, id_t(one.pid), &about, WEXITED | WNOWAIT), 0);
    EXPECT_TRUE(says_3(about, one.pid));
    about = {};
    EXPECT_EQ(waitid(P_ALL, 0, &about, WEXITED | WNOWAIT), 0);
    EXPECT_TRUE(says_3(about, one.pid));
    int status = 0;
    EXPECT_EQ(waitpid(one.pid, &status, 0), one.pid);
    EXPECT_TRUE(ended_with_3(status));
}

TEST(wait, of_two_fibers_for_one_child_the_other_learns_that_it_is_gone) {
    for (pid_t const any : {0, -1}) {
        child one;
        auto const wait_for_it = [&] { return outcome_of([&] { return waitpid(any ? any : one.pid, nullptr, 0); }); };
        auto first = coir::spawn(wait_for_it), second = coir::spawn(wait_for_it);
        until_parked(first);
        until_parked(second);
        one.end();
        outcome const gone{-1, ECHILD}, got{one.pid, 0};
        outcome const results[] = {first.get(), second.get()};
        EXPECT_TRUE((results[0] == got && results[1] == gone) || (results[0] == gone && results[1] == got));
    }
}

TEST(wait, hundred_fibers_for_a_child_each) {
    std::vector<std::unique_ptr<child>> children;
    std::vector<coir::fiber<int>> waiters;
    for (int i = 0; i < 100; ++i) {
        children.push_back(std::make_unique<child>(i));
        waiters.push_back(coir::spawn([pid = children.back()->pid] {
            int status = -1;
            return waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : -1;
        }));
    }
    until_parked(waiters.back());
    for (auto& each : children) each->end();
    for (int i = 0; i < 100; ++i) EXPECT_EQ(waiters[std::size_t(i)].get(), i);
}

TEST(wait, sees_stops_and_continuations) {
    child one;
    int status = 0;
    auto stopped = coir::spawn([&] { return waitpid(one.pid, &status, WUNTRACED); });
    until_parked(stopped);
    kill(one.pid, SIGSTOP);
    EXPECT_EQ(stopped.get(), one.pid);
    EXPECT_TRUE(WIFSTOPPED(status));
    siginfo_t about{};
    auto continued = coir::spawn([&] { return waitid(P_PID, id_t(one.pid), &about, WCONTINUED); });
    until_parked(continued);
    kill(one.pid, SIGCONT);
    EXPECT_EQ(continued.get(), 0);
    EXPECT_EQ(about.si_code, CLD_CONTINUED);
}

// The pidfd says nothing of it, and nobody has asked for stops.
TEST(wait, sees_that_a_traced_child_stops) {
    for (int again = 0; again < 2; ++again) {
        fd_pair go = fd_pair::pipe();
        pid_t const traced = checked(fork(), "fork");
        if (traced == 0) {
            char byte;
            while (read(go.first, &byte, 1) < 0) {}
            if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(99);
            raise(SIGUSR1);
            _exit(3);
        }
        int status = 0;
        auto waiter = coir::spawn([&] { return waitpid(traced, &status, 0); });
        until_parked(waiter);
        EXPECT_EQ(write(go.second, "x", 1), 1);
        EXPECT_EQ(waiter.get(), traced);
        ASSERT_TRUE(WIFSTOPPED(status)) << status;
        EXPECT_EQ(WSTOPSIG(status), SIGUSR1);
        EXPECT_EQ(ptrace(PTRACE_CONT, traced, nullptr, nullptr), 0);
        EXPECT_EQ(waitpid(traced, &status, 0), traced);
        EXPECT_TRUE(ended_with_3(status));
    }
}

TEST(wait, errors_are_the_kernels) {
    siginfo_t about{};
    rusage* const nowhere = nullptr;
    auto const same = [](auto call) { EXPECT_EQ(outcome_of(call), natively(call)); };
    same([] { return wait(nullptr); });
    same([] { return waitpid(1, nullptr, 0); });
    same([] { return waitpid(INT_MIN, nullptr, 0); });
    same([&] { return wait4(-1, nullptr, 0x800000, nowhere); });
    same([&] { return waitid(P_ALL, 0, &about, 0); });
    same([&] { return waitid(P_PID, 0, &about, WEXITED); });
    same([&] { return waitid(P_PIDFD, 100'000, &about, WEXITED); });
    child one;
    same([&] { return waitpid(one.pid, nullptr, WNOHANG); });
    same([&] { return waitpid(one.pid, nullptr, 0x800000); });
    about.si_pid = 1;
    same([&] { return waitid(P_PID, id_t(one.pid), &about, WEXITED | WNOHANG); });
    EXPECT_EQ(about.si_pid, 0);
    int const fd = pidfd_of(one.pid);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    same([&] { return waitid(P_PIDFD, id_t(fd), &about, WEXITED); });
    EXPECT_EQ(outcome_of([&] { return waitid(P_PIDFD, id_t(fd), &about, WEXITED); }), (outcome{-1, EAGAIN}));
    close(fd);
}

TEST(wait, a_handler_ends_it_without_restart) {
    handler const usr1{SIGUSR1};
    child one;
    siginfo_t about{};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return waitpid(one.pid, nullptr, 0); }), interrupted);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return waitpid(-1, nullptr, 0); }), interrupted);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return waitid(P_PID, id_t(one.pid), &about, WEXITED); }), interrupted);
    EXPECT_EQ(calls, 3);
}

// It looks by itself from time to time, unless the process has traced a child. Both fibers' times come in one turn of
// the loop, and the handler runs before the waiting one's turn.
TEST_ALONE(wait, a_handler_behind_a_look_ends_it) {
    handler const usr1{SIGUSR1};
    child one;
    auto signals = coir::spawn([] {
        coir::sleep(100us);
        raise(SIGUSR1);
    });
    auto waiter = coir::spawn([&] { return outcome_of([&] { return waitpid(one.pid, nullptr, 0); }); });
    until_parked(waiter);
    for (auto const begin = std::chrono::steady_clock::now(); std::chrono::steady_clock::now() - begin < 5ms;) {}
    signals.join();
    coir::yield();
    one.end();
    EXPECT_EQ(waiter.get(), interrupted);
}

TEST(wait, a_handler_with_restart_does_not_end_it) {
    handler const usr1{SIGUSR1, SA_RESTART};
    for (bool const any : {false, true}) {
        child one;
        auto waiter = coir::spawn([&] { return waitpid(any ? -1 : one.pid, nullptr, 0); });
        until_parked(waiter);
        raise(SIGUSR1);
        until_parked(waiter);
        one.end();
        EXPECT_EQ(waiter.get(), one.pid);
    }
    EXPECT_EQ(calls, 2);
}

// When SIGCHLD comes there is a child: the kernel's waits return it though the handler has run.
TEST(wait, the_handler_of_sigchld_does_not_end_it) {
    handler const chld{SIGCHLD};
    for (int turn = 0; turn < 50; ++turn)
        for (bool const any : {false, true}) {
            child one;
            auto waiter =
                coir::spawn([&] { return outcome_of([&] { return waitpid(any ? -1 : one.pid, nullptr, 0); }); });
            until_parked(waiter);
            one.end();
            EXPECT_EQ(waiter.get(), (outcome{one.pid, 0}));
        }
    EXPECT_EQ(calls, 100);
}

TEST(wait, children_that_nobody_is_to_wait_for) {
    auto* const before = signal(SIGCHLD, SIG_IGN);
    for (bool const any : {false, true}) {
        child one;
        auto waiter = coir::spawn([&] { return outcome_of([&] { return waitpid(any ? -1 : one.pid, nullptr, 0); }); });
        until_parked(waiter);
        one.end();
        EXPECT_EQ(waiter.get(), (outcome{-1, ECHILD}));
    }
    signal(SIGCHLD, before);
}

TEST(wait, a_kill_ends_it_and_leaves_the_child) {
    child one;
    EXPECT_EQ(with_kill([&] { return waitpid(one.pid, nullptr, 0); }), cancelled);
    EXPECT_EQ(with_kill([&] { return waitpid(-1, nullptr, 0); }), cancelled);
    EXPECT_EQ(with_kill([&] { return waitpid(one.pid, nullptr, __WNOTHREAD); }), cancelled);
    one.end();
    EXPECT_EQ(waitpid(one.pid, nullptr, 0), one.pid);
}

TEST(fork, the_forking_fiber_goes_on_and_may_wait) {
    fd_pair pipe = fd_pair::pipe();
    auto forks = coir::spawn([&] {
        pid_t const pid = checked(fork(), "fork");
        if (pid == 0) {
            char byte = 0;
            auto reader = coir::spawn([&] { return read(pipe.first, &byte, 1); });
            coir::yield();
            bool const parked = !reader.ready() && write(pipe.second, "x", 1) == 1 && reader.get() == 1;
            _exit(parked ? 3 : 4);
        }
        int status = 0;
        return waitpid(pid, &status, 0) == pid && ended_with_3(status);
    });
    EXPECT_TRUE(forks.get());
}

namespace {

// A child that shares or copies the fibers without being able to run them: what it does is no business of theirs.
template <class Make>
void expect_bare(Make make) {
    fd_pair pipe = fd_pair::pipe();
    handler const usr1{SIGUSR1};
    char byte;
    auto reader = coir::spawn([&] { return outcome_of([&] { return read(pipe.first, &byte, 1); }); });
    until_parked(reader);
    auto maker = coir::spawn([&] {
        return make([&] {
            signal(SIGUSR1, SIG_IGN);
            int const other = dup(pipe.second);
            dup2(other, pipe.first);
            close(pipe.first);
            close_range(3, ~0u, 0);
            timespec const moment{0, 1000};
            return nanosleep(&moment, nullptr) == 0 && read(pipe.first, &byte, 1) < 0 && errno == EBADF ? 3 : 4;
        });
    });
    pid_t const made = maker.get();
    ASSERT_GT(made, 0);
    int status = 0;
    EXPECT_EQ(waitpid(made, &status, 0), made);
    EXPECT_TRUE(ended_with_3(status)) << status;
    until_parked(reader);
    raise(SIGUSR1);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(reader.get(), interrupted);
}

} // namespace

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
TEST(vfork, the_child_is_no_fiber) {
    expect_bare([](auto childs) {
        pid_t const made = vfork();
        if (made == 0) _exit(childs());
        return made;
    });
}

TEST(vfork, and_exec_from_many_fibers) {
    std::vector<coir::fiber<int>> all;
    for (int i = 0; i < 50; ++i)
        all.push_back(coir::spawn([i] {
            std::string const line = "exit " + std::to_string(i);
            pid_t const made = vfork();
            if (made == 0) {
                execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
                _exit(127);
            }
            int status = 0;
            return waitpid(made, &status, 0) == made ? WEXITSTATUS(status) : -1;
        }));
    for (int i = 0; i < 50; ++i) EXPECT_EQ(all[std::size_t(i)].get(), i);
}

// The parent makes no hooked call in between.
TEST(vfork, a_fork_after_it_makes_a_child_with_fibers) {
    fd_pair pipe = fd_pair::pipe();
    pid_t const first = vfork();
    if (first == 0) _exit(0);
    pid_t const second = fork();
    if (second == 0) {
        char byte;
        auto reader = coir::spawn([&] { return read(pipe.first, &byte, 1); });
        coir::yield();
        _exit(!reader.ready() && write(pipe.second, "x", 1) == 1 && reader.get() == 1 ? 3 : 4);
    }
    int status = 0;
    EXPECT_EQ(waitpid(second, &status, 0), second);
    EXPECT_TRUE(ended_with_3(status));
    EXPECT_EQ(waitpid(first, &status, 0), first);
}

// The file is its parent's, too; from then on the flag is asked for before each wait.
TEST(vfork, o_nonblock_that_the_child_sets_is_noticed) {
    fd_pair pipe = fd_pair::pipe();
    char byte;
    auto reader = coir::spawn([&] { return read(pipe.first, &byte, 1); });
    until_parked(reader);
    EXPECT_EQ(write(pipe.second, "x", 1), 1);
    EXPECT_EQ(reader.get(), 1);
    pid_t const made = vfork();
    if (made == 0) _exit(fcntl(pipe.first, F_SETFL, O_NONBLOCK));
    EXPECT_EQ(waitpid(made, nullptr, 0), made);
    EXPECT_EQ(outcome_of([&] { return read(pipe.first, &byte, 1); }), (outcome{-1, EAGAIN}));
}
#pragma GCC diagnostic pop

TEST(bare_fork, the_child_is_no_fiber) {
    expect_bare([](auto childs) {
        pid_t const made = _Fork();
        if (made == 0) _exit(childs());
        return made;
    });
}

TEST(clone, the_child_is_no_fiber) {
    for (int const flags : {0, CLONE_VM | CLONE_VFORK}) {
        std::vector<char> stack(256 * 1024);
        expect_bare([&](auto childs) {
            return clone([](void* what) { return (*static_cast<decltype(childs)*>(what))(); },
                         stack.data() + stack.size(), flags | SIGCHLD, &childs);
        });
    }
}

TEST(posix_spawn, and_wait) {
    char const* const words[] = {"sh", "-c", "exit 3", nullptr};
    auto* const arguments = const_cast<char* const*>(words);
    for (bool const searches : {false, true}) {
        pid_t made = 0;
        EXPECT_EQ(searches ? posix_spawnp(&made, "sh", nullptr, nullptr, arguments, environ)
                           : posix_spawn(&made, "/bin/sh", nullptr, nullptr, arguments, environ),
                  0);
        int status = 0;
        EXPECT_EQ(waitpid(made, &status, 0), made);
        EXPECT_TRUE(ended_with_3(status));
        EXPECT_EQ(searches ? posix_spawnp(&made, "none-such", nullptr, nullptr, arguments, environ)
                           : posix_spawn(&made, "/none/such", nullptr, nullptr, arguments, environ),
                  ENOENT);
    }
}

TEST(daemon, goes_on_as_a_fiber_with_other_standard_files) {
    fd_pair tells = fd_pair::pipe();
    pid_t const first = checked(fork(), "fork");
    if (first == 0) {
        tells.close_first();
        fd_pair input = fd_pair::pipe();
        dup2(input.first, 0);
        auto becomes = coir::spawn([&] {
            char byte;
            auto reader = coir::spawn([&] { return read(0, &byte, 1); }); // what is known of 0: a pipe
            coir::yield();
            if (daemon(1, 0) != 0) _exit(4);
            bool const ended = read(0, &byte, 1) == 0; // /dev/null
            auto ticks = coir::spawn([] { return usleep(1000); });
            bool const parks = !ticks.ready() && ticks.get() == 0;
            bool const told = write(tells.second, ended && parks ? "y" : "n", 1) == 1;
            _exit(told ? 0 : 1);
        });
        becomes.join();
        _exit(5);
    }
    tells.close_second();
    int status = 0;
    EXPECT_EQ(waitpid(first, &status, 0), first);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    char answer = 0;
    EXPECT_EQ(read(tells.first, &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
}
