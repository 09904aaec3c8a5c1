/* waits: flock fcntl lockf */
/* Locks of files: flock, lockf, record locks of processes and of open files. */
#include "plain.h"

#include <sys/file.h>

static int fd, ready[2];
static char byte;

static void holds(void) { /* until the parent waits, which was told that it does */
    int const own = (int)MUST(open("locked", O_RDWR));
    MUST(flock(own, LOCK_EX));
    write_all(ready[1], "r", 1);
    until_parent_waits();
    write_all(own, "child was here", 14);
    close(own);
}

static void whole_files(void) {
    MUST(pipe(ready));
    fd = (int)MUST(open("locked", O_RDWR | O_CREAT, 0600));
    pid_t other = child(holds);
    read_all(ready[0], &byte, 1);
    FAILS(EAGAIN, flock(fd, LOCK_EX | LOCK_NB));
    TELL(flock(fd, LOCK_SH)); /* waits */
    TELL(lseek(fd, 0, SEEK_END));
    TELL(flock(fd, LOCK_EX));
    TELL(flock(fd, LOCK_UN));
    FAILS(EINVAL, flock(fd, 77));
    FAILS(EBADF, flock(-1, LOCK_EX));
    ended(other);
}

static struct flock region(short type, off_t start, off_t length) {
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = start;
    lock.l_len = length;
    return lock;
}

static void holds_region(void) {
    struct flock lock = region(F_WRLCK, 10, 10);
    MUST(fcntl(fd, F_SETLK, &lock));
    write_all(ready[1], "r", 1);
    until_parent_waits();
}

static void regions(void) {
    pid_t other = child(holds_region);
    read_all(ready[0], &byte, 1);
    struct flock lock = region(F_RDLCK, 0, 100);
    FAILS(EAGAIN, fcntl(fd, F_SETLK, &lock));
    TELL(fcntl(fd, F_GETLK, &lock));
    printf("held by the child %d, from %lld, %lld\n", lock.l_pid == other, (long long)lock.l_start, (long long)lock.l_len);
    lock = region(F_WRLCK, 0, 10);
    TELL(fcntl(fd, F_SETLKW, &lock)); /* beside the other's */
    lock = region(F_WRLCK, 5, 10);
    TELL(fcntl(fd, F_SETLKW, &lock)); /* waits until the other's end */
    ended(other);
    lock = region(F_UNLCK, 0, 0);
    TELL(fcntl(fd, F_SETLK, &lock));
    other = child(holds_region);
    read_all(ready[0], &byte, 1);
    lseek(fd, 0, SEEK_SET);
    FAILS(EAGAIN, lockf(fd, F_TLOCK, 30));
    FAILS(EACCES, lockf(fd, F_TEST, 30));
    TELL(lockf(fd, F_LOCK, 30));
    TELL(lockf(fd, F_ULOCK, 30));
    ended(other);
}

static void holds_open_file(void) {
    int const own = (int)MUST(open("locked", O_RDWR));
    struct flock lock = region(F_WRLCK, 0, 0);
    MUST(fcntl(own, F_OFD_SETLKW, &lock));
    write_all(ready[1], "r", 1);
    until_parent_waits();
    close(own);
}

static void open_files(void) {
    pid_t other = child(holds_open_file);
    read_all(ready[0], &byte, 1);
    struct flock lock = region(F_RDLCK, 0, 1);
    FAILS(EAGAIN, fcntl(fd, F_OFD_SETLK, &lock));
    TELL(fcntl(fd, F_OFD_SETLKW, &lock));
    ended(other);
    int const second = (int)MUST(open("locked", O_RDWR)); /* another open file of this process */
    lock = region(F_WRLCK, 0, 1);
    FAILS(EAGAIN, fcntl(second, F_OFD_SETLK, &lock));
    close(second);
}

static void signals_and_holds(void) {
    struct flock lock = region(F_WRLCK, 50, 1);
    int const own = (int)MUST(open("locked", O_RDWR));
    MUST(flock(own, LOCK_EX));
    MUST(fcntl(own, F_SETLKW, &lock));
    write_all(ready[1], "r", 1);
    signals_parent();
    signals_parent();
    until_parent_waits();
    close(own);
}

static void interrupted(void) {
    handles(SIGUSR1, 0);
    pid_t const other = child(signals_and_holds);
    read_all(ready[0], &byte, 1);
    UNTIL(handled, flock(fd, LOCK_EX));
    handled = 0;
    struct flock lock = region(F_WRLCK, 50, 1);
    UNTIL(handled, fcntl(fd, F_SETLKW, &lock));
    TELL(flock(fd, LOCK_EX));
    TELL(fcntl(fd, F_SETLKW, &lock));
    ended(other);
}

int main(void) {
    whole_files();
    regions();
    open_files();
    interrupted();
    close(fd);
    close(ready[0]);
    close(ready[1]);
    unlink("locked");
    return finish();
}
