/* waits: open read write */
/* Pipes and FIFOs: what fits, what waits, who opens first, and what happens when nobody is there. */
#include "plain.h"

#include <limits.h>
#include <sys/ioctl.h>

static int ends[2];
static char buffer[64];
enum { large = 300000 };

static void writes_slowly(void) {
    close(ends[0]);
    for (int i = 0; i < 3; ++i) {
        until_parent_waits();
        write_all(ends[1], &"xyz"[i], 1);
    }
}

static void reads_all(void) {
    close(ends[1]);
    until_parent_waits();
    tell_bytes(ends[0], large);
}

static void simple(void) {
    MUST(pipe(ends));
    pid_t other = child(writes_slowly);
    close(ends[1]);
    for (int i = 0; i < 3; ++i) show("read", buffer, PIECES(1, read(ends[0], buffer, sizeof buffer)));
    TELL(read(ends[0], buffer, sizeof buffer));
    ended(other);
    close(ends[0]);

    MUST(pipe2(ends, O_CLOEXEC));
    char* data = malloc(large);
    if (!data) give_up("malloc");
    fill_pattern(data, large, 2);
    other = child(reads_all);
    close(ends[0]);
    PIECES(large, write(ends[1], data + done, large - done));
    close(ends[1]);
    ended(other);
    free(data);
}

static void limits(void) {
    MUST(pipe(ends));
    TELL(fcntl(ends[1], F_SETPIPE_SZ, 4096));
    TELL(fcntl(ends[1], F_SETFL, O_NONBLOCK));
    char block[8192];
    memset(block, 'b', sizeof block);
    PIECES(4096, write(ends[1], block + done, sizeof block - done));
    FAILS(EAGAIN, write(ends[1], "x", 1));
    int held = 0;
    TELL(ioctl(ends[0], FIONREAD, &held));
    printf("held %d\n", held);
    PIECES(4096, read(ends[0], block + done, sizeof block - done));
    TELL(fcntl(ends[0], F_SETFL, O_NONBLOCK));
    FAILS(EAGAIN, read(ends[0], buffer, 1));
    FAILS(ESPIPE, lseek(ends[0], 0, SEEK_CUR));
    FAILS(ESPIPE, pread(ends[0], buffer, 1, 0));
    FAILS(EBADF, read(ends[1], buffer, 1));
    FAILS(EBADF, write(ends[0], buffer, 1));
    TELL(write(ends[1], "", 0));
    close(ends[1]);
    TELL(read(ends[0], buffer, 1));
    close(ends[0]);
}

static void leaves(void) {
    close(ends[1]);
    char few[10];
    read_all(ends[0], few, sizeof few);
    until_parent_waits();
}

static void nobody_reads(void) {
    handles(SIGPIPE, 0);
    MUST(pipe(ends));
    pid_t other = child(leaves);
    close(ends[0]);
    char* data = calloc(1, large);
    if (!data) give_up("calloc");
    long count, wrote = 0; /* waits, and then nobody is there any more: how much went is for the kernel to say */
    while ((count = AGAIN(write(ends[1], data, large))) > 0) wrote += count;
    unless_hard(count, "write");
    printf("some went: %d, then %s, signal %d\n", wrote > 0, strerrorname_np(errno), (int)handled);
    free(data);
    close(ends[1]);
    ended(other);
    signal(SIGPIPE, SIGPIPE_BEFORE);
}

static void opens_for_writing(void) {
    until_parent_waits();
    int const fd = (int)MUST(open("fifo", O_WRONLY));
    write_all(fd, "through", 7);
    until_parent_waits();
    close(fd);
}

static void opens_for_reading(void) {
    until_parent_waits();
    int const fd = (int)MUST(open("fifo", O_RDONLY));
    char got[8] = "";
    read_all(fd, got, 7);
    printf("other side: %s\n", got);
    close(fd);
}

static void fifos(void) {
    TELL(mkfifo("fifo", 0600));
    FAILS(EEXIST, mkfifo("fifo", 0600));
    FAILS(ENXIO, open("fifo", O_WRONLY | O_NONBLOCK));
    pid_t other = child(opens_for_writing);
    int fd = (int)MUST(open("fifo", O_RDONLY)); /* waits for the other end */
    show("read", buffer, PIECES(7, read(fd, buffer + done, sizeof buffer - done)));
    TELL(read(fd, buffer, sizeof buffer));
    close(fd);
    ended(other);
    other = child(opens_for_reading);
    fd = (int)MUST(open("fifo", O_WRONLY));
    PIECES(7, write(fd, "written" + done, 7 - done));
    close(fd);
    ended(other);
    fd = (int)MUST(open("fifo", O_RDONLY | O_NONBLOCK));
    TELL(read(fd, buffer, 1));
    int const both = (int)MUST(open("fifo", O_RDWR));
    FAILS(EAGAIN, read(fd, buffer, 1));
    close(both);
    close(fd);
    unlink("fifo");
}

int main(void) {
    simple();
    limits();
    nobody_reads();
    fifos();
    return finish();
}
