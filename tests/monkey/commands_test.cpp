// system, popen and pclose.

#include "tests/monkey/outcome.h"
#include "tests/rerun.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>

namespace {

// A FIFO that a shell waits on, until it is given a line.
class gate {
public:
    gate() {
        char name[] = "/tmp/coir-commands-XXXXXX";
        if (!mkdtemp(name)) throw std::system_error(errno, std::generic_category(), "mkdtemp");
        directory_ = name;
        checked(mkfifo(path().c_str(), 0600), "mkfifo");
        fd_ = checked(::open(path().c_str(), O_RDWR | O_CLOEXEC), "open a FIFO");
    }
    gate(gate const&) = delete;
    ~gate() {
        ::close(fd_);
        ::unlink(path().c_str());
        ::rmdir(directory_.c_str());
    }
    std::string path() const { return directory_ + "/gate"; }
    std::string wait() const { return "read x < " + path() + "; "; }
    void open() const { EXPECT_EQ(::write(fd_, "x\n", 2), 2); }

private:
    std::string directory_;
    int fd_;
};

std::string read_all(int fd) {
    std::string text;
    char part[512];
    for (ssize_t size; (size = read(fd, part, sizeof part)) > 0;) text.append(part, std::size_t(size));
    return text;
}

struct sigaction disposition(int number) {
    struct sigaction now {};
    sigaction(number, nullptr, &now);
    return now;
}

// Past the compiler, which knows that the two are not for each other's streams.
int (*const volatile fclose_of_any)(FILE*) = fclose;
int (*const volatile pclose_of_any)(FILE*) = pclose;

bool no_children() { return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

} // namespace

TEST(system, parks_and_gives_the_status) {
    gate const closed;
    auto runs = coir::spawn([&] { return system((closed.wait() + "exit 3").c_str()); });
    until_parked(runs);
    closed.open();
    EXPECT_EQ(runs.get(), 3 << 8);
    EXPECT_TRUE(no_children());
}

TEST(system, gives_what_libcs_own_gives) {
    for (char const* const line : {static_cast<char const*>(nullptr), "true", "exit 77", "none-such 2>/dev/null",
                                   "kill -9 $$", "", "test $((1+1)) = 2"})
        EXPECT_EQ(outcome_of([&] { return system(line); }), natively([&] { return system(line); }));
}

TEST(system, keyboard_signals_are_the_commands) {
    handler const interrupt{SIGINT}, quit{SIGQUIT};
    gate const first, second;
    auto one = coir::spawn([&] { return system(first.wait().c_str()); });
    until_parked(one);
    auto two = coir::spawn([&] { return system(second.wait().c_str()); });
    until_parked(two);
    EXPECT_EQ(disposition(SIGINT).sa_handler, SIG_IGN);
    EXPECT_EQ(disposition(SIGQUIT).sa_handler, SIG_IGN);
    first.open();
    EXPECT_EQ(one.get(), 0);
    EXPECT_EQ(disposition(SIGINT).sa_handler, SIG_IGN);
    raise(SIGINT);
    second.open();
    EXPECT_EQ(two.get(), 0);
    EXPECT_EQ(calls, 0);
    EXPECT_EQ(disposition(SIGINT).sa_handler, count);
    EXPECT_EQ(disposition(SIGQUIT).sa_handler, count);
    // A shell that is not to ignore them.
    EXPECT_EQ(system("kill -INT $$"), SIGINT);
    signal(SIGINT, SIG_IGN);
    EXPECT_EQ(system("kill -INT $$; exit 5"), 5 << 8);
}

namespace {
int taken = 0;
void take_children(int) {
    ++calls;
    while (waitpid(-1, nullptr, WNOHANG) > 0) ++taken;
}
} // namespace

TEST(system, a_handler_of_sigchld_does_not_take_its_child) {
    handler const chld{SIGCHLD, 0, take_children};
    taken = 0;
    gate const closed;
    auto runs = coir::spawn([&] { return system((closed.wait() + "exit 3").c_str()); });
    until_parked(runs);
    pid_t const other = checked(fork(), "fork");
    if (other == 0) _exit(0);
    siginfo_t about{};
    EXPECT_EQ(waitid(P_PID, id_t(other), &about, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(calls, 0);
    closed.open();
    EXPECT_EQ(runs.get(), 3 << 8);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(taken, 1);
}

TEST(system, the_handler_of_sigchld_is_told_of_the_first_child) {
    static pid_t told = 0;
    told = 0;
    struct sigaction action {
    }, before{};
    action.sa_sigaction = [](int, siginfo_t* about, void*) { told = about->si_pid; };
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGCHLD, &action, &before);
    gate const closed;
    auto runs = coir::spawn([&] { return system(closed.wait().c_str()); });
    until_parked(runs);
    pid_t const other = checked(fork(), "fork");
    if (other == 0) _exit(0);
    EXPECT_EQ(waitpid(other, nullptr, 0), other);
    EXPECT_EQ(told, 0);
    closed.open();
    EXPECT_EQ(runs.get(), 0);
    EXPECT_EQ(told, other);
    sigaction(SIGCHLD, &before, nullptr);
}

TEST(system, the_handler_of_sigchld_that_is_to_run_once_runs) {
    handler const chld{SIGCHLD, int(SA_RESETHAND)};
    EXPECT_EQ(coir::spawn([] { return system("true"); }).get(), 0);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(disposition(SIGCHLD).sa_handler, SIG_DFL);
}

TEST(system, a_child_forked_meanwhile_has_its_own_sigchld) {
    handler const chld{SIGCHLD};
    gate const closed;
    auto runs = coir::spawn([&] { return system(closed.wait().c_str()); });
    until_parked(runs);
    pid_t const child = checked(fork(), "fork");
    if (child == 0) {
        pid_t const its = fork();
        if (its == 0) _exit(0);
        waitpid(its, nullptr, 0);
        _exit(calls == 1 ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    closed.open();
    EXPECT_EQ(runs.get(), 0);
}

TEST(system, what_others_start_meanwhile_inherits_nothing_of_it) {
    char const* const mask = "grep SigBlk /proc/self/status";
    auto const shown = [&] {
        FILE* const from = popen(mask, "r");
        std::string text = read_all(fileno(from));
        pclose(from);
        return text;
    };
    std::string const before = shown();
    gate const closed;
    auto runs = coir::spawn([&] { return system(closed.wait().c_str()); });
    until_parked(runs);
    EXPECT_EQ(shown(), before);
    closed.open();
    EXPECT_EQ(runs.get(), 0);
    EXPECT_NE(before.find("SigBlk"), std::string::npos);
}

TEST(system, children_that_nobody_is_to_wait_for) {
    auto* const before = signal(SIGCHLD, SIG_IGN);
    EXPECT_EQ(outcome_of([] { return system("exit 3"); }), (outcome{-1, ECHILD}));
    signal(SIGCHLD, before);
}

TEST(system, a_handler_does_not_end_it) {
    handler const usr1{SIGUSR1};
    gate const closed;
    auto runs = coir::spawn([&] { return system((closed.wait() + "exit 3").c_str()); });
    until_parked(runs);
    raise(SIGUSR1);
    until_parked(runs);
    closed.open();
    EXPECT_EQ(runs.get(), 3 << 8);
    EXPECT_EQ(calls, 1);
}

TEST(system, a_kill_ends_it_and_the_shell) {
    handler const interrupt{SIGINT};
    gate const closed;
    EXPECT_EQ(with_kill([&] { return system(closed.wait().c_str()); }), cancelled);
    EXPECT_TRUE(no_children());
    EXPECT_EQ(disposition(SIGINT).sa_handler, count);
}

TEST(system, from_threads_and_fibers_at_once) {
    handler const interrupt{SIGINT};
    gate const first, second;
    auto one = coir::spawn([&] { return system(first.wait().c_str()); });
    until_parked(one);
    std::thread other([&] { EXPECT_EQ(system((second.wait() + "exit 4").c_str()), 4 << 8); });
    first.open();
    EXPECT_EQ(one.get(), 0);
    second.open();
    other.join();
    EXPECT_EQ(disposition(SIGINT).sa_handler, count);
}

TEST(popen, reads_what_a_command_writes) {
    gate const closed;
    FILE* const from = popen((closed.wait() + "echo hello; exit 3").c_str(), "r");
    ASSERT_NE(from, nullptr);
    auto reader = coir::spawn([&] { return read_all(fileno(from)); });
    until_parked(reader);
    closed.open();
    EXPECT_EQ(reader.get(), "hello\n");
    EXPECT_EQ(pclose(from), 3 << 8);
    EXPECT_TRUE(no_children());
}

TEST(popen, is_a_stream_as_any) {
    FILE* const from = popen("printf 'one\\ntwo\\n'", "r");
    ASSERT_NE(from, nullptr);
    char line[16];
    EXPECT_STREQ(fgets(line, sizeof line, from), "one\n");
    EXPECT_STREQ(fgets(line, sizeof line, from), "two\n");
    EXPECT_EQ(fgets(line, sizeof line, from), nullptr);
    EXPECT_TRUE(feof(from));
    EXPECT_EQ(pclose(from), 0);
}

TEST(popen, pclose_parks_until_the_command_has_ended) {
    gate const closed;
    FILE* const to = popen(("read y; " + closed.wait() + "test $y = hello").c_str(), "w");
    ASSERT_NE(to, nullptr);
    EXPECT_GE(fputs("hello\n", to), 0);
    auto closes = coir::spawn([&] { return pclose(to); });
    until_parked(closes);
    closed.open();
    EXPECT_EQ(closes.get(), 0);
    EXPECT_TRUE(no_children());
}

TEST(popen, fclose_does_as_pclose) {
    FILE* const to = popen("read x; exit 6", "w");
    ASSERT_NE(to, nullptr);
    EXPECT_EQ(fclose_of_any(to), 6 << 8);
    EXPECT_TRUE(no_children());
    FILE* const no_command = fopen("/dev/null", "r");
    EXPECT_EQ(pclose_of_any(no_command), 0);
}

TEST(popen, a_command_does_not_keep_the_pipes_of_earlier_ones) {
    gate const closed;
    FILE* const to = popen("cat > /dev/null; exit 5", "w");
    FILE* const later = popen(closed.wait().c_str(), "r");
    ASSERT_TRUE(to && later);
    EXPECT_EQ(pclose(to), 5 << 8); // it saw the end of its input
    closed.open();
    EXPECT_EQ(pclose(later), 0);
}

TEST_ALONE(popen, nor_those_that_are_older_than_the_hub) {
    FILE* const to = popen("cat > /dev/null; exit 5", "w");
    FILE* const gone = popen("true", "r");
    ASSERT_TRUE(to && gone);
    EXPECT_EQ(fclose_of_any(gone), 0); // libc's own, unseen
    coir::yield();
    gate const closed;
    FILE* const later = popen(closed.wait().c_str(), "r");
    ASSERT_TRUE(later);
    auto closes = coir::spawn([&] { return pclose(to); });
    EXPECT_EQ(closes.get(), 5 << 8);
    closed.open();
    EXPECT_EQ(pclose(later), 0);
}

TEST_ALONE(popen, pclose_of_one_that_is_older_than_the_hub_parks) {
    gate const closed;
    FILE* const from = popen((closed.wait() + "exit 3").c_str(), "r");
    ASSERT_TRUE(from);
    auto closes = coir::spawn([&] { return pclose(from); });
    until_parked(closes);
    closed.open();
    EXPECT_EQ(closes.get(), 3 << 8);
}

TEST_ALONE(popen, pclose_of_one_that_is_older_than_the_hub_takes_no_worker_from_others) {
    setenv("COIR_OFFLOAD_THREADS", "1", 1);
    gate const closed;
    FILE* const from = popen(closed.wait().c_str(), "r");
    ASSERT_TRUE(from);
    auto closes = coir::spawn([&] { return pclose(from); });
    until_parked(closes);
    EXPECT_EQ(coir::offload([] { return 42; }), 42);
    closed.open();
    EXPECT_EQ(closes.get(), 0);
}

TEST(popen, modes) {
    for (char const* const mode : {"", "rw", "x", "rx", "e", "R"}) {
        SCOPED_TRACE(mode);
        EXPECT_EQ(outcome_of([&] { return reinterpret_cast<long>(popen("true", mode)); }), (outcome{0, EINVAL}));
    }
    for (char const* const mode : {"r", "re", "w", "we", "rr"}) {
        SCOPED_TRACE(mode);
        FILE* const one = popen("cat < /dev/null", mode);
        ASSERT_NE(one, nullptr);
        bool const closed_by_exec = fcntl(fileno(one), F_GETFD) & FD_CLOEXEC;
        EXPECT_EQ(closed_by_exec, std::string(mode).find('e') != std::string::npos);
        EXPECT_EQ(pclose(one), 0);
    }
}

// The pipe gets the very number that the command is to have.
TEST_ALONE(popen, with_closed_standard_files) {
    coir::yield();
    int const kept = dup(1);
    close(0);
    FILE* const to = popen("read x; test \"$x\" = hello", "w");
    EXPECT_TRUE(to);
    EXPECT_GE(fputs("hello\n", to), 0);
    EXPECT_EQ(pclose(to), 0);
    close(1);
    FILE* const from = popen("echo hello", "r");
    EXPECT_TRUE(from);
    std::string const text = read_all(fileno(from));
    EXPECT_EQ(pclose(from), 0);
    dup2(kept, 1);
    EXPECT_EQ(text, "hello\n");
}

TEST(popen, a_kill_ends_pclose_and_the_command_is_still_waited_for) {
    gate const closed;
    FILE* const from = popen(closed.wait().c_str(), "r");
    ASSERT_TRUE(from);
    EXPECT_EQ(with_kill([&] { return pclose(from); }), cancelled);
    EXPECT_FALSE(no_children());
    closed.open();
    coir::wait();
    EXPECT_TRUE(no_children());
}
