/* What the plain programs share: they tell what each call gave them, on stdout, and have another side, a child or a
 * thread, which lets them wait.
 *
 * Built with -DCAREFUL they are what runs below faults: a call that a signal may end is made again, what may come or go in
 * pieces is put together, and what no program can go on without ends it with a word on stderr and status 1, together with
 * its children. They print the same. Without, every call is made once, and what it gives is printed as it is. */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef CAREFUL
#define IS_CAREFUL 1
#else
#define IS_CAREFUL 0
#endif
#define UNUSED __attribute__((unused))
/* What programs leave SIGPIPE as. */
#define SIGPIPE_BEFORE (IS_CAREFUL ? SIG_IGN : SIG_DFL)

/* Of System V's, which outlive a process: removed when the program gives up. -1: none. */
static volatile int own_queue UNUSED = -1, own_set UNUSED = -1;

static void remove_what_stays(void) {
    if (own_queue >= 0) msgctl(own_queue, IPC_RMID, NULL);
    if (own_set >= 0) semctl(own_set, 0, IPC_RMID);
}

static UNUSED void on_giving_up(int number) {
    (void)number;
    remove_what_stays();
    _exit(1);
}

/* Ends the program and its children. */
static UNUSED __attribute__((noreturn)) void give_up(char const* what) {
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerrorname_np(errno));
    if (IS_CAREFUL) kill(0, SIGTERM); /* the program leads a process group of its own */
    remove_what_stays();
    _exit(1);
}

/* Errors that a careful program gives up at: nothing that it does brings them about. */
static UNUSED int is_hard(int error) {
    return error == ENOMEM || error == ENOBUFS || error == EMFILE || error == ENFILE || error == ECONNRESET;
}

/* After a call that may have failed hard without its being told of. */
static UNUSED void unless_hard(long result, char const* what) {
    if (IS_CAREFUL && result == -1 && is_hard(errno)) give_up(what);
}

static UNUSED long told(char const* what, long result, int expected) {
    int const error = errno;
    if (IS_CAREFUL && result == -1 && is_hard(error) && error != expected) give_up(what);
    if (result == -1)
        printf("%s = -1 %s\n", what, strerrorname_np(error));
    else
        printf("%s = %ld\n", what, result);
    errno = error;
    return result;
}

/* The call, made again after EINTR by a careful program. */
#define AGAIN(call)                                                                                                    \
    (__extension__({                                                                                                   \
        long again_;                                                                                                   \
        do                                                                                                             \
            again_ = (long)(call);                                                                                     \
        while (IS_CAREFUL && again_ == -1 && errno == EINTR);                                                          \
        again_;                                                                                                        \
    }))
/* Tells what it gave. */
#define TELL(call) told(#call, AGAIN(call), 0)
/* The same, where the error is what is to be seen. */
#define FAILS(error, call) told(#call, AGAIN(call), error)
/* What a handler is to end, and `ran` says that it did. */
#define UNTIL(ran, call)                                                                                               \
    (__extension__({                                                                                                   \
        long until_;                                                                                                   \
        do                                                                                                             \
            until_ = (long)(call);                                                                                     \
        while (IS_CAREFUL && until_ == -1 && errno == EINTR && !(ran));                                                \
        told(#call, until_, 0);                                                                                        \
    }))
/* Only told of if it fails, and then the program ends. */
#define MUST(call)                                                                                                     \
    (__extension__({                                                                                                   \
        long const must_ = AGAIN(call);                                                                                \
        if (must_ == -1) give_up(#call);                                                                               \
        must_;                                                                                                         \
    }))
/* For calls that return the error. */
#define RETURNS(call) returned(#call, call)
static UNUSED int returned(char const* what, int error) {
    if (IS_CAREFUL && (is_hard(error) || error == EAGAIN)) {
        errno = error;
        give_up(what);
    }
    printf("%s = %s\n", what, error ? strerrorname_np(error) : "0");
    return error;
}
/* A transfer of which `wanted` bytes are expected, made by `call`, which goes on behind the first `done` of them. A careful
 * program makes it until they are there, or the end. */
#define PIECES(wanted, call)                                                                                           \
    (__extension__({                                                                                                   \
        long done = 0, piece_;                                                                                         \
        do {                                                                                                           \
            piece_ = (long)(call);                                                                                     \
            if (piece_ > 0) done += piece_;                                                                            \
        } while (IS_CAREFUL && done < (long)(wanted) &&                                                                \
                 (piece_ > 0 || (piece_ == -1 && (errno == EINTR || errno == EAGAIN))));                               \
        if (IS_CAREFUL && piece_ == -1 && done && is_hard(errno)) give_up(#call);                                      \
        told(#call, done ? done : piece_, 0);                                                                          \
    }))

/* Prints the bytes. */
static UNUSED void show(char const* name, void const* data, long size) {
    printf("%s: \"", name);
    for (long i = 0; i < size; ++i) {
        unsigned char const byte = ((unsigned char const*)data)[i];
        if (byte >= ' ' && byte < 127)
            putchar(byte);
        else
            printf("\\%03o", byte);
    }
    printf("\"\n");
}

/* A sum that tells one order of bytes from another. */
static UNUSED unsigned sum_of(void const* data, size_t size) {
    unsigned sum = 2166136261u;
    for (size_t i = 0; i < size; ++i) sum = (sum ^ ((unsigned char const*)data)[i]) * 16777619u;
    return sum;
}

static UNUSED void fill_pattern(void* data, size_t size, unsigned seed) {
    for (size_t i = 0; i < size; ++i) {
        seed = seed * 1103515245u + 12345u;
        ((unsigned char*)data)[i] = (unsigned char)(seed >> 16);
    }
}

/* All of it, however many calls that takes. */
static UNUSED void write_all(int fd, void const* data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t const count = write(fd, (char const*)data + done, size - done);
        if (count == -1 && IS_CAREFUL && (errno == EINTR || errno == EAGAIN)) continue;
        if (count == -1) give_up("write");
        done += (size_t)count;
    }
}

/* Until `size` bytes are there, or the end. */
static UNUSED size_t read_all(int fd, void* data, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t const count = read(fd, (char*)data + done, size - done);
        if (count == -1 && IS_CAREFUL && (errno == EINTR || errno == EAGAIN)) continue;
        if (count == -1) give_up("read");
        if (count == 0) break;
        done += (size_t)count;
    }
    return done;
}

/* So that the other side is likely to wait already; nothing depends on it. */
static UNUSED void a_while(void) {
    struct timespec left = {0, 12 * 1000 * 1000};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {}
}

/* Of a child: until its parent waits, in whatever call. */
static UNUSED void until_parent_waits(void) {
    char path[40], text[200];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)getppid());
    for (int seen = 0; seen < 3;) {
        a_while();
        int const fd = open(path, O_RDONLY);
        ssize_t const size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (fd >= 0) close(fd);
        text[size > 0 ? size : 0] = 0;
        char const* const state = strrchr(text, ')');
        seen = state && state[1] && state[2] == 'S' ? seen + 1 : 0;
        if (size <= 0) break;
    }
}

/* A child that runs `does` and ends; what it prints comes when it has ended. */
static UNUSED pid_t child(void (*does)(void)) {
    fflush(stdout);
    pid_t const process = fork();
    if (process == -1) give_up("fork");
    if (process > 0) return process;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    does();
    fflush(stdout);
    _exit(0);
}

/* Waits for it, and for what it printed. */
static UNUSED void ended(pid_t process) {
    int status = 0;
    MUST(waitpid(process, &status, 0));
    if (WIFEXITED(status))
        printf("child exited %d\n", WEXITSTATUS(status));
    else
        printf("child killed by %d\n", WTERMSIG(status));
    if (IS_CAREFUL && WIFEXITED(status) && WEXITSTATUS(status)) give_up("child");
}

/* Every program's last line: how many descriptors it has open. */
static UNUSED int finish(void) {
    int open_ones = 0;
    for (int fd = 0; fd < 1024; ++fd) open_ones += fcntl(fd, F_GETFD) != -1;
    printf("%d descriptors\n", open_ones);
    return fflush(stdout) == 0 ? 0 : 1;
}

__attribute__((constructor)) static UNUSED void begin_plain(void) {
    if (!IS_CAREFUL) return;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_giving_up;
    action.sa_flags = SA_RESTART;
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* when the other side has given up */
}
