// Opening, and what looks up paths. That nothing is in the kernel's cache is arranged by a filter of system calls,
// which says so in its place.

#include "monkey/lookup.h"
#include "tests/monkey/fixture.h"
#include "tests/rerun.h"

#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>

// libc keeps what fopen's ccs= looked up, also when it is called without the shim (iconv/gconv_cache.c).
extern "C" char const* __lsan_default_suppressions() { return "leak:__gconv_lookup_cache\n"; }

namespace {

struct directory {
    std::string path = "/tmp/coir_paths_XXXXXX";
    directory() {
        if (!mkdtemp(path.data())) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    }
    ~directory() { std::system(("rm -r " + path).c_str()); }
    std::string in(char const* name) const { return path + "/" + name; }
};

void a_fifo_is_opened_when_both_ends_are() {
    directory const here;
    std::string const fifo = here.in("fifo");
    checked(mkfifo(fifo.c_str(), 0600), "mkfifo");
    for (int round = 0; round < 3; ++round) {
        auto reader = coir::spawn([&] { return open(fifo.c_str(), O_RDONLY); });
        until_parked(reader);
        int const writer = open(fifo.c_str(), O_WRONLY);
        EXPECT_GE(writer, 0);
        int const fd = reader.get();
        EXPECT_GE(fd, 0);
        char byte = 0;
        EXPECT_EQ(write(writer, "x", 1), 1);
        EXPECT_EQ(read(fd, &byte, 1), 1);
        close(writer);
        close(fd);
    }
    auto killed = coir::spawn([&] { return open(fifo.c_str(), O_RDONLY) < 0 ? errno : 0; });
    until_parked(killed);
    auto stream = coir::spawn([&] {
        std::ifstream in(fifo);
        std::string line;
        std::getline(in, line);
        return line;
    });
    auto file = coir::spawn([&] {
        FILE* const in = fopen(fifo.c_str(), "r");
        EXPECT_NE(in, nullptr);
        if (in) fclose(in);
    });
    until_parked(stream);
    until_parked(file);
    killed.kill();
    {
        std::ofstream out(fifo);
        out << "hello\n";
    }
    EXPECT_EQ(stream.get(), "hello");
    file.join();
}

} // namespace

TEST(open, a_fifo_when_both_ends_are) { a_fifo_is_opened_when_both_ends_are(); }

TEST(open, DISABLED_without_a_ring) { a_fifo_is_opened_when_both_ends_are(); }
TEST(open, a_fifo_without_a_ring) { EXPECT_TRUE(rerun("open.DISABLED_without_a_ring", {"COIR_IO_URING=0"}).passed()); }

TEST(open, of_a_fifo_is_ended_by_a_handler) {
    directory const here;
    std::string const fifo = here.in("fifo");
    checked(mkfifo(fifo.c_str(), 0600), "mkfifo");
    struct sigaction action {
    }, before;
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, &before);
    auto reader = coir::spawn([&] { return open(fifo.c_str(), O_RDONLY) < 0 ? errno : 0; });
    until_parked(reader);
    raise(SIGUSR1);
    EXPECT_EQ(reader.get(), EINTR);
    sigaction(SIGUSR1, &before, nullptr);
}

TEST(open, modes_flags_and_errors) {
    directory const here;
    umask(022);
    int const made = open(here.in("a").c_str(), O_CREAT | O_EXCL | O_WRONLY, 0666);
    ASSERT_GE(made, 0);
    struct stat about;
    EXPECT_EQ(fstat(made, &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0644u);
    EXPECT_EQ(fcntl(made, F_GETFL) & O_ACCMODE, O_WRONLY);
    close(made);
    EXPECT_EQ(open(here.in("a").c_str(), O_CREAT | O_EXCL, 0666), -1);
    EXPECT_EQ(errno, EEXIST);
    EXPECT_EQ(open(here.in("no").c_str(), O_RDONLY), -1);
    EXPECT_EQ(errno, ENOENT);
    char const* volatile nowhere = reinterpret_cast<char const*>(1);
    EXPECT_EQ(open(nowhere, O_RDONLY), -1);
    EXPECT_EQ(errno, EFAULT);
    int const at = open(here.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT_EQ(fcntl(at, F_GETFD), FD_CLOEXEC);
    int const relative = openat(at, "a", O_RDWR | O_APPEND);
    EXPECT_GE(relative, 0);
    EXPECT_EQ(fcntl(relative, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR | O_APPEND);
    EXPECT_EQ(write(relative, "12345", 5), 5);
    int const emptied = creat(here.in("a").c_str(), 0600);
    EXPECT_EQ(fstat(emptied, &about), 0);
    EXPECT_EQ(about.st_size, 0);
    for (int fd : {at, relative, emptied}) close(fd);
}

TEST(fopen, as_libcs_own) {
    directory const here;
    std::string const path = here.in("f");
    for (char const* mode :
         {"r", "w", "a", "r+", "w+", "a+", "wx", "wxe", "re", "rb+", "r+b", "rm", "q", "", "r,ccs=UTF-8"}) {
        struct outcome {
            int error, flags, descriptor_flags;
            long end;
            bool operator==(outcome const&) const = default;
        };
        auto const open_it = [&] {
            outcome seen{};
            errno = 0;
            FILE* const file = fopen(path.c_str(), mode);
            if (!file) return outcome{errno, 0, 0, 0};
            seen.flags = fcntl(fileno(file), F_GETFL);
            seen.descriptor_flags = fcntl(fileno(file), F_GETFD);
            fputs("abc", file);
            fflush(file);
            seen.end = ftell(file);
            fclose(file);
            return seen;
        };
        auto const each_way = [&](bool exists) {
            outcome libcs, ours;
            auto const prepare = [&] {
                unlink(path.c_str());
                if (exists) std::ofstream(path) << "0123456789";
            };
            prepare();
            std::thread([&] { libcs = open_it(); }).join(); // it has no hub
            prepare();
            ours = open_it();
            EXPECT_TRUE(ours == libcs) << "mode '" << mode << "': " << ours.error << " " << ours.flags << " "
                                       << ours.descriptor_flags << " " << ours.end << " instead of " << libcs.error
                                       << " " << libcs.flags << " " << libcs.descriptor_flags << " " << libcs.end;
        };
        each_way(true);
        each_way(false);
    }
}

namespace {

void calls_leave_results_and_errors() {
    directory const here;
    EXPECT_EQ(mkdir(here.in("d").c_str(), 0700), 0);
    EXPECT_EQ(mkdir(here.in("d").c_str(), 0700), -1);
    EXPECT_EQ(errno, EEXIST);
    EXPECT_EQ(rename(here.in("d").c_str(), here.in("e").c_str()), 0);
    struct stat about;
    EXPECT_EQ(stat(here.in("e").c_str(), &about), 0);
    EXPECT_TRUE(S_ISDIR(about.st_mode));
    EXPECT_EQ(stat(here.in("d").c_str(), &about), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(symlink("e", here.in("l").c_str()), 0);
    EXPECT_EQ(lstat(here.in("l").c_str(), &about), 0);
    EXPECT_TRUE(S_ISLNK(about.st_mode));
    char text[10] = {};
    EXPECT_EQ(readlink(here.in("l").c_str(), text, sizeof text), 1);
    EXPECT_STREQ(text, "e");
    EXPECT_EQ(access(here.in("l").c_str(), R_OK), 0);
    char* const real = realpath(here.in("l").c_str(), nullptr);
    EXPECT_EQ(std::string(real ? real : ""), here.in("e"));
    free(real);
    DIR* const all = opendir(here.path.c_str());
    ASSERT_NE(all, nullptr);
    int count = 0;
    while (readdir(all)) ++count;
    EXPECT_EQ(count, 4);
    closedir(all);
    EXPECT_EQ(opendir(here.in("no").c_str()), nullptr);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(rmdir(here.in("e").c_str()), 0);
    EXPECT_EQ(unlink(here.in("no").c_str()), -1);
    EXPECT_EQ(errno, ENOENT);
}

// From now on the kernel has no path in its cache: none at all, or none that begins at the descriptor `at`.
void forget_paths(int at = -1) {
    unsigned const number = offsetof(seccomp_data, nr), first = offsetof(seccomp_data, args);
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, first),
        BPF_JUMP(BPF_JMP | (at < 0 ? BPF_JGE : BPF_JEQ) | BPF_K, at < 0 ? 0 : unsigned(at), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog const whole{std::size(program), program};
    checked(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
    checked(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole), "PR_SET_SECCOMP");
}

int opened_directory(directory const& one) {
    return checked(open(one.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open");
}

} // namespace

TEST(paths, calls_of_what_is_cached_leave_results_and_errors) { calls_leave_results_and_errors(); }

TEST_ALONE(paths, calls_that_workers_make_leave_results_and_errors) {
    forget_paths();
    struct stat about;
    EXPECT_TRUE(lets_others_run([&] { EXPECT_EQ(stat("/", &about), 0); }));
    calls_leave_results_and_errors();
}

TEST_ALONE(paths, what_is_moved_is_looked_up_at_both_ends) {
    directory const one, two;
    int const here = opened_directory(one), there = opened_directory(two);
    for (int const at : {here, there}) close(checked(openat(at, "x", O_CREAT | O_WRONLY, 0600), "openat"));
    auto const moves_at_once = [&](int from, int to) {
        bool const linked = !lets_others_run([&] { EXPECT_EQ(linkat(from, "x", to, "y", 0), 0); }, 1);
        return !lets_others_run([&] { EXPECT_EQ(renameat(to, "y", to, "z"), 0); }, 1) && linked;
    };
    EXPECT_TRUE(moves_at_once(here, there));
    unlinkat(there, "z", 0);
    forget_paths(here);
    EXPECT_TRUE(lets_others_run([&] {
        EXPECT_EQ(linkat(here, "x", there, "y", 0), 0);
        EXPECT_EQ(unlinkat(there, "y", 0), 0);
    }));
    EXPECT_TRUE(lets_others_run([&] {
        EXPECT_EQ(renameat(here, "x", there, "y"), 0);
        EXPECT_EQ(linkat(there, "y", here, "x", 0), 0);
    }));
    close(here);
    close(there);
}

// Of a thread that is new, so that nothing of it is in any cache.
TEST(paths, below_proc_are_the_calling_threads) {
    std::thread([] {
        coir::yield();
        char text[20] = "";
        EXPECT_GT(readlink("/proc/thread-self", text, sizeof text - 1), 0);
        EXPECT_TRUE(std::string(text).ends_with("/" + std::to_string(gettid()))) << text;
        int const fd = open("/proc/thread-self/stat", O_RDONLY);
        EXPECT_GT(read(fd, text, sizeof text - 1), 0);
        close(fd);
        EXPECT_EQ(std::atoi(text), gettid());
        std::ifstream stat("/proc/thread-self/stat");
        pid_t id = 0;
        stat >> id;
        EXPECT_EQ(id, gettid());
    }).join();
}

// A worker that was made before would have the process's.
TEST_ALONE(paths, calls_of_a_thread_with_credentials_of_its_own_have_them) {
    if (geteuid() != 0) GTEST_SKIP() << "only root may take others";
    directory const here;
    checked(chmod(here.path.c_str(), 0755), "chmod");
    std::string const file = here.in("private");
    close(checked(open(file.c_str(), O_CREAT | O_WRONLY, 0600), "open"));
    EXPECT_TRUE(lets_others_run([&] { EXPECT_EQ(truncate(file.c_str(), 10), 0); }));
    forget_paths();
    for (bool const by_number : {false, true}) {
        by_number ? syscall(SYS_setfsuid, 65534) : setfsuid(65534);
        EXPECT_EQ(truncate(file.c_str(), 0), -1);
        EXPECT_EQ(errno, EACCES);
        EXPECT_EQ(open(file.c_str(), O_RDONLY), -1);
        EXPECT_EQ(errno, EACCES);
        EXPECT_EQ(fopen(file.c_str(), "r"), nullptr);
        EXPECT_EQ(access(here.in("no").c_str(), F_OK), -1);
        EXPECT_EQ(errno, ENOENT);
        setfsuid(0);
        EXPECT_EQ(truncate(file.c_str(), 10), 0);
    }
}

TEST(paths, that_cannot_be_read_are_told) {
    coir::yield();
    char const* volatile nowhere = reinterpret_cast<char const*>(1);
    struct stat about;
    EXPECT_EQ(mkdir(nowhere, 0700), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(rename(nowhere, "/tmp"), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(rename("/tmp", nowhere), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(stat(nowhere, &about), -1);
    EXPECT_EQ(errno, EFAULT);
}

TEST(paths, others_run_while_a_worker_is_at_it) {
    int turns = 0;
    auto other = coir::spawn([&] { ++turns; });
    sync(); // never at once
    EXPECT_EQ(turns, 1);
}

TEST(paths, what_makes_a_name_in_a_known_directory_makes_no_thread) {
    directory const here;
    auto const threads = [] {
        struct stat tasks;
        EXPECT_EQ(stat("/proc/self/task", &tasks), 0);
        return tasks.st_nlink;
    };
    auto const before = threads();
    FILE* const file = fopen(here.in("a").c_str(), "w");
    ASSERT_NE(file, nullptr);
    EXPECT_GE(fputs("abc", file), 0);
    EXPECT_EQ(fclose(file), 0);
    EXPECT_FALSE(lets_others_run(
        [&] {
            EXPECT_EQ(rename(here.in("a").c_str(), here.in("b").c_str()), 0);
            EXPECT_EQ(mkdir(here.in("d").c_str(), 0700), 0);
            EXPECT_EQ(unlink(here.in("b").c_str()), 0);
        },
        1));
    EXPECT_EQ(threads(), before);
}
