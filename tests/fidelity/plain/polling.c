/* waits: poll ppoll select pselect */
/* poll, ppoll, select, pselect: until something comes, until it is too late, and at once. */
#include "plain.h"

#include <poll.h>
#include <sys/select.h>

static int ends[2], other_ends[2];
static char buffer[16];

static void writes_twice(void) {
    close(ends[0]);
    close(other_ends[0]);
    until_parent_waits();
    write_all(ends[1], "a", 1);
    read_all(ends[1], buffer, 1);
    until_parent_waits();
    write_all(other_ends[1], "b", 1);
    read_all(ends[1], buffer, 1);
    until_parent_waits();
}

static pid_t begin(void) {
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    MUST(pipe(other_ends));
    pid_t const other = child(writes_twice);
    close(ends[1]);
    close(other_ends[1]);
    return other;
}

static void end(void) {
    close(ends[0]);
    close(other_ends[0]);
}

static void by_poll(int precisely) {
    pid_t const other = begin();
    struct pollfd set[] = {{ends[0], POLLIN, 0}, {other_ends[0], POLLIN, 0}, {-1, POLLIN, 0}};
    for (int i = 0; i < 3; ++i) {
        struct timespec const limit = {10, 0};
        if (i == 2) ended(other); /* closes both */
        if (precisely)
            TELL(ppoll(set, 3, &limit, NULL));
        else
            TELL(poll(set, 3, i == 0 ? -1 : 10000));
        printf("events %#x %#x %#x\n", set[0].revents, set[1].revents, set[2].revents);
        if (i == 2) break;
        show("read", buffer, PIECES(1, read(set[i].fd, buffer, sizeof buffer)));
        write_all(ends[0], "n", 1);
    }
    end();
}

static void by_select(int precisely) {
    pid_t const other = begin();
    int const most = (ends[0] > other_ends[0] ? ends[0] : other_ends[0]) + 1;
    for (int i = 0; i < 3; ++i) {
        fd_set reading;
        long count;
        if (i == 2) ended(other);
        do { /* a failed select leaves the sets alone; they are filled anew all the same */
            FD_ZERO(&reading);
            FD_SET(ends[0], &reading);
            FD_SET(other_ends[0], &reading);
            struct timeval limit = {10, 0};
            struct timespec const exact = {10, 0};
            count = precisely ? pselect(most, &reading, NULL, NULL, &exact, NULL)
                              : select(most, &reading, NULL, NULL, i == 0 ? NULL : &limit);
        } while (IS_CAREFUL && count == -1 && errno == EINTR);
        told("select", count, 0);
        printf("set %d %d\n", FD_ISSET(ends[0], &reading) != 0, FD_ISSET(other_ends[0], &reading) != 0);
        if (i == 2) break;
        show("read", buffer, PIECES(1, read(i ? other_ends[0] : ends[0], buffer, sizeof buffer)));
        write_all(ends[0], "n", 1);
    }
    end();
}

static void too_late(void) {
    MUST(pipe(ends));
    struct pollfd set[] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}};
    TELL(poll(set, 1, 0));
    TELL(poll(set, 1, 15));
    TELL(poll(set, 2, 15));
    printf("events %#x %#x\n", set[0].revents, set[1].revents);
    TELL(poll(NULL, 0, 12));
    struct timespec const soon = {0, 12000000}, wrong = {0, 1000000000};
    TELL(ppoll(set, 1, &soon, NULL));
    FAILS(EINVAL, ppoll(set, 1, &wrong, NULL));
    fd_set reading, writing;
    FD_ZERO(&reading);
    FD_ZERO(&writing);
    FD_SET(ends[0], &reading);
    FD_SET(ends[1], &writing);
    struct timeval limit = {0, 12000};
    TELL(select(ends[1] + 1, &reading, NULL, NULL, &limit));
    if (!IS_CAREFUL) printf("left %ld.%06ld, set %d\n", (long)limit.tv_sec, (long)limit.tv_usec, FD_ISSET(ends[0], &reading) != 0);
    FD_SET(ends[0], &reading);
    TELL(pselect(ends[1] + 1, &reading, &writing, NULL, &soon, NULL));
    printf("set %d %d\n", FD_ISSET(ends[0], &reading) != 0, FD_ISSET(ends[1], &writing) != 0);
    limit = (struct timeval){0, 12000};
    TELL(select(0, NULL, NULL, NULL, &limit));
    close(ends[1]);
    TELL(poll(set, 1, -1));
    printf("events %#x\n", set[0].revents);
    close(ends[0]);
    TELL(poll(set, 2, -1));
    printf("events %#x %#x\n", set[0].revents, set[1].revents);
    FD_ZERO(&reading);
    FD_SET(ends[0], &reading);
    FAILS(EBADF, select(ends[0] + 1, &reading, NULL, NULL, NULL));
    FAILS(EINVAL, select(-1, NULL, NULL, NULL, NULL));
}

static void signalled(void) {
    handles(SIGUSR1, SA_RESTART); /* these are never restarted */
    pid_t other = child(signals_parent);
    UNTIL(handled, poll(NULL, 0, 10000));
    ended(other);
    handled = 0;
    sigset_t blocked, nothing;
    sigemptyset(&nothing);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    other = child(signals_parent);
    ended(other);
    printf("handled %d\n", (int)handled);
    UNTIL(handled, ppoll(NULL, 0, NULL, &nothing));
    printf("handled %d\n", (int)handled);
    handled = 0;
    other = child(signals_parent);
    UNTIL(handled, pselect(0, NULL, NULL, NULL, NULL, &nothing));
    printf("handled %d\n", (int)handled);
    ended(other);
}

int main(void) {
    by_poll(0);
    by_poll(1);
    by_select(0);
    by_select(1);
    too_late();
    signalled();
    return finish();
}
