/* waits: aio_suspend */
/* POSIX's asynchronous I/O: requests, waiting for some of them, lists. */
#include "plain.h"

#include <aio.h>

static int ends[2];
static char buffer[64], more[64];

static void writes_later(void) {
    close(ends[0]);
    until_parent_waits();
    write_all(ends[1], "late", 4);
    until_parent_waits();
}

static struct aiocb request(int fd, void* data, size_t size, off_t at, int what) {
    struct aiocb one;
    memset(&one, 0, sizeof one);
    one.aio_fildes = fd;
    one.aio_buf = data;
    one.aio_nbytes = size;
    one.aio_offset = at;
    one.aio_lio_opcode = what;
    one.aio_sigevent.sigev_notify = SIGEV_NONE;
    return one;
}

static void until_done(struct aiocb* one) {
    struct aiocb const* const list[] = {NULL, one};
    while (aio_error(one) == EINPROGRESS) AGAIN(aio_suspend(list, 2, NULL));
}

int main(void) {
    int const fd = (int)MUST(open("requests", O_RDWR | O_CREAT, 0600));
    struct aiocb out = request(fd, (void*)"0123456789", 10, 0, LIO_WRITE);
    MUST(aio_write(&out));
    until_done(&out);
    printf("error %d, returned %zd\n", aio_error(&out), aio_return(&out));
    struct aiocb in = request(fd, buffer, 5, 3, LIO_READ);
    MUST(aio_read(&in));
    until_done(&in);
    printf("error %d\n", aio_error(&in));
    show("read", buffer, aio_return(&in));

    MUST(pipe(ends));
    pid_t const other = child(writes_later);
    close(ends[1]);
    struct aiocb waits = request(ends[0], buffer, 4, 0, LIO_READ);
    struct aiocb const* const list[] = {&waits};
    MUST(aio_read(&waits));
    struct timespec const soon = {0, 2000000};
    if (aio_suspend(list, 1, &soon) == -1) printf("too early: %d\n", errno == EAGAIN || (IS_CAREFUL && errno == EINTR));
    until_done(&waits);
    printf("error %d\n", aio_error(&waits));
    show("read", buffer, aio_return(&waits));
    ended(other);
    close(ends[0]);

    struct aiocb first = request(fd, (void*)"abc", 3, 20, LIO_WRITE), second = request(fd, more, 4, 0, LIO_READ),
                 none = request(-1, more, 1, 0, LIO_NOP);
    struct aiocb* const all[] = {&first, &second, &none};
    MUST(lio_listio(LIO_WAIT, all, 3, NULL));
    until_done(&first);
    until_done(&second);
    printf("errors %d %d, returned %zd %zd\n", aio_error(&first), aio_error(&second), aio_return(&first), aio_return(&second));
    show("read", more, 4);
    struct aiocb wrong = request(-1, more, 1, 0, LIO_READ);
    long const refused = aio_read(&wrong);
    if (refused == 0) {
        until_done(&wrong);
        printf("error %s\n", strerrorname_np(aio_error(&wrong)));
        aio_return(&wrong);
    } else
        told("aio_read", refused, 0);
    struct aiocb sync = request(fd, NULL, 0, 0, LIO_NOP);
    MUST(aio_fsync(O_SYNC, &sync));
    until_done(&sync);
    printf("error %d\n", aio_error(&sync));
    TELL(aio_return(&sync));
    close(fd);
    unlink("requests");
    return finish();
}
