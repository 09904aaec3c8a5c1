// Runs one test of this very program again in a fresh process, for what happens once per process or ends it.
// The test that is run so is named DISABLED_…: only rerun() asks for it.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <initializer_list>
#include <spawn.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

struct rerun_result {
    int status;         // of waitpid
    std::string error;  // what it wrote to stderr
    std::string output; // … and to stdout

    bool passed() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
    bool skipped() const { return output.find("[  SKIPPED ] 1 test") != std::string::npos; }
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
    // Spawned rather than forked: the program may have threads, and a sanitizer's locks.
    std::vector<std::string> variables{environment};
    for (char** each = environ; *each; ++each) { // of two, getenv would find the first, the dynamic linker the last
        std::string const inherited = *each, name = inherited.substr(0, inherited.find('=') + 1);
        if (std::none_of(environment.begin(), environment.end(), [&](auto& own) { return own.starts_with(name); }))
            variables.push_back(inherited);
    }
    std::vector<std::string> words{"again", "--gtest_filter=" + test, "--gtest_also_run_disabled_tests",
                                   "--gtest_repeat=1"};
    auto const pointers_to = [](std::vector<std::string>& texts) {
        std::vector<char*> all;
        for (auto& each : texts) all.push_back(each.data());
        all.push_back(nullptr);
        return all;
    };
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, fileno(error), STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&files, fileno(output), STDOUT_FILENO);
    rlimit core, no_core;
    getrlimit(RLIMIT_CORE, &core);
    no_core = {0, core.rlim_max};
    setrlimit(RLIMIT_CORE, &no_core);
    pid_t child = -1;
    char self[4096] = {}; // under Valgrind /proc/self/exe itself is Valgrind's
    EXPECT_GT(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    int const failed =
        posix_spawn(&child, self, &files, nullptr, pointers_to(words).data(), pointers_to(variables).data());
    EXPECT_EQ(failed, 0);
    setrlimit(RLIMIT_CORE, &core);
    posix_spawn_file_actions_destroy(&files);
    rerun_result result{};
    while (waitpid(child, &result.status, 0) < 0 && errno == EINTR) {}
    result.error = read_whole(error);
    result.output = read_whole(output);
    std::fclose(error);
    std::fclose(output);
    if (result.passed()) {
        bool const ran = result.output.find("[  PASSED  ] 1 test") != std::string::npos;
        EXPECT_TRUE(ran || result.skipped()) << test << " did not run";
    }
    return result;
}

/// A test that runs in a fresh process, on its first and only thread: for what asks whether any other thread is left,
/// or leaves fibers behind that wait for ever.
#define TEST_ALONE(suite, name)                                                                                        \
    TEST(suite, name) {                                                                                                \
        auto const child = rerun(#suite ".DISABLED_" #name);                                                           \
        if (child.skipped()) GTEST_SKIP() << child.output;                                                             \
        EXPECT_TRUE(child.passed()) << child.status << child.output << child.error;                                    \
    }                                                                                                                  \
    TEST(suite, DISABLED_##name)
