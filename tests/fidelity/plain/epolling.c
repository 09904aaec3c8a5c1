/* waits: epoll_wait epoll_pwait epoll_pwait2 */
/* The epoll family: what is registered, what is reported, and when. */
#include "plain.h"

#include <sys/epoll.h>

static int ends[2], other_ends[2];
static char buffer[16];

static void writes(void) {
    close(ends[0]);
    until_parent_waits();
    write_all(ends[1], "abc", 3);
    read_all(ends[1], buffer, 1);
    until_parent_waits();
    write_all(ends[1], "def", 3);
    read_all(ends[1], buffer, 1);
    until_parent_waits();
}

static void tell_events(struct epoll_event const* events, long count) {
    for (long i = 0; i < count; ++i) printf("  %#x for %llu\n", events[i].events, (unsigned long long)events[i].data.u64);
}

static void conversation(int how) {
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    pid_t const other = child(writes);
    close(ends[1]);
    int const set = (int)MUST(how ? epoll_create1(EPOLL_CLOEXEC) : epoll_create(1));
    struct epoll_event events[4], wanted = {EPOLLIN | EPOLLRDHUP, {.u64 = 7}};
    TELL(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &wanted));
    FAILS(EEXIST, epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &wanted));
    struct timespec const long_time = {10, 0};
    for (int i = 0; i < 3; ++i) {
        if (how == 0)
            tell_events(events, TELL(epoll_wait(set, events, 4, -1)));
        else if (how == 1)
            tell_events(events, TELL(epoll_pwait(set, events, 4, 10000, NULL)));
        else
            tell_events(events, TELL(epoll_pwait2(set, events, 4, &long_time, NULL)));
        if (i == 2) break;
        show("read", buffer, PIECES(3, read(ends[0], buffer + done, sizeof buffer - done)));
        write_all(ends[0], "n", 1);
    }
    TELL(epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL));
    TELL(epoll_wait(set, events, 4, 12));
    FAILS(ENOENT, epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL));
    ended(other);
    close(ends[0]);
    close(set);
}

static void kinds(void) {
    int const set = (int)MUST(epoll_create1(0));
    struct epoll_event events[4];
    MUST(pipe(ends));
    MUST(pipe(other_ends));
    struct epoll_event once = {EPOLLIN | EPOLLONESHOT, {.u64 = 1}}, edge = {EPOLLIN | EPOLLET, {.u64 = 2}},
                       out = {EPOLLOUT, {.u64 = 3}};
    TELL(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &once));
    TELL(epoll_ctl(set, EPOLL_CTL_ADD, other_ends[0], &edge));
    TELL(epoll_wait(set, events, 4, 0));
    TELL(epoll_wait(set, events, 4, 12));
    write_all(ends[1], "xy", 2);
    tell_events(events, TELL(epoll_wait(set, events, 4, -1)));
    TELL(epoll_wait(set, events, 4, 12));
    TELL(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &once));
    tell_events(events, TELL(epoll_wait(set, events, 4, -1)));
    write_all(other_ends[1], "z", 1);
    tell_events(events, TELL(epoll_wait(set, events, 4, -1)));
    TELL(epoll_wait(set, events, 4, 12));
    write_all(other_ends[1], "z", 1);
    tell_events(events, TELL(epoll_wait(set, events, 4, -1)));
    TELL(epoll_ctl(set, EPOLL_CTL_ADD, ends[1], &out));
    tell_events(events, TELL(epoll_wait(set, events, 1, -1)));
    close(other_ends[1]);
    long const count = TELL(epoll_wait(set, events, 4, -1));
    unsigned seen = 0;
    for (long i = 0; i < count; ++i) seen |= 1u << events[i].data.u64;
    printf("seen %#x\n", seen);
    int const directory = (int)MUST(open(".", O_RDONLY));
    FAILS(EPERM, epoll_ctl(set, EPOLL_CTL_ADD, directory, &out));
    close(directory);
    FAILS(EINVAL, epoll_ctl(set, EPOLL_CTL_ADD, set, &out));
    FAILS(EINVAL, epoll_wait(set, events, 0, -1));
    FAILS(EBADF, epoll_wait(-1, events, 4, -1));
    FAILS(EINVAL, epoll_wait(ends[0], events, 4, -1));
    close(ends[0]);
    close(ends[1]);
    close(other_ends[0]);
    close(set);
}

static int inner;

static void writes_once(void) {
    until_parent_waits();
    write_all(ends[1], "n", 1);
    until_parent_waits(); /* it has seen only that, not the end */
}

/* A set in a set, and an empty one that gets its first descriptor from a thread that waits beside. */
static void* adds(void* set) {
    until_main_waits();
    struct epoll_event wanted = {EPOLLIN, {.u64 = 4}};
    MUST(epoll_ctl(*(int*)set, EPOLL_CTL_ADD, ends[0], &wanted));
    return NULL;
}

static void nested(void) {
    MUST(pipe(ends));
    int outer = (int)MUST(epoll_create1(0));
    inner = (int)MUST(epoll_create1(0));
    struct epoll_event events[2], wanted = {EPOLLIN, {.u64 = 9}};
    TELL(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &wanted));
    TELL(epoll_ctl(inner, EPOLL_CTL_ADD, ends[0], &wanted));
    pid_t const other = child(writes_once);
    close(ends[1]); /* or it waits forever for a child that gives up */
    tell_events(events, TELL(epoll_wait(outer, events, 2, -1)));
    tell_events(events, TELL(epoll_wait(inner, events, 2, -1)));
    ended(other);
    close(inner);
    pthread_t thread;
    RETURNS(pthread_create(&thread, NULL, adds, &outer));
    tell_events(events, TELL(epoll_wait(outer, events, 2, -1)));
    RETURNS(pthread_join(thread, NULL));
    close(outer);
    close(ends[0]);
}

int main(void) {
    conversation(0);
    conversation(1);
    conversation(2);
    kinds();
    nested();
    return finish();
}
