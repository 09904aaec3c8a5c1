// Locks of files: flock, record locks of the process and of open files, lockf.

#include "tests/monkey/outcome.h"

#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <sys/file.h>
#include <sys/wait.h>

namespace {

// A file, opened twice.
struct locked_file {
    int first, second;
    locked_file() {
        char name[] = "/tmp/coir-locks-XXXXXX";
        first = checked(mkstemp(name), "mkstemp");
        second = checked(open(name, O_RDWR), "open");
        unlink(name);
        EXPECT_EQ(ftruncate(first, 100), 0);
    }
    locked_file(locked_file const&) = delete;
    ~locked_file() {
        close(first);
        close(second);
    }
};

struct flock lock_of(int type, off_t start = 0, off_t length = 10) {
    struct flock one {};
    one.l_type = short(type);
    one.l_whence = SEEK_SET;
    one.l_start = start;
    one.l_len = length;
    return one;
}

int record(int fd, int command, int type, off_t start = 0) {
    struct flock one = lock_of(type, start);
    return fcntl(fd, command, &one);
}

// Another process, which has done `first`, does `then` when it is told to, and gives what that returned.
class other_process {
public:
    other_process(std::function<void()> const& first, std::function<int()> const& then)
        : go_(fd_pair::pipe()), ready_(fd_pair::pipe()), pid_(checked(fork(), "fork")) {
        char byte;
        if (pid_ == 0) {
            go_.close_second();
            first();
            if (write(ready_.second, "x", 1) != 1) _exit(99);
            while (read(go_.first, &byte, 1) < 0) {}
            _exit(then());
        }
        go_.close_first();
        ready_.close_second();
        EXPECT_EQ(read(ready_.first, &byte, 1), 1);
    }
    void go() { go_.close_second(); }
    int result() {
        go();
        int status = -1;
        EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
        return WEXITSTATUS(status);
    }

private:
    fd_pair go_, ready_;
    pid_t pid_;
};

// Both ways of a lock, for every kind: who has to wait parks, and gets it when the other lets go.
void expect_lock(std::function<int(int)> const& take, std::function<int(int)> const& let_go) {
    locked_file const file;
    ASSERT_EQ(take(file.first), 0);
    auto waits = coir::spawn([&] { return take(file.second); });
    until_parked(waits);
    EXPECT_EQ(let_go(file.first), 0);
    EXPECT_EQ(waits.get(), 0);
    auto back = coir::spawn([&] { return take(file.first); });
    until_parked(back);
    EXPECT_EQ(let_go(file.second), 0);
    EXPECT_EQ(back.get(), 0);
    EXPECT_EQ(let_go(file.first), 0);
    // A kill and a handler end it, and nothing is locked then.
    handler const usr1{SIGUSR1};
    ASSERT_EQ(take(file.first), 0);
    EXPECT_EQ(with_kill([&] { return take(file.second); }), cancelled);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return take(file.second); }), interrupted);
    EXPECT_EQ(let_go(file.first), 0);
    EXPECT_EQ(take(file.first), 0);
}

} // namespace

TEST(flock, parks) {
    expect_lock([](int fd) { return flock(fd, LOCK_EX); }, [](int fd) { return flock(fd, LOCK_UN); });
}

TEST(record_locks, of_open_files_park) {
    expect_lock([](int fd) { return record(fd, F_OFD_SETLKW, F_WRLCK); },
                [](int fd) { return record(fd, F_OFD_SETLKW, F_UNLCK); });
}

TEST(flock, shared_and_errors_as_the_kernel_has_them) {
    locked_file const file;
    EXPECT_EQ(flock(file.first, LOCK_SH), 0);
    EXPECT_EQ(flock(file.second, LOCK_SH), 0);
    EXPECT_EQ(outcome_of([&] { return flock(file.first, LOCK_EX | LOCK_NB); }), (outcome{-1, EWOULDBLOCK}));
    for (int const operation : {0, 77, LOCK_SH | LOCK_EX})
        EXPECT_EQ(outcome_of([&] { return flock(file.first, operation); }),
                  natively([&] { return flock(file.first, operation); }));
    EXPECT_EQ(outcome_of([] { return flock(-1, LOCK_EX); }), (outcome{-1, EBADF}));
}

TEST(flock, a_handler_with_restart_does_not_end_it) {
    handler const usr1{SIGUSR1, SA_RESTART};
    locked_file const file;
    ASSERT_EQ(flock(file.first, LOCK_EX), 0);
    auto waits = coir::spawn([&] { return flock(file.second, LOCK_EX); });
    until_parked(waits);
    raise(SIGUSR1);
    until_parked(waits);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(flock(file.first, LOCK_UN), 0);
    EXPECT_EQ(waits.get(), 0);
}

// Of the process: only another one keeps a fiber out.
TEST(record_locks, of_another_process_park) {
    locked_file const file;
    for (bool const by_lockf : {false, true}) {
        other_process holder([&] { record(file.first, F_SETLK, F_WRLCK); },
                             [&] { return record(file.first, F_SETLK, F_UNLCK); });
        EXPECT_EQ(record(file.second, F_SETLK, F_WRLCK), -1);
        auto waits = coir::spawn(
            [&] { return by_lockf ? lockf(file.second, F_LOCK, 10) : record(file.second, F_SETLKW, F_WRLCK); });
        until_parked(waits);
        EXPECT_EQ(with_kill([&] { return record(file.second, F_SETLKW, F_RDLCK); }), cancelled);
        holder.go();
        EXPECT_EQ(waits.get(), 0);
        EXPECT_EQ(holder.result(), 0);
        other_process const looks([] {}, [] { return 0; });
        EXPECT_EQ(by_lockf ? lockf(file.second, F_ULOCK, 10) : record(file.second, F_SETLKW, F_UNLCK), 0);
    }
}

TEST(record_locks, fibers_of_one_process_do_not_keep_each_other_out) {
    locked_file const file;
    EXPECT_EQ(record(file.first, F_SETLKW, F_WRLCK), 0);
    EXPECT_EQ(record(file.second, F_SETLKW, F_WRLCK), 0);
    EXPECT_EQ(lockf(file.second, F_LOCK, 10), 0);
    EXPECT_EQ(lockf(file.second, F_TEST, 10), 0);
}

TEST(record_locks, the_kernel_sees_a_deadlock) {
    locked_file const file;
    ASSERT_EQ(record(file.first, F_SETLK, F_WRLCK, 0), 0);
    other_process other([&] { record(file.first, F_SETLK, F_WRLCK, 20); },
                        [&] {
                            // The parent waits for the second by now, or will.
                            int const result = record(file.first, F_SETLKW, F_WRLCK, 0);
                            return result == -1 ? errno : 0;
                        });
    auto waits = coir::spawn([&] { return outcome_of([&] { return record(file.first, F_SETLKW, F_WRLCK, 20); }); });
    until_parked(waits);
    other.go();
    outcome const mine = waits.get(); // one of the two is told
    if (mine.result == -1) {
        EXPECT_EQ(mine, (outcome{-1, EDEADLK}));
        EXPECT_EQ(record(file.first, F_SETLK, F_UNLCK, 0), 0);
        EXPECT_EQ(other.result(), 0);
    } else {
        EXPECT_EQ(other.result(), EDEADLK);
    }
}

TEST(record_locks, errors_are_the_kernels) {
    locked_file const file;
    int const reads_only = open("/dev/null", O_RDONLY);
    for (int const command : {F_SETLKW, F_OFD_SETLKW}) {
        auto const same = [&](int fd, int type) {
            EXPECT_EQ(outcome_of([&] { return record(fd, command, type); }),
                      natively([&] { return record(fd, command, type); }));
        };
        same(-1, F_WRLCK);
        same(file.first, 77);
        same(reads_only, F_WRLCK);
    }
    close(reads_only);
    EXPECT_EQ(outcome_of([&] { return lockf(file.first, 77, 0); }), natively([&] { return lockf(file.first, 77, 0); }));
    EXPECT_EQ(outcome_of([&] { return lockf(-1, F_LOCK, 0); }), natively([&] { return lockf(-1, F_LOCK, 0); }));
    EXPECT_EQ(outcome_of([&] { return lockf64(file.first, F_LOCK, -10); }),
              natively([&] { return lockf64(file.first, F_LOCK, -10); }));
}
