/* waits: nanosleep clock_nanosleep usleep sleep pause */
/* Sleeps and alarms: how long is not told, but whether it was long enough, what is left, and what ends them. */
#include "plain.h"

#include <sys/time.h>
#include <sys/timerfd.h>

static long long now(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return at.tv_sec * 1000000000ll + at.tv_nsec;
}

static void simple(void) {
    long long const begin = now(CLOCK_MONOTONIC);
    struct timespec wanted = {0, 15000000};
    TELL(nanosleep(&wanted, &wanted));
    printf("long enough: %d\n", now(CLOCK_MONOTONIC) - begin >= 15000000);
    TELL(usleep(12000));
    printf("long enough: %d\n", now(CLOCK_MONOTONIC) - begin >= 27000000);
    long long const until = now(CLOCK_MONOTONIC) + 12000000;
    struct timespec const at = {until / 1000000000, until % 1000000000};
    int error;
    do error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    while (IS_CAREFUL && error == EINTR);
    printf("clock_nanosleep %d, long enough: %d\n", error, now(CLOCK_MONOTONIC) >= until);
    RETURNS(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL)); /* is over */
    TELL(sleep(0));
    TELL(usleep(0));
    struct timespec const wrong = {0, 1000000000}, negative = {-1, 0};
    FAILS(EINVAL, nanosleep(&wrong, NULL));
    FAILS(EINVAL, nanosleep(&negative, NULL));
    printf("%s\n", strerrorname_np(clock_nanosleep(CLOCK_MONOTONIC, 0, &wrong, NULL)));
    printf("%s\n", strerrorname_np(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &at, NULL)));
}

static void ended_by_signals(void) {
    handles(SIGUSR1, SA_RESTART);
    pid_t other = child(signals_parent);
    struct timespec wanted = {20, 0}, left = {0, 0};
    long result;
    do {
        result = nanosleep(&wanted, &left);
        wanted = left;
    } while (IS_CAREFUL && result == -1 && errno == EINTR && !handled);
    told("nanosleep", result, 0);
    printf("left: %d, handled %d\n", left.tv_sec > 0 && left.tv_sec < 20, (int)handled);
    ended(other);
    handled = 0;
    other = child(signals_parent);
    unsigned rest = 20;
    do rest = sleep(rest);
    while (IS_CAREFUL && rest && !handled);
    printf("sleep: some is left: %d, handled %d\n", rest > 0, (int)handled);
    ended(other);
    handled = 0;
    other = child(signals_parent);
    UNTIL(handled, usleep(20000000));
    ended(other);
    handled = 0;
    other = child(signals_parent);
    struct timespec const relative = {20, 0};
    int error;
    do error = clock_nanosleep(CLOCK_REALTIME, 0, &relative, &left);
    while (IS_CAREFUL && error == EINTR && !handled);
    printf("clock_nanosleep %s\n", strerrorname_np(error));
    ended(other);
    signal(SIGUSR1, SIG_IGN);
    other = child(signals_parent);
    wanted = (struct timespec){0, 400000000};
    TELL(nanosleep(&wanted, &wanted)); /* ignored: it goes on */
    ended(other);
}

static void alarms(void) {
    handles(SIGALRM, 0); /* again and again: one that came before the wait would not come back */
    struct itimerval setting = {{0, 15000}, {0, 15000}}, before;
    TELL(setitimer(ITIMER_REAL, &setting, NULL));
    UNTIL(handled, pause());
    printf("handled: %d\n", handled > 0);
    setting.it_interval.tv_usec = 5000;
    TELL(setitimer(ITIMER_REAL, &setting, NULL));
    while (handled < 4) pause();
    setting = (struct itimerval){{0, 0}, {0, 0}};
    TELL(setitimer(ITIMER_REAL, &setting, &before));
    printf("every %ld\n", (long)before.it_interval.tv_usec);
    TELL(alarm(100));
    TELL(alarm(0));
    handled = 0;
    TELL(ualarm(10000, 0));
    struct timespec left = {5, 0};
    while (!handled) nanosleep(&left, &left);
    printf("some is left: %d\n", left.tv_sec > 0);
    timer_t timer;
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGALRM;
    TELL(timer_create(CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec const each = {{0, 12000000}, {0, 12000000}};
    handled = 0;
    TELL(timer_settime(timer, 0, &each, NULL));
    while (!handled) pause();
    TELL(timer_delete(timer));
}

int main(void) {
    simple();
    ended_by_signals();
    alarms();
    return finish();
}
