// Calls that are made by threads of their own: what ends them, that nothing is lost, and the signal that interrupts
// them. Their model is msgrcv.

#include "tests/monkey/outcome.h"
#include "tests/rerun.h"

#include <atomic>
#include <cstdio>
#include <cwchar>
#include <pty.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <termios.h>

namespace {

struct message {
    long type = 1;
    int number = 0;
};

struct queue {
    int const id = checked(msgget(IPC_PRIVATE, 0600), "msgget");
    queue() = default;
    queue(queue const&) = delete;
    ~queue() { msgctl(id, IPC_RMID, nullptr); }

    int send(int number) const {
        message const one{1, number};
        return msgsnd(id, &one, sizeof one.number, IPC_NOWAIT);
    }
    long receive(int flags = 0) const {
        message one;
        long const size = msgrcv(id, &one, sizeof one.number, 0, flags);
        return size < 0 ? size : one.number;
    }
    unsigned long messages() const {
        msqid_ds about{};
        checked(msgctl(id, IPC_STAT, &about), "msgctl");
        return about.msg_qnum;
    }
};

// A call of which the kernel tells that it has begun to wait.
struct semaphore {
    int const id = checked(semget(IPC_PRIVATE, 1, 0600), "semget");
    semaphore() = default;
    semaphore(semaphore const&) = delete;
    ~semaphore() { semctl(id, 0, IPC_RMID); }

    int operate(short by) const {
        sembuf one{0, by, 0};
        return semop(id, &one, 1);
    }
    void until_somebody_waits() const {
        while (semctl(id, 0, GETNCNT) == 0) usleep(100);
    }
};

sigset_t only(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

} // namespace

TEST(lasting, a_call_parks_until_it_has_ended) {
    queue const one;
    auto receiver = coir::spawn([&] { return one.receive(); });
    until_parked(receiver);
    EXPECT_EQ(one.send(42), 0);
    EXPECT_EQ(receiver.get(), 42);
}

TEST(lasting, a_kill_ends_it) {
    queue const one;
    EXPECT_EQ(with_kill([&] { return one.receive(); }), cancelled);
    EXPECT_EQ(one.send(1), 0);
    EXPECT_EQ(one.messages(), 1u) << "nobody receives any more";
}

TEST(lasting, a_handler_ends_it) {
    handler const usr1{SIGUSR1};
    queue const one;
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return one.receive(); }), interrupted);
    EXPECT_EQ(calls, 1);
}

TEST(lasting, a_killed_fiber_gets_no_other) {
    queue const one;
    outcome second{};
    auto killed = coir::spawn([&] {
        one.receive();
        second = outcome_of([&] { return one.receive(); });
    });
    until_parked(killed);
    EXPECT_TRUE(killed.kill());
    EXPECT_EQ(second, cancelled);
}

TEST(lasting, many_at_once) {
    queue const one;
    std::vector<coir::fiber<long>> all;
    for (int i = 0; i < 200; ++i) all.push_back(coir::spawn([&] { return one.receive(); }));
    until_parked(all.back());
    long sum = 0;
    for (int i = 0; i < 200; ++i) EXPECT_EQ(one.send(i), 0);
    for (auto& each : all) sum += each.get();
    EXPECT_EQ(sum, 199 * 200 / 2);
}

// Each message is received by the one or is still there, whatever came first.
TEST(lasting, nothing_is_lost_when_it_succeeds_in_the_moment_of_a_kill) {
    queue const one;
    int received = 0, left = 0;
    for (int turn = 0; turn < 300; ++turn) {
        outcome result{};
        auto receiver = coir::spawn([&] { result = outcome_of([&] { return one.receive(); }); });
        until_parked(receiver);
        std::thread sender([&] { EXPECT_EQ(one.send(turn), 0); });
        if (turn % 2) std::this_thread::yield();
        receiver.kill();
        sender.join();
        if (result.result == turn)
            ++received;
        else {
            EXPECT_EQ(result, cancelled);
            EXPECT_EQ(one.receive(IPC_NOWAIT), turn);
            ++left;
        }
        EXPECT_EQ(one.messages(), 0u);
    }
    EXPECT_EQ(received + left, 300);
}

TEST(lasting, nothing_is_lost_when_it_succeeds_in_the_moment_of_a_handler) {
    handler const usr1{SIGUSR1};
    queue const one;
    for (int turn = 0; turn < 300; ++turn) {
        auto receiver = coir::spawn([&] { return outcome_of([&] { return one.receive(); }); });
        until_parked(receiver);
        std::thread sender([&] { EXPECT_EQ(one.send(turn), 0); });
        raise(SIGUSR1);
        outcome const result = receiver.get();
        sender.join();
        if (result.result != turn) {
            EXPECT_EQ(result, interrupted);
            EXPECT_EQ(one.receive(IPC_NOWAIT), turn);
        }
        EXPECT_EQ(one.messages(), 0u);
    }
}

// A signal that is sent too late would interrupt what its thread does next.
namespace {

// What becomes of a fiber's process that makes `call` in the background of its terminal, which is its standard input:
// the signal that stops it, or minus what it returned.
template <class Call>
int in_background(Call call) {
    int terminal;
    pid_t const leader = checked(forkpty(&terminal, nullptr, nullptr, nullptr), "forkpty");
    if (leader == 0) {
        pid_t const background = fork();
        if (background == 0) {
            setpgid(0, 0);
            _exit(coir::spawn(call).get() & 0x7f);
        }
        int status = 0;
        waitpid(background, &status, WUNTRACED);
        kill(background, SIGKILL);
        _exit(WIFSTOPPED(status) ? WSTOPSIG(status) : 0x80 | WEXITSTATUS(status));
    }
    int status = 0;
    EXPECT_EQ(waitpid(leader, &status, 0), leader);
    close(terminal);
    int const told = WEXITSTATUS(status);
    return told & 0x80 ? -(told & 0x7f) : told;
}

int draining() { return tcdrain(0) == 0 ? 0 : errno; }

int reading_wide() {
    errno = 0;
    return fgetwc(stdin) == WEOF ? errno : 0;
}

} // namespace

TEST(lasting, job_control_stops_the_process) {
    EXPECT_EQ(in_background(draining), SIGTTOU);
    EXPECT_EQ(in_background(reading_wide), SIGTTIN);
}

TEST(lasting, job_control_leaves_alone_who_blocks_or_ignores_its_signals) {
    auto const with = [](auto prepare, int (*call)()) {
        return [=] {
            prepare();
            return call();
        };
    };
    auto const block = [] {
        sigset_t both = only(SIGTTIN);
        sigaddset(&both, SIGTTOU);
        pthread_sigmask(SIG_BLOCK, &both, nullptr);
    };
    auto const ignore = [] { signal(SIGTTIN, SIG_IGN), signal(SIGTTOU, SIG_IGN); };
    EXPECT_EQ(in_background(with(block, draining)), 0);
    EXPECT_EQ(in_background(with(block, reading_wide)), -EIO);
    EXPECT_EQ(in_background(with(ignore, draining)), 0);
    EXPECT_EQ(in_background(with(ignore, reading_wide)), -EIO);
}

TEST(lasting, an_interruption_is_for_one_call_only) {
    queue const one, other;
    std::atomic<bool> done{false};
    auto steady = coir::spawn([&] {
        int good = 0;
        while (!done) {
            if (other.receive() < 0) return -1;
            ++good;
        }
        return good;
    });
    for (int turn = 0; turn < 300; ++turn) {
        auto receiver = coir::spawn([&] { one.receive(); });
        until_parked(receiver);
        EXPECT_EQ(other.send(turn), 0);
        receiver.kill();
    }
    done = true;
    EXPECT_EQ(other.send(0), 0);
    EXPECT_GT(steady.get(), 0);
}

TEST(lasting, interrupts_with_a_signal_that_the_program_does_not_use) {
    handler const highest{SIGRTMAX}, next{SIGRTMAX - 1};
    queue const one;
    EXPECT_EQ(with_kill([&] { return one.receive(); }), cancelled);
    EXPECT_EQ(calls, 0);
    EXPECT_EQ(raise(SIGRTMAX), 0);
    EXPECT_EQ(calls, 1);
}

TEST(lasting, the_program_does_not_see_the_signal) {
    semaphore const one;
    auto takes = coir::spawn([&] { one.operate(-1); });
    one.until_somebody_waits();
    struct sigaction now {
    }, wanted{};
    EXPECT_EQ(sigaction(SIGRTMAX, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
    EXPECT_FALSE(now.sa_flags & SA_SIGINFO);
    EXPECT_EQ(signal(SIGRTMAX, SIG_DFL), SIG_DFL);
    until_parked(takes);
    EXPECT_TRUE(takes.kill()) << "it is taken again";
    wanted.sa_handler = count;
    now = {};
    EXPECT_EQ(sigaction(SIGRTMAX, &wanted, &now), 0);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
    EXPECT_EQ(signal(SIGRTMAX, SIG_DFL), count);
}

TEST(lasting, without_a_free_signal_it_ends_by_itself) {
    semaphore const one;
    std::vector<std::unique_ptr<handler>> all;
    int result = -1;
    coir::fiber<void> takes = coir::spawn([] {});
    for (bool const taken_before : {true, false}) {
        if (!taken_before) all.clear();
        if (taken_before)
            for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) all.push_back(std::make_unique<handler>(number));
        takes = coir::spawn([&] { result = one.operate(-1); });
        one.until_somebody_waits();
        if (!taken_before)
            for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) all.push_back(std::make_unique<handler>(number));
        EXPECT_FALSE(takes.kill({.block = false}));
        until_parked(takes);
        EXPECT_EQ(one.operate(+1), 0);
        takes.join();
        EXPECT_EQ(result, 0);
        EXPECT_EQ(calls, 0);
    }
}

// Who waits for a signal in another way has it blocked in all threads, and no handler.
TEST(lasting, the_programs_own_use_of_the_signal_goes_on) {
    sigset_t const set = only(SIGRTMAX);
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &set, &before);
    semaphore const one;
    auto takes = coir::spawn([&] { return one.operate(-1); });
    one.until_somebody_waits();
    siginfo_t about{};
    auto waiter = coir::spawn([&] { return sigwaitinfo(&set, &about); });
    until_parked(waiter);
    EXPECT_EQ(sigqueue(getpid(), SIGRTMAX, sigval{42}), 0);
    EXPECT_EQ(waiter.get(), SIGRTMAX);
    EXPECT_EQ(about.si_value.sival_int, 42);
    until_parked(takes);
    EXPECT_EQ(one.operate(+1), 0);
    EXPECT_EQ(takes.get(), 0);
    EXPECT_EQ(with_kill([&] { return one.operate(-1); }), cancelled);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(lasting, DISABLED_its_signal_still_ends_the_process) {
    semaphore const one;
    auto takes = coir::spawn([&] { one.operate(-1); });
    one.until_somebody_waits();
    takes.kill();
    semctl(one.id, 0, IPC_RMID); // nothing is left behind
    kill(getpid(), SIGRTMAX);
    pause();
}

TEST(lasting, its_signal_still_ends_the_process) {
    EXPECT_TRUE(rerun("lasting.DISABLED_its_signal_still_ends_the_process").killed_by(SIGRTMAX));
}

TEST(lasting, goes_on_in_a_forked_child) {
    queue const one;
    auto receiver = coir::spawn([&] { return one.receive(); });
    until_parked(receiver);
    pid_t const child = fork();
    if (child == 0) {
        auto again = coir::spawn([&] { return one.receive(); });
        for (int turn = 0; turn < 3; ++turn) coir::yield();
        bool const parked = !again.ready();
        again.kill();
        _exit(parked ? 3 : 4);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 3);
    EXPECT_EQ(one.send(9), 0);
    EXPECT_EQ(receiver.get(), 9);
}
