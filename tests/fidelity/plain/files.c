/* waits: fsync */
/* Regular files: at their position and elsewhere, holes, the end, and what becomes of them on the disk. */
#include "plain.h"

#include <sys/mman.h>
#include <sys/statvfs.h>

static char buffer[64];
enum { large = 1200000 };
static volatile int too_few = -1;
static void* volatile no_memory = (void*)1;

static void writes_later(void) {
    until_parent_waits();
    int const fd = (int)MUST(open("file", O_WRONLY | O_APPEND));
    write_all(fd, " by another", 11);
    MUST(fsync(fd));
    close(fd);
}

static void positions(void) {
    int const fd = (int)MUST(open("file", O_RDWR | O_CREAT | O_EXCL, 0640));
    FAILS(EEXIST, open("file", O_RDWR | O_CREAT | O_EXCL, 0640));
    PIECES(10, write(fd, "0123456789" + done, 10 - done));
    TELL(read(fd, buffer, sizeof buffer));
    TELL(lseek(fd, 3, SEEK_SET));
    show("read", buffer, PIECES(4, read(fd, buffer + done, 4 - done)));
    TELL(lseek(fd, 0, SEEK_CUR));
    show("pread", buffer, PIECES(5, pread(fd, buffer + done, 5 - done, 2 + done)));
    PIECES(3, pwrite(fd, "abc" + done, 3 - done, 20 + done));
    TELL(lseek(fd, 0, SEEK_CUR));
    TELL(lseek(fd, -1, SEEK_END));
    show("the rest", buffer, PIECES(1, read(fd, buffer, sizeof buffer)));
    TELL(read(fd, buffer, sizeof buffer));
    show("pread", buffer, PIECES(13, pread(fd, buffer + done, sizeof buffer - done, 10 + done)));
    TELL(pread(fd, buffer, sizeof buffer, 1000));
    FAILS(EINVAL, pread(fd, buffer, 1, -1));
    FAILS(EINVAL, lseek(fd, -1, SEEK_SET));
    TELL(lseek(fd, 0, SEEK_SET));
    if (!IS_CAREFUL) {
        struct iovec const parts[] = {{buffer, 4}, {buffer + 10, 0}, {buffer + 20, 30}};
        TELL(readv(fd, parts, 3));
        show("first", buffer, 4);
        show("third", buffer + 20, 19);
        TELL(preadv(fd, parts, 3, 1));
        show("first", buffer, 4);
        TELL(pwritev(fd, parts, 1, 0));
        TELL(preadv2(fd, parts, 3, 1, 0));
        TELL(pwrite(fd, "0123", 4, 0));
        FAILS(EINVAL, readv(fd, parts, too_few));
    }
    pid_t const other = child(writes_later);
    ended(other);
    struct stat about;
    TELL(fstat(fd, &about));
    printf("size %lld, mode %o\n", (long long)about.st_size, about.st_mode);
    TELL(ftruncate(fd, 5));
    TELL(lseek(fd, 0, SEEK_END));
    TELL(truncate("file", 8));
    TELL(fallocate(fd, 0, 0, 100));
    RETURNS(posix_fallocate(fd, 0, 200));
    TELL(fstat(fd, &about));
    printf("size %lld\n", (long long)about.st_size);
    RETURNS(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    TELL(fsync(fd));
    TELL(fdatasync(fd));
    TELL(sync_file_range(fd, 0, 100, SYNC_FILE_RANGE_WRITE));
    close(fd);
    FAILS(EBADF, fsync(fd));
    FAILS(ENOENT, open("none", O_RDONLY));
    FAILS(EISDIR, open(".", O_WRONLY));
    FAILS(ENOTDIR, open("file/below", O_RDONLY));
    int const directory = (int)MUST(open(".", O_RDONLY | O_DIRECTORY));
    FAILS(EISDIR, read(directory, buffer, 1));
    int const there = (int)MUST(openat(directory, "file", O_RDONLY));
    FAILS(EBADF, write(there, "x", 1));
    FAILS(EFAULT, read(there, no_memory, 1));
    TELL(read(there, buffer, 0));
    close(there);
    close(directory);
}

static void much(void) {
    char* const data = malloc(large);
    char* const again = malloc(large);
    if (!data || !again) give_up("malloc");
    fill_pattern(data, large, 3);
    int const fd = (int)MUST(creat("large", 0600)), in = (int)MUST(open("large", O_RDONLY));
    PIECES(large, write(fd, data + done, large - done));
    TELL(fsync(fd));
    RETURNS(posix_fadvise(in, 0, 0, POSIX_FADV_DONTNEED)); /* so that it comes from the disk */
    PIECES(large, read(in, again + done, large - done));
    printf("sum %08x %08x\n", sum_of(data, large), sum_of(again, large));
    void* const map = mmap(NULL, large, PROT_READ, MAP_SHARED, in, 0);
    if (map == MAP_FAILED) give_up("mmap");
    printf("mapped alike: %d\n", memcmp(map, data, large) == 0);
    munmap(map, large);
    TELL(lseek(in, large - 10, SEEK_SET));
    PIECES(10, read(in, again + done, large - done));
    TELL(read(in, again, large));
    close(fd);
    close(in);
    free(data);
    free(again);
    unlink("large");
}

static void appends(void) {
    int const fd = (int)MUST(open("log", O_WRONLY | O_APPEND));
    for (int i = 0; i < 50; ++i) {
        write_all(fd, "line\n", 5);
        if (i % 20 == 0) a_while();
    }
    close(fd);
}

static void together(void) {
    int const fd = (int)MUST(open("log", O_RDWR | O_APPEND | O_CREAT, 0600));
    pid_t const one = child(appends), another = child(appends);
    for (int i = 0; i < 50; ++i) write_all(fd, "line\n", 5);
    ended(one);
    ended(another);
    TELL(lseek(fd, 0, SEEK_END));
    close(fd);
    unlink("log");
    unlink("file");
}

int main(void) {
    positions();
    much();
    together();
    return finish();
}
