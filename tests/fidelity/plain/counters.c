/* waits: read write */
/* Descriptors that count, tell the time, signals, or what happens to files: eventfd, timerfd, signalfd, inotify. */
#include "plain.h"

#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static int counter;
static uint64_t number;

static void adds(void) {
    number = 5;
    until_parent_waits();
    MUST(write(counter, &number, sizeof number));
}

static void takes(void) {
    until_parent_waits();
    MUST(read(counter, &number, sizeof number));
    printf("other side took %llu\n", (unsigned long long)number);
}

static void counters(void) {
    counter = (int)MUST(eventfd(0, 0));
    pid_t other = child(adds);
    TELL(read(counter, &number, sizeof number));
    printf("%llu\n", (unsigned long long)number);
    ended(other);
    number = UINT64_MAX - 1;
    TELL(write(counter, &number, sizeof number));
    other = child(takes);
    number = 3;
    TELL(write(counter, &number, sizeof number)); /* full: waits */
    ended(other);
    eventfd_t got = 0;
    TELL(eventfd_read(counter, &got));
    printf("%llu\n", (unsigned long long)got);
    TELL(eventfd_write(counter, 9));
    FAILS(EINVAL, read(counter, &number, 4));
    close(counter);
    counter = (int)MUST(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    for (int i = 0; i < 2; ++i) PIECES(8, read(counter, &number, sizeof number));
    FAILS(EAGAIN, read(counter, &number, sizeof number));
    close(counter);
}

static void timers(void) {
    int const timer = (int)MUST(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    struct itimerspec setting = {{0, 0}, {0, 15000000}}, now;
    TELL(timerfd_settime(timer, 0, &setting, NULL));
    TELL(read(timer, &number, sizeof number));
    printf("%llu\n", (unsigned long long)number);
    TELL(timerfd_gettime(timer, &now));
    printf("stands: %d\n", now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
    setting.it_interval.tv_nsec = 5000000;
    TELL(timerfd_settime(timer, 0, &setting, NULL));
    uint64_t rounds = 0;
    while (rounds < 3) {
        MUST(read(timer, &number, sizeof number));
        rounds += number;
    }
    setting.it_value.tv_nsec = 0;
    TELL(timerfd_settime(timer, 0, &setting, NULL));
    TELL(fcntl(timer, F_SETFL, O_NONBLOCK));
    FAILS(EAGAIN, read(timer, &number, sizeof number));
    close(timer);
}

static void sends_two(void) {
    until_parent_waits();
    kill(getppid(), SIGUSR1);
    union sigval const value = {77};
    sigqueue(getppid(), SIGUSR2, value);
}

static void signals(void) {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGUSR1);
    sigaddset(&wanted, SIGUSR2);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    int const fd = (int)MUST(signalfd(-1, &wanted, 0));
    pid_t const other = child(sends_two);
    int seen = 0, value = 0, from = 0;
    while (seen != 3) {
        struct signalfd_siginfo about;
        MUST(read(fd, &about, sizeof about));
        seen |= about.ssi_signo == SIGUSR1 ? 1 : 2;
        if (about.ssi_signo == SIGUSR2) value = about.ssi_int;
        from += (pid_t)about.ssi_pid == other;
    }
    printf("signals %d, value %d, from the child %d\n", seen, value, from);
    ended(other);
    char small[8];
    FAILS(EINVAL, read(fd, small, sizeof small));
    close(fd);
    sigprocmask(SIG_UNBLOCK, &wanted, NULL);
}

static void changes_files(void) {
    until_parent_waits();
    int const fd = (int)MUST(open("watched/file", O_WRONLY | O_CREAT, 0600));
    write_all(fd, "x", 1);
    close(fd);
    until_parent_waits();
    MUST(rename("watched/file", "watched/other"));
    MUST(unlink("watched/other"));
    MUST(rmdir("watched"));
}

static void watching(void) {
    MUST(mkdir("watched", 0700));
    int const fd = (int)MUST(inotify_init1(0));
    TELL(inotify_add_watch(fd, "watched", IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF));
    FAILS(ENOENT, inotify_add_watch(fd, "nothing", IN_CREATE));
    pid_t const other = child(changes_files);
    for (int over = 0; !over;) {
        char events[4096] __attribute__((aligned(8)));
        long const size = MUST(read(fd, events, sizeof events));
        for (long at = 0; at < size;) {
            struct inotify_event const* const event = (struct inotify_event const*)(events + at);
            printf("%#x %s\n", event->mask, event->len ? event->name : "-");
            over |= (event->mask & IN_IGNORED) != 0;
            at += (long)(sizeof *event + event->len);
        }
    }
    ended(other);
    struct pollfd one = {fd, POLLIN, 0};
    TELL(poll(&one, 1, 12));
    close(fd);
}

int main(void) {
    counters();
    timers();
    signals();
    watching();
    return finish();
}
