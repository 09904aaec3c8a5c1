// What instructions.py counts: COUNT times one thing, and nothing else that takes many instructions.
//
//     instructions yield|spawn|echo_through_net|echo_through_the_shim COUNT

#include "coir.h"
#include "tests/bench/echo/server.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

void yield(std::size_t count) {
    auto const turns = [count] {
        for (std::size_t i = 0; i < count / 10; ++i) coir::yield();
    };
    std::array<coir::fiber<void>, 10> all;
    for (auto& each : all) each = coir::spawn(turns);
    coir::joinall(all);
}

void spawn(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) coir::spawn([] {}).join();
}

// Another process, which asks `count` times, one after the other, and takes the answers.
class asking {
public:
    asking(int port, std::size_t count) : process_(fork()) {
        if (process_ != 0) return;
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        where.sin_port = htons(std::uint16_t(port));
        int const fd = socket(AF_INET, SOCK_STREAM, 0);
        std::array<char, 64> message{};
        bool all = connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0;
        for (std::size_t i = 0; all && i < count; ++i)
            all = send(fd, message.data(), message.size(), 0) == ssize_t(message.size()) &&
                  recv(fd, message.data(), message.size(), MSG_WAITALL) == ssize_t(message.size());
        _exit(!all);
    }
    asking(asking const&) = delete;
    ~asking() {
        int status = 0;
        if (process_ > 0 && waitpid(process_, &status, 0) == process_ && status == 0) return;
        std::fprintf(stderr, "instructions: the process that asks has failed\n");
        std::_Exit(2);
    }

private:
    pid_t process_;
};

void echo_through_net(std::size_t count) {
    coir::net::tcp_listener listener("127.0.0.1:0");
    asking const other(listener.local_address().port(), count);
    auto peer = listener.accept();
    std::array<char, bench::room> buffer;
    while (auto const n = peer.read_some(buffer)) peer.write_all({buffer.data(), n});
}

void echo_through_the_shim(std::size_t count) {
    coir::yield(); // from here on this is a fiber
    int const listener = bench::listen_anywhere();
    asking const other(bench::port_of(listener), count);
    bench::echo_plainly(bench::checked(accept(listener, nullptr, nullptr), "accept"));
}

} // namespace

int main(int argc, char** argv) {
    std::map<std::string, void (*)(std::size_t)> const works{
        {"yield", yield},
        {"spawn", spawn},
        {"echo_through_net", echo_through_net},
        {"echo_through_the_shim", echo_through_the_shim},
    };
    auto const work = argc == 3 ? works.find(argv[1]) : works.end();
    if (work == works.end()) {
        std::fprintf(stderr, "usage: %s yield|spawn|echo_through_net|echo_through_the_shim COUNT\n", argv[0]);
        return 2;
    }
    work->second(std::strtoul(argv[2], nullptr, 10));
}
