/* waits: wait wait4 waitid waitpid */
/* Children: made in every way, waited for in every way, with every end. */
#include "plain.h"

#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>

extern char** environ;
static int ends[2];

static void tell_status(int status) {
    if (WIFEXITED(status))
        printf("exited %d\n", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        printf("killed by %d\n", WTERMSIG(status));
    else if (WIFSTOPPED(status))
        printf("stopped by %d\n", WSTOPSIG(status));
    else
        printf("continued: %d\n", WIFCONTINUED(status) != 0);
}

static void exits_seven(void) {
    until_parent_waits();
    _exit(7);
}
static void dies(void) {
    until_parent_waits();
    raise(SIGKILL);
}
static void exits_at_once(void) { _exit(1); }

static void simple(void) {
    int status = 0;
    pid_t process = child(exits_seven);
    printf("not yet: %ld\n", AGAIN(waitpid(process, &status, WNOHANG)));
    printf("that one: %d\n", AGAIN(waitpid(process, &status, 0)) == process);
    tell_status(status);
    process = child(dies);
    printf("any: %d\n", AGAIN(wait(&status)) == process);
    tell_status(status);
    FAILS(ECHILD, wait(&status));
    FAILS(ECHILD, waitpid(process, &status, 0));
    FAILS(EINVAL, waitpid(process, &status, 0x40000));
    struct rusage usage;
    process = child(exits_seven);
    printf("with usage: %d\n", AGAIN(wait4(-1, &status, 0, &usage)) == process);
    tell_status(status);
    process = child(exits_seven);
    printf("of the group: %d\n", AGAIN(waitpid(0, NULL, 0)) == process);
    process = child(exits_at_once);
    a_while();
    printf("ended before: %d\n", AGAIN(wait3(&status, 0, &usage)) == process);
    tell_status(status);
}

static void stops(void) {
    raise(SIGSTOP);
    char byte;
    read_all(ends[0], &byte, 1); /* its going on is seen before its end */
    _exit(3);
}

static void stopped(void) {
    int status = 0;
    MUST(pipe(ends));
    pid_t const process = child(stops);
    printf("stopped: %d\n", AGAIN(waitpid(process, &status, WUNTRACED)) == process);
    tell_status(status);
    kill(process, SIGCONT);
    printf("continued: %d\n", AGAIN(waitpid(process, &status, WCONTINUED)) == process);
    tell_status(status);
    write_all(ends[1], "x", 1);
    MUST(waitpid(process, &status, 0));
    tell_status(status);
    close(ends[0]);
    close(ends[1]);
}

static void by_waitid(void) {
    siginfo_t about;
    memset(&about, 0, sizeof about);
    pid_t process = child(exits_seven);
    TELL(waitid(P_PID, (id_t)process, &about, WEXITED | WNOWAIT));
    printf("that one: %d, code %d, status %d\n", about.si_pid == process, about.si_code, about.si_status);
    memset(&about, 0, sizeof about);
    TELL(waitid(P_ALL, 0, &about, WEXITED));
    printf("that one: %d, code %d, status %d\n", about.si_pid == process, about.si_code, about.si_status);
    process = child(dies);
    int const descriptor = (int)MUST(syscall(SYS_pidfd_open, process, 0));
    struct pollfd one = {descriptor, POLLIN, 0};
    TELL(poll(&one, 1, -1));
    TELL(waitid((idtype_t)3 /* P_PIDFD */, (id_t)descriptor, &about, WEXITED));
    printf("that one: %d, code %d, status %d\n", about.si_pid == process, about.si_code, about.si_status);
    close(descriptor);
    FAILS(ECHILD, waitid(P_ALL, 0, &about, WEXITED));
    FAILS(EINVAL, waitid(P_ALL, 0, &about, 0));
}

static void several(void) {
    pid_t of[5];
    int seen = 0, status = 0;
    for (int i = 0; i < 5; ++i) {
        fflush(stdout);
        of[i] = (pid_t)MUST(fork());
        if (of[i] == 0) {
            a_while();
            _exit(10 + i);
        }
    }
    for (int i = 0; i < 5; ++i) {
        long const which = MUST(wait(&status));
        for (int j = 0; j < 5; ++j) seen |= (which == of[j] && WEXITSTATUS(status) == 10 + j) << j;
    }
    printf("seen %#x\n", (unsigned)seen);
}

static void by_vfork(void) {
    int status = 0;
    fflush(stdout);
    pid_t const process = vfork();
    if (process == -1) give_up("vfork");
    if (process == 0) _exit(9);
    printf("that one: %d\n", MUST(waitpid(process, &status, 0)) == process);
    tell_status(status);
}

static void spawned(void) {
    char seen[64] = "";
    int status = 0;
    pid_t process = 0;
    posix_spawn_file_actions_t actions;
    MUST(pipe(ends));
    RETURNS(posix_spawn_file_actions_init(&actions));
    RETURNS(posix_spawn_file_actions_adddup2(&actions, ends[1], 1));
    RETURNS(posix_spawn_file_actions_addclose(&actions, ends[0]));
    char* const arguments[] = {(char*)"sh", (char*)"-c", (char*)"sleep 0.02; echo from a program; exit 5", NULL};
    RETURNS(posix_spawn(&process, "/bin/sh", &actions, NULL, arguments, environ));
    close(ends[1]);
    show("said", seen, (long)read_all(ends[0], seen, sizeof seen));
    MUST(waitpid(process, &status, 0));
    tell_status(status);
    close(ends[0]);
    RETURNS(posix_spawn_file_actions_destroy(&actions));
    RETURNS(posix_spawn(&process, "/no/such/program", NULL, NULL, arguments, environ));
    char* const quick[] = {(char*)"true", NULL};
    RETURNS(posix_spawnp(&process, "true", NULL, NULL, quick, environ));
    MUST(waitpid(process, &status, 0));
    tell_status(status);
}

static void becomes_another(void) {
    a_while();
    execlp("sh", "sh", "-c", "exit 4", (char*)NULL);
    _exit(127);
}
static void becomes_nothing(void) {
    execl("/no/such/program", "none", (char*)NULL);
    printf("exec: %s\n", strerrorname_np(errno));
    fflush(stdout);
    _exit(127);
}

static void executed(void) {
    int status = 0;
    MUST(waitpid(child(becomes_another), &status, 0));
    tell_status(status);
    MUST(waitpid(child(becomes_nothing), &status, 0));
    tell_status(status);
}

static void told_by_signal(void) {
    handles(SIGCHLD, 0);
    pid_t process = child(exits_seven);
    while (!handled) {
        struct timespec left = {0, 10000000};
        nanosleep(&left, NULL);
    }
    int status = 0;
    printf("that one: %d\n", AGAIN(waitpid(process, &status, 0)) == process);
    signal(SIGCHLD, SIG_IGN); /* children leave nothing */
    process = child(exits_seven);
    FAILS(ECHILD, waitpid(process, &status, 0));
    signal(SIGCHLD, SIG_DFL);
}

int main(void) {
    simple();
    stopped();
    by_waitid();
    several();
    by_vfork();
    spawned();
    executed();
    told_by_signal();
    return finish();
}
