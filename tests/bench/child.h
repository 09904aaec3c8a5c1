// A run in a process of its own, for what a process can do only once: to touch memory for the first time.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

/// What `measure` returns in a child process, which ends with it. Main thread, before it has a hub or fibers that
/// matter.
inline double in_child(std::function<double()> const& measure) {
    int ends[2];
    if (pipe(ends) != 0) {
        std::perror("pipe");
        std::exit(2);
    }
    std::fflush(stdout);
    pid_t const child = fork();
    if (child == 0) {
        double const cost = measure();
        _exit(write(ends[1], &cost, sizeof cost) == sizeof cost ? 0 : 2);
    }
    close(ends[1]);
    double cost = 0;
    bool const came = child > 0 && read(ends[0], &cost, sizeof cost) == sizeof cost;
    close(ends[0]);
    int status = 0;
    if (!came || waitpid(child, &status, 0) != child || status != 0) {
        std::fprintf(stderr, "a run in a child process failed (status %d)\n", status);
        std::exit(2);
    }
    return cost;
}

/// What this program prints if it is started with `arguments`, for shells.
inline double in_new_process(std::string const& arguments) {
    std::FILE* const said = popen(("exec /proc/" + std::to_string(getpid()) + "/exe " + arguments).c_str(), "re");
    double cost = 0;
    bool const came = said && std::fscanf(said, "%lf", &cost) == 1;
    if (!said || pclose(said) != 0 || !came) {
        std::fprintf(stderr, "a run in a process of its own failed: %s\n", arguments.c_str());
        std::exit(2);
    }
    return cost;
}

} // namespace bench
