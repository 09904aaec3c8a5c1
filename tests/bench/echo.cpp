// What an echo of 64 bytes costs the server, in CPU time per request, with 100, 1,000 and 10,000 connections: by hand
// on epoll, through coir::net, through the shim's plain read and write, and of the peers; and, where io_uring is
// allowed, by hand on that and through coir::net with receive_ahead().
//
//     bench-echo [CONNECTIONS…]
//     bench-echo --load PORT CONNECTIONS REQUESTS    # of a server that runs already, under strace for example
//
// The servers are processes of their own, pinned to one core; the load comes from here, on another. Every connection
// has one request under way at all times, so the server is never out of work; how much of its time the load spent
// waiting is said, for a load that never waits measures itself.

#include "coir.h"
#include "sides.h"
#include "tests/bench/echo/load.h"
#include "tests/bench/echo/server.h"

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <sched.h>
#include <spawn.h>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace {

using bench::checked;
using bench::load;

void pin(int core) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one); // where there is only one core, they share it
}

// A server beside this program, which is told where it listens, and what it has used of the processor.
class server {
public:
    server(std::string const& path, char const* option) {
        int said[2];
        checked(pipe2(said, O_CLOEXEC), "pipe");
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, said[1], STDOUT_FILENO);
        char* const arguments[] = {const_cast<char*>(path.c_str()), const_cast<char*>(option), nullptr};
        pin(0); // inherited
        errno = posix_spawn(&process_, path.c_str(), &actions, nullptr, arguments, environ);
        pin(1);
        if (errno) checked(-1, path.c_str());
        posix_spawn_file_actions_destroy(&actions);
        close(said[1]);
        std::array<char, 16> text{};
        checked(int(read(said[0], text.data(), text.size() - 1)), "read where it listens");
        close(said[0]);
        port = std::atoi(text.data());
        if (clock_getcpuclockid(process_, &clock_) != 0) checked(-1, "clock_getcpuclockid");
    }
    server(server const&) = delete;
    ~server() {
        kill(process_, SIGKILL);
        waitpid(process_, nullptr, 0);
    }
    double cpu() const {
        timespec used;
        checked(clock_gettime(clock_, &used), "clock_gettime");
        return double(used.tv_sec) * 1e9 + double(used.tv_nsec);
    }
    int port = 0;

private:
    pid_t process_ = 0;
    clockid_t clock_{};
};

struct waiting_share {
    double cpu = 0, wall = 0;
};

// io_uring is allowed, and new enough.
bool receives_ahead() {
    coir::net::tcp_listener listener("127.0.0.1:0");
    return coir::net::tcp_stream::connect(listener.local_address()).receive_ahead();
}

void compare_servers(std::string const& directory, std::size_t connections) {
    constexpr std::size_t requests = 50'000;
    waiting_share share;
    auto const side_of = [&](char const* name, char const* program, char const* option = nullptr) {
        auto const process = std::make_shared<server>(directory + program, option);
        return bench::side{name, [=, &share] {
                               load from(process->port, connections); // anew: together they need too many descriptors
                               from.run(connections);                 // accepted, and all have been used
                               timespec begin, end;
                               clock_gettime(CLOCK_MONOTONIC, &begin);
                               double const own = bench::cpu_now(), before = process->cpu();
                               from.run(requests);
                               double const used = process->cpu() - before;
                               clock_gettime(CLOCK_MONOTONIC, &end);
                               share.cpu += bench::cpu_now() - own;
                               share.wall +=
                                   double(end.tv_sec - begin.tv_sec) * 1e9 + double(end.tv_nsec - begin.tv_nsec);
                               return used / double(from.requests_of(requests)) / 1000;
                           }};
    };
    std::vector<bench::side> sides{side_of("epoll by hand", "echo-epoll"), side_of("coir", "echo-net"),
                                   side_of("plain calls, shim", "echo-shim"),
                                   side_of("epoll, a page each", "echo-epoll", "--page-each")};
    std::vector<bench::target> targets{{1.05, "epoll by hand"}, {1.10, "epoll by hand", 0, "plain calls, shim"}};
    if (receives_ahead()) {
        sides.push_back(side_of("io_uring by hand", "echo-uring"));
        sides.push_back(side_of("coir, received ahead", "echo-net", "--receive-ahead"));
        if (connections <= 100) targets.push_back({0.97, "epoll by hand", 0, "coir, received ahead"});
        if (connections >= 10'000) targets.push_back({0.90, "epoll by hand", 0, "coir, received ahead"});
    }
    for (auto const* const peer : {"libuv", "asio", "go", "gevent", "threads"}) {
        if (connections > 1'000 && std::string_view(peer) == "threads") continue; // too many for most machines
        std::string const program = std::string("echo-") + peer;
        if (std::filesystem::exists(directory + program))
            sides.push_back(side_of(peer, program.c_str()));
        else
            sides.push_back({peer, nullptr});
    }
    bench::compare("echo of 64 bytes, " + std::to_string(connections) + " connections, CPU of the server", sides,
                   targets, {.unit = "us"});
    std::printf("  the load waited %.0f %% of the time\n", 100 * (1 - share.cpu / share.wall));
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) try {
    bench::raise_descriptor_limit();
    if (argc == 5 && std::string_view(argv[1]) == "--load") {
        load(std::atoi(argv[2]), std::size_t(std::atol(argv[3]))).run(std::size_t(std::atol(argv[4])));
        return 0;
    }
    std::string const own = argv[0];
    std::string const directory = own.substr(0, own.rfind('/') + 1);
    std::vector<std::size_t> sizes;
    for (int i = 1; i < argc; ++i) sizes.push_back(std::size_t(std::atol(argv[i])));
    for (std::size_t const each : sizes.empty() ? std::vector<std::size_t>{100, 1'000, 10'000} : sizes)
        compare_servers(directory, each);
} catch (std::exception const& error) {
    std::fprintf(stderr, "bench-echo: %s\n", error.what());
    return 2;
}
