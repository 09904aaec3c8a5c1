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
#include <dirent.h>
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
/* The same of an attempt that is not to wait: a fault that says EAGAIN comes before the refusal. */
#define REFUSES(error, call)                                                                                           \
    (__extension__({                                                                                                   \
        long const refuses_ = AGAIN(call);                                                                             \
        if (IS_CAREFUL && refuses_ == -1 && errno == EAGAIN) errno = (error);                                          \
        told(#call, refuses_, error);                                                                                  \
    }))
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
 * program makes it until they are there, or the end, and gives up when its connection has been reset behind some. */
#define PIECES(wanted, call)                                                                                           \
    (__extension__({                                                                                                   \
        long done = 0, piece_;                                                                                         \
        do {                                                                                                           \
            piece_ = (long)(call);                                                                                     \
            if (piece_ > 0) done += piece_;                                                                            \
        } while (IS_CAREFUL && done < (long)(wanted) &&                                                                \
                 (piece_ > 0 || (piece_ == -1 && (errno == EINTR || errno == EAGAIN))));                               \
        if (IS_CAREFUL && piece_ == -1 && done && (is_hard(errno) || errno == EPIPE)) give_up(#call);                  \
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

static UNUSED void nap(int milliseconds) {
    struct timespec left = {0, milliseconds * 1000000l};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {}
}

/* So that the other side is likely to wait already; nothing depends on it. */
static UNUSED void a_while(void) { nap(12); }

/* Whether a thread waits, or is gone, by its stat file. */
static UNUSED int is_waiting(char const* stat_file) {
    char text[200];
    int const fd = open(stat_file, O_RDONLY);
    if (fd == -1 && errno == ENOENT) return 1;
    if (fd == -1) give_up(stat_file);
    ssize_t size;
    do size = read(fd, text, sizeof text - 1);
    while (size == -1 && errno == EINTR);
    close(fd);
    text[size > 0 ? size : 0] = 0;
    char const* const name_end = strrchr(text, ')');
    return !name_end || name_end[2] == 'S';
}

/* Of a child: until its parent waits with all its threads, in whatever calls. */
static UNUSED void until_parent_waits(void) {
    char path[300];
    snprintf(path, sizeof path, "/proc/%d/task", (int)getppid());
    for (int seen = 0; seen < 3; ++seen) {
        nap(5);
        DIR* const threads = opendir(path);
        if (!threads) give_up(path);
        for (struct dirent const* each; (each = readdir(threads));) {
            char stat_file[600];
            snprintf(stat_file, sizeof stat_file, "%s/%s/stat", path, each->d_name);
            if (each->d_name[0] != '.' && !is_waiting(stat_file)) seen = -1;
        }
        closedir(threads);
    }
}

/* Of a thread: until the first one waits. */
static UNUSED void until_main_waits(void) {
    for (int seen = 0; seen < 3; ++seen) {
        char path[60];
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
        nap(5);
        if (!is_waiting(path)) seen = -1;
    }
}

/* How often a handler of handles() ran. */
static volatile sig_atomic_t handled UNUSED;

static UNUSED void on_handled(int number) {
    (void)number;
    ++handled;
}

static UNUSED void handles(int number, int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_handled;
    action.sa_flags = flags;
    sigaction(number, &action, NULL);
    handled = 0;
}

/* Of a child. */
static UNUSED void signals_parent(void) {
    until_parent_waits();
    kill(getppid(), SIGUSR1);
}

/* Of a child: reads up to `most` bytes, or until the end, and says what they were. */
static UNUSED void tell_bytes(int fd, size_t most) {
    char* const data = malloc(most);
    if (!data) give_up("malloc");
    size_t const got = read_all(fd, data, most);
    printf("other side: %zu bytes, sum %08x\n", got, sum_of(data, got));
    free(data);
}

/* By the clock of pthread's and mqueue's limits. */
static UNUSED struct timespec in_ms(int milliseconds) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += milliseconds * 1000000l;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
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
