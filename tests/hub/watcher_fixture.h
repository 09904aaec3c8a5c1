// What the tests of watchers share.
#pragma once

#include "hub/fiber.h"
#include "hub/hub.h"

#include <cerrno>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

struct pipe_ends {
    int ends[2];
    pipe_ends() { EXPECT_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0); }
    ~pipe_ends() {
        for (int end : ends) {
            coir::hub::forget_fd(end);
            close(end);
        }
    }
    int in() const { return ends[0]; }
    int out() const { return ends[1]; }
    void put() const { EXPECT_EQ(write(out(), "x", 1), 1); }
    void take() const {
        char byte;
        EXPECT_EQ(read(in(), &byte, 1), 1);
    }
};

struct temporary_file {
    std::string path = "/tmp/coir_watchers_XXXXXX";
    temporary_file() { close(mkstemp(path.data())); }
    ~temporary_file() { unlink(path.c_str()); }
    void append() const {
        int const fd = open(path.c_str(), O_WRONLY | O_APPEND);
        EXPECT_EQ(write(fd, "x", 1), 1);
        close(fd);
    }
};

/// A child that ends when `go` is closed, or written to.
struct waiting_child {
    pipe_ends go;
    pid_t pid;
    explicit waiting_child(int status) : pid(::fork()) {
        if (pid != 0) return;
        char byte;
        close(go.out());
        fcntl(go.in(), F_SETFL, 0);
        while (read(go.in(), &byte, 1) < 0) {}
        _exit(status);
    }
};

/// Valgrind 3.19 does not know the call.
#define NEEDS_PIDFD()                                                                                                  \
    if (syscall(SYS_pidfd_open, getpid(), 0) < 0 && errno == ENOSYS) GTEST_SKIP() << "pidfd_open(2): ENOSYS"

inline int exit_status_of(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
}

/// What coir reports as unhandled while this lives.
struct reports {
    std::vector<std::string> seen;
    std::function<void(coir::unhandled_exception const&)> before =
        coir::on_unhandled_exception([this](auto const& one) { seen.push_back(one.name); });
    ~reports() { coir::on_unhandled_exception(before); }
};
