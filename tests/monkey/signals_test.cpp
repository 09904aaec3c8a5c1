// Waits of hooked calls that signals end, and calls that wait for signals.

#include "tests/monkey/outcome.h"
#include "tests/rerun.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/uio.h>

using namespace std::chrono_literals;

extern "C" int __sigpause(int number_or_mask, int is_number); // glibc: what both forms of sigpause are

namespace {

struct blocked {
    sigset_t before;
    explicit blocked(int number) {
        sigset_t set = only(number);
        pthread_sigmask(SIG_BLOCK, &set, &before);
    }
    ~blocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    static sigset_t only(int number) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, number);
        return set;
    }
};

} // namespace

TEST(handlers, without_restart_end_every_wait) {
    handler const usr1{SIGUSR1};
    fd_pair pipe = fd_pair::pipe();
    fd_pair sockets = fd_pair::sockets();
    listener server;
    char byte;
    pollfd one{pipe.first, POLLIN, 0};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return read(pipe.first, &byte, 1); }), interrupted);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return recv(sockets.first, &byte, 1, 0); }), interrupted);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return accept(server.fd, nullptr, nullptr); }), interrupted);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return poll(&one, 1, -1); }), interrupted);
    EXPECT_EQ(with_signal(SIGUSR1, [] { return usleep(50'000'000); }), interrupted);
    EXPECT_EQ(calls, 5);
}

TEST(handlers, with_restart_end_only_what_is_never_restarted) {
    handler const usr1{SIGUSR1, SA_RESTART};
    fd_pair pipe = fd_pair::pipe();
    fd_pair sockets = fd_pair::sockets();
    char bytes[2];
    pollfd one{pipe.first, POLLIN, 0};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return poll(&one, 1, -1); }), interrupted);
    EXPECT_EQ(with_signal(SIGUSR1,
                          [&] {
                              fd_set set;
                              FD_ZERO(&set);
                              FD_SET(pipe.first, &set);
                              return select(pipe.first + 1, &set, nullptr, nullptr, nullptr);
                          }),
              interrupted);
    int const epoll = checked(epoll_create1(0), "epoll_create1");
    epoll_event event{};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return epoll_wait(epoll, &event, 1, -1); }), interrupted);
    close(epoll);
    timespec const long_time{50, 0};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return nanosleep(&long_time, nullptr); }), interrupted);
    timeval const limit{50, 0};
    setsockopt(sockets.second, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return recv(sockets.second, bytes, 1, 0); }), interrupted);
    EXPECT_EQ(calls, 5);

    auto reader = coir::spawn([&] { return read(pipe.first, bytes, 1); });
    until_parked(reader);
    raise(SIGUSR1);
    EXPECT_EQ(calls, 6);
    until_parked(reader);
    EXPECT_EQ(write(pipe.second, "x", 1), 1);
    EXPECT_EQ(reader.get(), 1);
}

// A descriptor wakes the caller, but before its turn another fiber takes what was there, and a handler runs. The
// kernel's own call could not have missed that. Of the two fibers one comes before the caller, in whatever order the
// loop takes what it finds at once.
template <class Call, class Take>
outcome robbed(fd_pair& of, Call call, Take take) {
    fd_pair first = fd_pair::pipe(), last = fd_pair::pipe();
    auto rob = [&](int fd) {
        char byte;
        EXPECT_EQ(read(fd, &byte, 1), 1);
        if (take()) raise(SIGUSR1);
    };
    auto one = coir::spawn(rob, first.first), other = coir::spawn(rob, last.first);
    auto caller = coir::spawn([&] { return outcome_of(call); });
    until_parked(one);
    until_parked(other);
    until_parked(caller);
    EXPECT_EQ(write(first.second, "x", 1), 1);
    EXPECT_EQ(write(of.second, "x", 1), 1);
    EXPECT_EQ(write(last.second, "x", 1), 1);
    one.join();
    other.join();
    return caller.get();
}

TEST(handlers, end_a_call_that_was_woken_in_vain) {
    handler const usr1{SIGUSR1};
    fd_pair sockets = fd_pair::sockets();
    char bytes[2], taken;
    auto const take = [&] { return recv(sockets.first, &taken, 1, MSG_DONTWAIT) == 1; };
    EXPECT_EQ(robbed(
                  sockets, [&] { return recv(sockets.first, bytes, 1, 0); }, take),
              interrupted);
    pollfd one{sockets.first, POLLIN, 0};
    EXPECT_EQ(robbed(
                  sockets, [&] { return poll(&one, 1, -1); }, take),
              interrupted);
    fd_pair pipe = fd_pair::pipe();
    iovec const byte{&taken, 1};
    EXPECT_EQ(robbed(
                  pipe, [&] { return read(pipe.first, bytes, 1); },
                  [&] { return preadv2(pipe.first, &byte, 1, -1, RWF_NOWAIT) == 1; }),
              interrupted);
    EXPECT_EQ(calls, 3);
}

TEST(handlers, that_ran_before_the_call_do_not_end_it) {
    handler const usr1{SIGUSR1};
    fd_pair pipe = fd_pair::pipe();
    auto reader = coir::spawn([&] {
        char byte;
        raise(SIGUSR1);
        return read(pipe.first, &byte, 1);
    });
    until_parked(reader);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(write(pipe.second, "x", 1), 1);
    EXPECT_EQ(reader.get(), 1);
}

TEST(handlers, end_the_waits_of_all_fibers_but_not_coirs_own) {
    handler const usr1{SIGUSR1};
    std::vector<coir::fiber<int>> sleepers;
    for (int i = 0; i < 100; ++i) sleepers.push_back(coir::spawn([] { return usleep(50'000'000) ? errno : 0; }));
    coir::event never;
    auto own = coir::spawn([&] { never.wait(); });
    until_parked(own);
    raise(SIGUSR1);
    for (auto& each : sleepers) EXPECT_EQ(each.get(), EINTR);
    EXPECT_FALSE(own.ready());
    never.set();
    own.join();
}

TEST(handlers, of_a_timer_end_a_wait_that_nothing_else_would) {
    handler const alarm{SIGALRM};
    fd_pair sockets = fd_pair::sockets();
    itimerval const soon{{0, 0}, {0, 1000}};
    char byte;
    setitimer(ITIMER_REAL, &soon, nullptr);
    EXPECT_EQ(recv(sockets.first, &byte, 1, 0), -1);
    EXPECT_EQ(errno, EINTR);
    EXPECT_EQ(calls, 1);
}

TEST(handlers, part_of_a_write_counts) {
    handler const usr1{SIGUSR1};
    fd_pair pipe = fd_pair::pipe();
    std::size_t const room = std::size_t(fcntl(pipe.second, F_GETPIPE_SZ));
    std::vector<char> const much(room + 1);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return write(pipe.second, much.data(), much.size()); }),
              (outcome{long(room), 0}));
}

// However late the handler comes.
TEST(handlers, sleep_tells_what_is_left) {
    handler const usr1{SIGUSR1};
    auto const some_of = [](long left) { return left >= 90 && left < 100; };
    EXPECT_PRED1(some_of, with_signal(SIGUSR1, [] { return sleep(100); }).result);
    timespec const wanted{100, 0};
    timespec left{};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return nanosleep(&wanted, &left); }), interrupted);
    EXPECT_PRED1(some_of, left.tv_sec);
    left = {};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return clock_nanosleep(CLOCK_MONOTONIC, 0, &wanted, &left); }).result, EINTR);
    EXPECT_PRED1(some_of, left.tv_sec);
}

TEST(sigaction, shows_what_the_program_installed) {
    coir::yield(); // there is a hub
    struct sigaction now {
    }, action{};
    {
        handler const usr1{SIGUSR1, SA_RESTART | SA_NODEFER};
        EXPECT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
        EXPECT_EQ(now.sa_handler, count);
        EXPECT_EQ(now.sa_flags & (SA_RESTART | SA_NODEFER | SA_SIGINFO), SA_RESTART | SA_NODEFER);
        static int value = 0;
        action.sa_sigaction = [](int, siginfo_t* about, void*) { value = about->si_value.sival_int; };
        action.sa_flags = SA_SIGINFO;
        EXPECT_EQ(sigaction(SIGUSR1, &action, &now), 0);
        EXPECT_EQ(now.sa_handler, count);
        EXPECT_EQ(sigqueue(getpid(), SIGUSR1, sigval{42}), 0);
        EXPECT_EQ(value, 42);
        EXPECT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
        EXPECT_EQ(now.sa_sigaction, action.sa_sigaction);
        EXPECT_EQ(reinterpret_cast<void*>(signal(SIGUSR1, SIG_IGN)), reinterpret_cast<void*>(action.sa_sigaction));
        EXPECT_EQ(signal(SIGUSR1, count), SIG_IGN);
        EXPECT_EQ(signal(SIGUSR1, count), count);
        EXPECT_EQ(raise(SIGUSR1), 0);
        EXPECT_EQ(calls, 1);
    }
    EXPECT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
    EXPECT_EQ(sigaction(SIGKILL, &action, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(sigaction(1000, &action, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(signal(1000, count), SIG_ERR);
}

TEST(sigaction, handler_that_resets_itself) {
    handler const usr1{SIGUSR1, int(SA_RESETHAND)};
    EXPECT_EQ(with_signal(SIGUSR1, [] { return usleep(50'000'000); }), interrupted);
    struct sigaction now {};
    EXPECT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
}

TEST(sigaction, ignores_and_does_the_default_whatever_the_flags) {
    coir::yield();
    struct sigaction before {
    }, action{}, now{};
    action.sa_flags = SA_SIGINFO;
    action.sa_handler = SIG_IGN;
    EXPECT_EQ(sigaction(SIGURG, &action, &before), 0);
    EXPECT_EQ(raise(SIGURG), 0);
    EXPECT_EQ(sigaction(SIGURG, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, SIG_IGN);
    action.sa_sigaction = [](int, siginfo_t*, void*) { ++calls; };
    action.sa_flags = SA_SIGINFO | int(SA_RESETHAND);
    calls = 0;
    EXPECT_EQ(sigaction(SIGURG, &action, nullptr), 0);
    EXPECT_EQ(raise(SIGURG), 0);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(sigaction(SIGURG, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
    EXPECT_EQ(sigaction(SIGURG, &now, nullptr), 0); // with its SA_SIGINFO
    EXPECT_EQ(raise(SIGURG), 0);                    // is ignored by default
    EXPECT_EQ(calls, 1);
    sigaction(SIGURG, &before, nullptr);
}

TEST(sigaction, siginterrupt_makes_calls_interruptible) {
    handler const before{SIGUSR1};
    signal(SIGUSR1, count); // restarts, as BSD has it
    fd_pair pipe = fd_pair::pipe();
    char byte;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    EXPECT_EQ(siginterrupt(SIGUSR1, 1), 0);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return read(pipe.first, &byte, 1); }), interrupted);
    EXPECT_EQ(siginterrupt(SIGUSR1, 0), 0);
#pragma GCC diagnostic pop
    auto reads = coir::spawn([&] { return read(pipe.first, &byte, 1); });
    until_parked(reads);
    raise(SIGUSR1);
    until_parked(reads);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(write(pipe.second, "x", 1), 1);
    EXPECT_EQ(reads.get(), 1);
}

TEST_ALONE(handlers, that_are_older_than_the_hub) {
    handler const usr1{SIGUSR1};
    EXPECT_EQ(with_signal(SIGUSR1, [] { return usleep(50'000'000); }), interrupted);
    struct sigaction now {};
    EXPECT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, count);
}

TEST(waits_for_signals, pause_until_a_handler_ran) {
    handler const usr1{SIGUSR1, SA_RESTART};
    EXPECT_EQ(with_signal(SIGUSR1, [] { return pause(); }), interrupted);
    EXPECT_EQ(calls, 1);
}

TEST(waits_for_signals, sigsuspend_lets_in_what_is_blocked) {
    handler const usr1{SIGUSR1}, usr2{SIGUSR2};
    blocked const one{SIGUSR1};
    sigset_t none;
    sigemptyset(&none);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return sigsuspend(&none); }), interrupted);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(with_signal(SIGUSR2, [&] { return sigsuspend(&none); }), interrupted);
    EXPECT_EQ(calls, 2);
    raise(SIGUSR1); // pending already
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(sigsuspend(&none), -1);
    EXPECT_EQ(errno, EINTR);
    EXPECT_EQ(calls, 3);
}

// Who may raise its limit, as root may, gets one above it.
TEST_ALONE(waits_for_signals, say_when_there_can_be_no_descriptor_for_them) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "UndefinedBehaviorSanitizer makes a pipe to look whether an object is of its type";
#endif
    handler const usr1{SIGUSR1};
    blocked const one{SIGUSR1};
    sigset_t none;
    sigemptyset(&none);
    coir::spawn([] { usleep(1); }).join(); // the loop has its own
    if (getuid() == 0) {
        ASSERT_EQ(setresgid(65534, 65534, 65534), 0);
        ASSERT_EQ(setresuid(65534, 65534, 65534), 0);
    }
    rlimit const few{64, 64};
    setrlimit(RLIMIT_NOFILE, &few);
    while (dup(0) >= 0) {}
    EXPECT_EQ(errno, EMFILE);
    EXPECT_EQ(outcome_of([&] { return sigsuspend(&none); }), (outcome{-1, EMFILE}));
}

TEST(waits_for_signals, sigpause_lets_in_what_is_blocked) {
    handler const usr1{SIGUSR1}, usr2{SIGUSR2};
    blocked const one{SIGUSR1};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return __sigpause(0, 0); }), interrupted);       // BSD's: a mask
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return __sigpause(SIGUSR1, 1); }), interrupted); // X/Open's: a signal
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(with_signal(SIGUSR2, [&] { return __sigpause(1 << (SIGUSR1 - 1), 0); }), interrupted);
    EXPECT_EQ(calls, 3);
    EXPECT_EQ(__sigpause(1000, 1), -1);
    EXPECT_EQ(errno, EINVAL);
}

// The pending signal wakes the waiter; who runs before it lets the signal in.
TEST(waits_for_signals, end_by_a_handler_that_ran_before_the_waiter_s_turn) {
    handler const usr1{SIGUSR1};
    blocked const one{SIGUSR1};
    sigset_t none, let_in = blocked::only(SIGUSR1);
    sigemptyset(&none);
    fd_pair pipe = fd_pair::pipe(), other = fd_pair::pipe(), never = fd_pair::pipe();
    pollfd waited{never.first, POLLIN, 0};
    for (bool const polls : {false, true}) {
        int const before = calls;
        auto let_it_in = [&](int fd) {
            char byte;
            EXPECT_EQ(read(fd, &byte, 1), 1);
            pthread_sigmask(SIG_UNBLOCK, &let_in, nullptr);
            pthread_sigmask(SIG_BLOCK, &let_in, nullptr);
        };
        // Of the two, one comes before the waiter, in whatever order the loop takes what it finds at once.
        auto sooner = coir::spawn(let_it_in, pipe.first), later = coir::spawn(let_it_in, other.first);
        until_parked(later);
        until_parked(sooner);
        auto waiter = coir::spawn([&] {
            int const result = polls ? ppoll(&waited, 1, nullptr, &none) : sigsuspend(&none);
            return result == -1 ? errno : 0;
        });
        until_parked(waiter);
        EXPECT_EQ(write(pipe.second, "x", 1), 1);
        raise(SIGUSR1);
        EXPECT_EQ(write(other.second, "x", 1), 1);
        EXPECT_EQ(waiter.get(), EINTR);
        sooner.join();
        later.join();
        EXPECT_EQ(calls, before + 1);
    }
}

TEST(waits_for_signals, masks_of_ppoll_pselect_and_epoll_pwait_let_in_what_is_blocked) {
    handler const usr1{SIGUSR1};
    blocked const one{SIGUSR1};
    sigset_t none;
    sigemptyset(&none);
    fd_pair pipe = fd_pair::pipe();
    pollfd waited{pipe.first, POLLIN, 0}, urgent{pipe.first, POLLPRI, 0};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return ppoll(&waited, 1, nullptr, &none); }), interrupted);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return ppoll(&urgent, 1, nullptr, &none); }), interrupted);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return pselect(0, nullptr, nullptr, nullptr, nullptr, &none); }), interrupted);
    int const epoll = checked(epoll_create1(0), "epoll_create1");
    epoll_event event{};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return epoll_pwait(epoll, &event, 1, -1, &none); }), interrupted);
    close(epoll);
    EXPECT_EQ(calls, 4);
    EXPECT_EQ(poll(&waited, 1, 0), 0);
    raise(SIGUSR1);
    EXPECT_EQ(poll(&waited, 1, 1), 0); // the thread's own mask holds
    EXPECT_EQ(calls, 4);
    timespec const soon{0, 1000};
    EXPECT_EQ(ppoll(&waited, 1, &soon, &none), -1);
    EXPECT_EQ(calls, 5);
}

TEST(waits_for_signals, sigwait_and_its_kin) {
    blocked const one{SIGUSR1};
    sigset_t const set = blocked::only(SIGUSR1);
    int number = 0;
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return sigwait(&set, &number); }), (outcome{0, 0}));
    EXPECT_EQ(number, SIGUSR1);
    siginfo_t about{};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return sigwaitinfo(&set, &about); }), (outcome{SIGUSR1, 0}));
    EXPECT_EQ(about.si_pid, getpid());
    timespec const soon{0, 1'000'000};
    EXPECT_EQ(sigtimedwait(&set, &about, &soon), -1);
    EXPECT_EQ(errno, EAGAIN);
    for (timespec const& wrong : {timespec{0, 2'000'000'000}, timespec{-1, 0}, timespec{0, -1}}) {
        EXPECT_EQ(sigtimedwait(&set, &about, &wrong), -1);
        EXPECT_EQ(errno, EINVAL);
    }
    handler const usr2{SIGUSR2, SA_RESTART};
    EXPECT_EQ(with_signal(SIGUSR2, [&] { return sigwaitinfo(&set, &about); }), interrupted);
}
