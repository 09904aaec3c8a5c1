/* waits: mkdir readdir */
/* Directories, names of files, and what is known about them. */
#include "plain.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <utime.h>

static char path[PATH_MAX];

static int by_name(void const* a, void const* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

static void list(char const* name) {
    DIR* const directory = opendir(name);
    if (!directory) {
        told("opendir", -1, 0);
        return;
    }
    char* names[32];
    int count = 0;
    for (struct dirent* each; (each = readdir(directory)) && count < 32;) names[count++] = strdup(each->d_name);
    qsort(names, (size_t)count, sizeof *names, by_name);
    printf("%s:", name);
    for (int i = 0; i < count; ++i) {
        printf(" %s", names[i]);
        free(names[i]);
    }
    printf("\n");
    closedir(directory);
}

static void makes_later(void) {
    until_parent_waits();
    MUST(mkdir("late", 0700));
    MUST(rename("late", "tree/late"));
}

static void tree(void) {
    TELL(mkdir("tree", 0755));
    FAILS(EEXIST, mkdir("tree", 0755));
    TELL(mkdir("tree/below", 0700));
    FAILS(ENOENT, mkdir("none/below", 0700));
    int const fd = (int)MUST(open("tree/file", O_WRONLY | O_CREAT, 0644));
    write_all(fd, "content", 7);
    close(fd);
    TELL(link("tree/file", "tree/same"));
    TELL(symlink("file", "tree/soft"));
    TELL(symlink("nowhere", "tree/dangling"));
    list("tree");
    pid_t const other = child(makes_later);
    ended(other);
    list("tree");
    list("none");
    TELL(rename("tree/same", "tree/moved"));
    FAILS(ENOTEMPTY, rmdir("tree"));
    FAILS(EISDIR, unlink("tree/below"));
    FAILS(ENOENT, unlink("tree/none"));
    FAILS(ENOTDIR, rmdir("tree/file"));
    TELL(readlink("tree/soft", path, sizeof path));
    show("link", path, 4);
    FAILS(EINVAL, readlink("tree/file", path, sizeof path));
    char* const real = realpath("tree/below/../soft", path);
    printf("real: %s\n", real && strlen(real) > 9 ? real + strlen(real) - 9 : "-");
    FAILS(ENOENT, realpath("tree/dangling", path) ? 0 : -1);
}

static void tell_about(char const* what, struct stat const* about) {
    printf("%s: mode %o, links %d, size %d\n", what, about->st_mode, S_ISDIR(about->st_mode) ? 0 : (int)about->st_nlink,
           S_ISDIR(about->st_mode) ? 0 : (int)about->st_size);
}

static void metadata(void) {
    struct stat about;
    TELL(stat("tree/soft", &about));
    tell_about("stat", &about);
    TELL(lstat("tree/soft", &about));
    tell_about("lstat", &about);
    TELL(stat("tree", &about));
    tell_about("directory", &about);
    FAILS(ENOENT, stat("tree/dangling", &about));
    int const directory = (int)MUST(open("tree", O_RDONLY | O_DIRECTORY));
    TELL(fstatat(directory, "file", &about, 0));
    TELL(chmod("tree/file", 0600));
    TELL(fchmodat(directory, "moved", 0400, 0));
    TELL(fstatat(directory, "file", &about, AT_SYMLINK_NOFOLLOW));
    tell_about("changed", &about);
    struct timespec const times[] = {{1000000, 5}, {2000000, 7}};
    TELL(utimensat(directory, "file", times, 0));
    TELL(stat("tree/file", &about));
    printf("times %ld.%ld %ld.%ld\n", (long)about.st_atim.tv_sec, about.st_atim.tv_nsec, (long)about.st_mtim.tv_sec,
           about.st_mtim.tv_nsec);
    struct utimbuf const old = {11, 22};
    TELL(utime("tree/file", &old));
    struct timeval const both[] = {{33, 0}, {44, 0}};
    TELL(utimes("tree/file", both));
    TELL(access("tree/file", F_OK));
    FAILS(ENOENT, access("tree/none", R_OK));
    TELL(faccessat(directory, "file", R_OK, 0));
    FAILS(EACCES, access("tree/file", X_OK));
    struct statvfs system;
    TELL(statvfs("tree", &system));
    printf("names of up to %lu\n", system.f_namemax);
    struct statx extended;
    TELL(statx(directory, "file", 0, STATX_SIZE, &extended));
    printf("size %d\n", (int)extended.stx_size);
    TELL(mkdirat(directory, "at", 0700));
    TELL(symlinkat("there", directory, "at/soft"));
    TELL(renameat(directory, "at/soft", directory, "hard"));
    TELL(linkat(directory, "file", directory, "at/linked", 0));
    FAILS(EEXIST, renameat2(directory, "file", directory, "moved", RENAME_NOREPLACE));
    TELL(renameat2(directory, "hard", directory, "moved", RENAME_EXCHANGE));
    TELL(unlinkat(directory, "hard", 0));
    TELL(unlinkat(directory, "at/linked", 0));
    TELL(unlinkat(directory, "at", AT_REMOVEDIR));
    close(directory);
}

static int count_of[8];
static int visit(char const* name, struct stat const* about, int type, struct FTW* where) {
    (void)name, (void)about, (void)where;
    ++count_of[type & 7];
    return 0;
}

static void scattered(void) {
    TELL(nftw("tree", visit, 8, FTW_PHYS));
    printf("files %d, directories %d, links %d\n", count_of[FTW_F], count_of[FTW_D], count_of[FTW_SL]);
    TELL(chdir("tree"));
    printf("in: %s\n", getcwd(path, sizeof path) ? strrchr(path, '/') : "-");
    struct dirent** names;
    int const count = scandir(".", &names, NULL, alphasort);
    if (count == -1) give_up("scandir");
    printf("%d names\n", count);
    for (int i = 0; i < count; ++i) {
        if (names[i]->d_name[0] != '.' && strcmp(names[i]->d_name, "below") && strcmp(names[i]->d_name, "late"))
            TELL(remove(names[i]->d_name));
        free(names[i]);
    }
    free(names);
    TELL(rmdir("below"));
    TELL(remove("late"));
    TELL(chdir(".."));
    TELL(rmdir("tree"));
    char name[] = "tmpXXXXXX", place[] = "dirXXXXXX";
    int const fd = (int)MUST(mkstemp(name));
    struct stat about;
    TELL(fstat(fd, &about));
    tell_about("temporary", &about);
    TELL(unlink(name));
    close(fd);
    printf("mkdtemp: %d\n", mkdtemp(place) != NULL);
    TELL(rmdir(place));
    sync();
}

int main(void) {
    tree();
    metadata();
    scattered();
    return finish();
}
