// Runs one test of this very program again in a fresh process, for what happens once per process or ends it.
// The test that is run so is named DISABLED_…: only rerun() asks for it.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <initializer_list>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct rerun_result {
    int status;         // of waitpid
    std::string error;  // what it wrote to stderr
    std::string output; // … and to stdout

    bool passed() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
    bool killed_by(int signal) const { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }
};

inline std::string read_whole(std::FILE* from) {
    std::string text;
    std::rewind(from);
    for (int c; (c = std::fgetc(from)) != EOF;) text += char(c);
    return text;
}

// `test` is "suite.DISABLED_name"; `environment` holds "NAME=value".
inline rerun_result rerun(std::string const& test, std::initializer_list<std::string> environment = {}) {
    std::FILE* const error = std::tmpfile();
    std::FILE* const output = std::tmpfile();
    std::fflush(nullptr);
    pid_t const child = fork();
    if (child == 0) {
        rlimit const no_core{0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(fileno(error), STDERR_FILENO);
        dup2(fileno(output), STDOUT_FILENO);
        for (auto const& each : environment) putenv(const_cast<char*>(each.c_str()));
        std::string const filter = "--gtest_filter=" + test;
        execl("/proc/self/exe", "again", filter.c_str(), "--gtest_also_run_disabled_tests",
              "--gtest_repeat=1", static_cast<char*>(nullptr));
        _exit(127);
    }
    rerun_result result{};
    while (waitpid(child, &result.status, 0) < 0 && errno == EINTR) {
    }
    result.error = read_whole(error);
    result.output = read_whole(output);
    std::fclose(error);
    std::fclose(output);
    if (result.passed()) {
        EXPECT_NE(result.output.find("[  PASSED  ] 1 test"), std::string::npos) << test << " did not run";
    }
    return result;
}
