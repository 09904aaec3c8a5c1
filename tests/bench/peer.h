// A peer's program as a side of a measurement: it runs beside this one, and is asked for one run after the other
// (peers/peer.h says how). Main thread only.
#pragma once

#include "sides.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace bench {
namespace detail {

class peer_program {
public:
    explicit peer_program(std::string const& path) {
        int there[2], back[2];
        if (pipe2(there, O_CLOEXEC) != 0 || pipe2(back, O_CLOEXEC) != 0) fail(path);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, there[0], STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, back[1], STDOUT_FILENO);
        char* const arguments[] = {const_cast<char*>(path.c_str()), nullptr};
        errno = posix_spawn(&process_, path.c_str(), &actions, nullptr, arguments, environ);
        if (errno) fail(path);
        posix_spawn_file_actions_destroy(&actions);
        close(there[0]);
        close(back[1]);
        asked_ = fdopen(there[1], "w");
        said_ = fdopen(back[0], "r");
    }
    peer_program(peer_program const&) = delete;
    ~peer_program() {
        std::fclose(asked_); // whereupon it ends
        std::fclose(said_);
        waitpid(process_, nullptr, 0);
    }

    double ask(std::string const& request) {
        double cost = 0;
        std::fprintf(asked_, "%s\n", request.c_str());
        std::fflush(asked_);
        if (std::fscanf(said_, "%lf", &cost) != 1) fail(request);
        return cost;
    }

private:
    [[noreturn]] static void fail(std::string const& what) {
        std::fprintf(stderr, "a peer failed: %s: %s\n", what.c_str(), strerror(errno));
        std::exit(2);
    }

    pid_t process_ = 0;
    std::FILE *asked_ = nullptr, *said_ = nullptr;
};

} // namespace detail

enum class peer_memory { kept, new_process }; // whether a run finds what the one before left in the process

/// The peer whose program is peers/peer-NAME beside this one; `request` is what it is asked for. A side that is left
/// out if that was not built.
inline side peer(std::string const& name, std::string const& request, peer_memory how = peer_memory::kept) {
    std::string program = name;
    std::replace(program.begin(), program.end(), ' ', '-');
    auto const path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "peers" / ("peer-" + program);
    if (!exists(path)) return {name, nullptr};
    if (how == peer_memory::new_process) return {name, [=] { return detail::peer_program(path).ask(request); }};
    return {name, [request, one = std::make_shared<detail::peer_program>(path)] { return one->ask(request); }};
}

} // namespace bench
