/* waits: syscall */
/* syscall(2): the same waits by the numbers of the calls. */
#include "plain.h"

#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int ends[2], *word;
static char buffer[16];

static void writes(void) {
    close(ends[0]);
    until_parent_waits();
    write_all(ends[1], "abc", 3);
    until_parent_waits();
    write_all(ends[1], "def", 3);
}

static void wakes(void) {
    until_parent_waits();
    __atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
    MUST(syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0));
}

static void exits(void) {
    until_parent_waits();
    _exit(6);
}

int main(void) {
    MUST(syscall(SYS_pipe2, ends, 0));
    pid_t other = child(writes);
    close(ends[1]);
    show("read", buffer, PIECES(3, syscall(SYS_read, ends[0], buffer + done, 3 - done)));
    struct pollfd one = {ends[0], POLLIN, 0};
    TELL(syscall(SYS_poll, &one, 1, -1));
    show("read", buffer, PIECES(3, syscall(SYS_read, ends[0], buffer + done, 3 - done)));
    ended(other);
    TELL(syscall(SYS_read, ends[0], buffer, 3));
    close(ends[0]);
    struct timespec const soon = {0, 12000000};
    TELL(syscall(SYS_nanosleep, &soon, NULL));
    TELL(syscall(SYS_ppoll, NULL, 0, &soon, NULL, 0));
    FAILS(EBADF, syscall(SYS_close, 999));
    FAILS(ENOSYS, syscall(100000));
    printf("same process: %d\n", syscall(SYS_getpid) == getpid());

    word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED) give_up("mmap");
    other = child(wakes);
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == 0)
        if (syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0) == -1 && errno != EAGAIN && errno != EINTR) give_up("futex");
    printf("word %d\n", *word);
    ended(other);
    FAILS(EAGAIN, syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0));
    FAILS(ETIMEDOUT, syscall(SYS_futex, word, FUTEX_WAIT, 1, &soon, NULL, 0));
    munmap(word, 4096);
    int status = 0;
    other = child(exits);
    printf("that one: %d\n", AGAIN(syscall(SYS_wait4, other, &status, 0, NULL)) == other);
    printf("status %d\n", WEXITSTATUS(status));
    return finish();
}
