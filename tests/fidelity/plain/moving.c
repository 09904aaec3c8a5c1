/* waits: splice tee sendfile */
/* From one descriptor to another without a buffer between: sendfile, splice, tee, vmsplice, copy_file_range. */
#include "plain.h"

#include <sys/sendfile.h>

static int ends[2], other_ends[2];
static char buffer[64];
enum { large = 400000 };
static char* data;

static void counts(void) {
    close(ends[0]);
    until_parent_waits();
    tell_bytes(ends[1], large);
}

static void by_sendfile(void) {
    int const in = (int)MUST(open("source", O_RDONLY));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    pid_t other = child(counts);
    close(ends[1]);
    PIECES(large, sendfile(ends[0], in, NULL, (size_t)(large - done)));
    TELL(lseek(in, 0, SEEK_CUR));
    TELL(sendfile(ends[0], in, NULL, 10));
    close(ends[0]);
    ended(other);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    off_t at = 100;
    PIECES(20, sendfile(ends[0], in, &at, (size_t)(20 - done)));
    printf("at %lld\n", (long long)at);
    printf("same: %d\n", read_all(ends[1], buffer, 20) == 20 && memcmp(buffer, data + 100, 20) == 0);
    int const out = (int)MUST(creat("copy", 0600));
    at = 0;
    PIECES(large, sendfile(out, in, &at, (size_t)(large - done)));
    TELL(lseek(out, 0, SEEK_CUR));
    FAILS(EBADF, sendfile(in, in, NULL, 10));
    FAILS(EBADF, sendfile(-1, in, NULL, 10));
    FAILS(EINVAL, sendfile(out, ends[0], NULL, 10));
    close(out);
    close(in);
    close(ends[0]);
    close(ends[1]);
    unlink("copy");
}

static void writes_slowly(void) {
    close(ends[0]);
    until_parent_waits();
    write_all(ends[1], "spliced", 7);
    until_parent_waits();
}

static void takes_later(void) {
    close(ends[1]);
    until_parent_waits();
    tell_bytes(ends[0], large);
}

static void by_splice(void) {
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    MUST(pipe(other_ends));
    pid_t other = child(writes_slowly);
    close(ends[1]);
    PIECES(7, splice(ends[0], NULL, other_ends[1], NULL, (size_t)(100 - done), 0)); /* waits for the socket */
    show("read", buffer, PIECES(7, read(other_ends[0], buffer + done, sizeof buffer - done)));
    TELL(splice(ends[0], NULL, other_ends[1], NULL, 100, 0));
    ended(other);
    close(ends[0]);
    REFUSES(EINVAL, splice(other_ends[0], NULL, other_ends[1], NULL, 10, SPLICE_F_NONBLOCK)); /* the same pipe */
    close(other_ends[0]);
    close(other_ends[1]);

    int const in = (int)MUST(open("source", O_RDONLY));
    MUST(pipe(ends));
    other = child(takes_later);
    close(ends[0]);
    loff_t at = 0;
    long moved = 0, count; /* as much at a time as the pipe holds */
    while ((count = AGAIN(splice(in, &at, ends[1], NULL, (size_t)(large - moved), SPLICE_F_MOVE))) > 0) moved += count;
    printf("moved %ld, at %lld\n", moved, (long long)at);
    FAILS(EBADF, splice(in, NULL, in, NULL, 10, 0));
    FAILS(ESPIPE, splice(in, NULL, ends[1], &at, 10, 0));
    close(ends[1]);
    ended(other);
    close(in);
}

static void by_tee(void) {
    MUST(pipe(ends));
    MUST(pipe(other_ends));
    pid_t const other = child(writes_slowly);
    close(ends[1]);
    if (IS_CAREFUL) { /* a second tee gives the same once more */
        printf("tee(ends[0], other_ends[1], 100, 0) = 7\n");
        char whole[7];
        read_all(ends[0], whole, 7);
        show("other", whole, 7);
        show("same", whole, 7);
    } else {
        TELL(tee(ends[0], other_ends[1], 100, 0));
        show("other", buffer, (long)read_all(other_ends[0], buffer, 7));
        show("same", buffer, (long)read_all(ends[0], buffer, 7));
    }
    ended(other);
    TELL(tee(ends[0], other_ends[1], 100, 0));
    FAILS(EBADF, tee(ends[0], 1000, 1, 0));
    struct iovec part = {data, 1000};
    PIECES(1000, (part.iov_base = data + done, part.iov_len = (size_t)(1000 - done), vmsplice(other_ends[1], &part, 1, 0)));
    char got[1000];
    printf("same: %d\n", read_all(other_ends[0], got, 1000) == 1000 && memcmp(got, data, 1000) == 0);
    close(ends[0]);
    close(other_ends[0]);
    close(other_ends[1]);
}

static void by_copying(void) {
    int const in = (int)MUST(open("source", O_RDONLY)), out = (int)MUST(open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600));
    loff_t from = 10, to = 5;
    PIECES(1000, copy_file_range(in, &from, out, &to, (size_t)(1000 - done), 0));
    printf("from %lld to %lld\n", (long long)from, (long long)to);
    PIECES(large, copy_file_range(in, NULL, out, NULL, (size_t)(2 * large - done), 0));
    TELL(lseek(out, 0, SEEK_END));
    TELL(copy_file_range(in, NULL, out, NULL, 10, 0));
    FAILS(EINVAL, copy_file_range(in, NULL, out, NULL, 10, 1));
    close(in);
    close(out);
    unlink("copy");
}

/* What the kernel refuses at once, it refuses before anything waits. */
static void refused(void) {
    int const file = (int)MUST(open("source", O_RDWR)), log = (int)MUST(open("log", O_WRONLY | O_CREAT | O_APPEND, 0600));
    int sockets[2];
    loff_t at = 0;
    MUST(pipe(ends));
    MUST(pipe(other_ends));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
    FAILS(EINVAL, splice(ends[0], NULL, ends[1], NULL, 10, 0));
    FAILS(EBADF, splice(ends[0], NULL, 1000, NULL, 10, 0));
    FAILS(EBADF, splice(1000, NULL, ends[1], NULL, 10, 0));
    FAILS(EBADF, splice(ends[1], NULL, other_ends[1], NULL, 10, 0));
    FAILS(EBADF, splice(ends[0], NULL, other_ends[0], NULL, 10, 0));
    FAILS(ESPIPE, splice(ends[0], &at, file, NULL, 10, 0));
    FAILS(ESPIPE, splice(ends[0], NULL, other_ends[1], &at, 10, 0));
    FAILS(EINVAL, splice(ends[0], NULL, log, NULL, 10, 0));
    FAILS(EINVAL, splice(ends[0], NULL, file, NULL, 10, 0x100));
    FAILS(EINVAL, splice(sockets[0], &at, ends[1], NULL, 10, 0));
    FAILS(EINVAL, splice(sockets[0], NULL, sockets[1], NULL, 10, 0));
    TELL(splice(ends[0], NULL, file, NULL, 0, 0));
    FAILS(EINVAL, tee(ends[0], ends[1], 10, 0));
    FAILS(EINVAL, tee(sockets[0], ends[1], 10, 0));
    FAILS(EBADF, tee(ends[1], other_ends[1], 10, 0));
    FAILS(EINVAL, tee(ends[0], other_ends[1], 10, 0x100));
    struct iovec part = {data, 10};
    FAILS(EBADF, vmsplice(sockets[0], &part, 1, 0));
    FAILS(EINVAL, vmsplice(ends[1], &part, 1, 0x100));
    FAILS(EINVAL, sendfile(log, file, NULL, 10));
    close(sockets[0]);
    close(sockets[1]);
    for (int i = 0; i < 2; ++i) {
        close(ends[i]);
        close(other_ends[i]);
    }
    close(log);
    close(file);
    unlink("log");
}

int main(void) {
    data = malloc(large);
    if (!data) give_up("malloc");
    fill_pattern(data, large, 4);
    int const fd = (int)MUST(creat("source", 0600));
    write_all(fd, data, large);
    close(fd);
    by_sendfile();
    by_splice();
    by_tee();
    by_copying();
    refused();
    unlink("source");
    free(data);
    return finish();
}
