/* waits: pause sigsuspend sigwait sigwaitinfo sigtimedwait read recv */
/* Signals: waited for, let in, and what calls do when a handler has run, with SA_RESTART and without. */
#include "plain.h"

#include <sys/epoll.h>

static volatile sig_atomic_t last_value;
static void on_signal_with(int number, siginfo_t* about, void* where) {
    (void)number, (void)where;
    last_value = about->si_value.sival_int;
    ++handled;
}

static void signals_parent_twice(void) {
    signals_parent();
    until_parent_waits();
    kill(getppid(), SIGUSR2);
}

static void waiting_for_one(void) {
    handles(SIGUSR1, 0);
    pid_t other = child(signals_parent);
    UNTIL(handled, pause());
    printf("handled %d\n", (int)handled);
    ended(other);
    sigset_t blocked, before, open_one;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    handled = 0;
    other = child(signals_parent);
    open_one = before;
    sigdelset(&open_one, SIGUSR1);
    UNTIL(handled, sigsuspend(&open_one));
    printf("handled %d\n", (int)handled);
    ended(other);
    sigprocmask(SIG_BLOCK, NULL, &open_one);
    printf("blocked again: %d\n", sigismember(&open_one, SIGUSR1));

    int number = 0;
    handled = 0;
    other = child(signals_parent);
    RETURNS(sigwait(&blocked, &number));
    printf("number %d, handled %d\n", number == SIGUSR1, (int)handled);
    ended(other);
    siginfo_t about;
    other = child(signals_parent);
    printf("sigwaitinfo %d\n", AGAIN(sigwaitinfo(&blocked, &about)) == SIGUSR1);
    printf("from the child %d, code %d\n", about.si_pid == other, about.si_code);
    ended(other);
    struct timespec const soon = {0, 12000000}, long_time = {10, 0}, none = {0, 0};
    FAILS(EAGAIN, sigtimedwait(&blocked, &about, &soon));
    FAILS(EAGAIN, sigtimedwait(&blocked, NULL, &none));
    other = child(signals_parent);
    printf("sigtimedwait %d\n", AGAIN(sigtimedwait(&blocked, NULL, &long_time)) == SIGUSR1);
    ended(other);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static int ends[2];
static char byte;

static void signals_and_writes(void) {
    signals_parent();
    until_parent_waits();
    write_all(ends[1], "x", 1);
}

static void signals_and_lingers(void) {
    signals_parent();
    until_parent_waits();
}

/* What a read does when a handler ran: without SA_RESTART it ends, with it goes on. */
static void interrupted(int flags) {
    printf("flags %#x\n", (unsigned)flags);
    handles(SIGUSR1, flags);
    MUST(pipe(ends));
    pid_t other = child(signals_and_writes);
    UNTIL(handled, read(ends[0], &byte, 1));
    ended(other);
    if (!(flags & SA_RESTART)) MUST(read(ends[0], &byte, 1));
    printf("handled %d\n", (int)handled);
    close(ends[0]);
    close(ends[1]);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    handled = 0;
    other = child(signals_and_writes);
    UNTIL(handled, recv(ends[0], &byte, 1, 0));
    ended(other);
    if (!(flags & SA_RESTART)) MUST(recv(ends[0], &byte, 1, 0));
    handled = 0;
    struct timeval const long_time = {10, 0}; /* with a timeout it ends all the same */
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof long_time);
    other = child(signals_and_writes);
    UNTIL(handled, recv(ends[0], &byte, 1, 0));
    ended(other);
    MUST(recv(ends[0], &byte, 1, 0));
    close(ends[0]);
    close(ends[1]);
    handled = 0;
    int status;
    other = child(signals_and_lingers);
    UNTIL(handled, waitpid(other, &status, 0) == other ? 0 : -1);
    if (!(flags & SA_RESTART)) MUST(waitpid(other, &status, 0));
    handled = 0;
    other = child(signals_parent);
    int const set = (int)MUST(epoll_create1(0));
    struct epoll_event event;
    UNTIL(handled, epoll_wait(set, &event, 1, 10000)); /* never goes on */
    close(set);
    ended(other);
}

static void on_another(int number) {
    (void)number;
    ++handled;
    write_all(ends[1], "h", 1); /* from within the handler */
}

static void within(void) {
    MUST(pipe(ends));
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_another;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    handled = 0;
    pid_t const other = child(signals_parent_twice);
    char both[2];
    printf("read %zu\n", read_all(ends[0], both, 2));
    printf("handled %d\n", (int)handled);
    ended(other);
    close(ends[0]);
    close(ends[1]);
}

static void queues(void) {
    union sigval value;
    until_parent_waits();
    for (value.sival_int = 1; value.sival_int <= 3; ++value.sival_int) sigqueue(getppid(), SIGRTMIN + 3, value);
}

static void queued(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal_with;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGRTMIN + 3, &action, NULL);
    handled = 0;
    sigset_t blocked, before; /* but in sigsuspend: all of them might come before it */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    pid_t const other = child(queues);
    while (handled < 3) sigsuspend(&before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    printf("last %d\n", (int)last_value);
    ended(other);
    struct sigaction now;
    TELL(sigaction(SIGRTMIN + 3, NULL, &now));
    printf("kept: %d\n", now.sa_sigaction == on_signal_with && now.sa_flags & SA_SIGINFO);
    printf("before: %d\n", signal(SIGUSR2, SIG_DFL) == on_another);
    FAILS(EINVAL, sigaction(SIGKILL, &action, NULL));
}

int main(void) {
    waiting_for_one();
    interrupted(0);
    interrupted(SA_RESTART);
    within();
    queued();
    return finish();
}
