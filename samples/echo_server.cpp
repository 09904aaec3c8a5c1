// Sends back what it receives, on plain POSIX calls: a fiber per connection, all on one thread.
//
//     echo_server [--port N]
//
// It is linked with libcoir-monkey.so, which makes accept, read and write let other fibers run. Where a
// program is not to be linked anew, LD_PRELOAD=libcoir-monkey.so does the same.
#include "descriptors.h"

#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <chrono>
#include <coir.h>
#include <csignal>
#include <cstdint>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace {

using namespace std::chrono_literals;

// What ends one connection is no matter for the others: it is closed, whatever the reason.
void echo(int peer) {
    char buffer[4096];
    for (;;) {
        ssize_t const got = ::read(peer, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        ssize_t sent = 0;
        while (sent < got) {
            ssize_t const n = ::write(peer, buffer + sent, std::size_t(got - sent));
            if (n < 0 && errno != EINTR) break;
            if (n > 0) sent += n;
        }
        if (sent < got) break;
    }
    ::close(peer);
}

int listen_on(std::uint16_t& port) {
    auto const check = [&](int result, char const* call) {
        if (result < 0)
            throw std::system_error(errno, std::generic_category(), fmt::format("{} 127.0.0.1:{}", call, port));
        return result;
    };
    int const listener = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    int const yes = 1;
    check(::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), "setsockopt");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    check(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), "bind");
    check(::listen(listener, SOMAXCONN), "listen");
    check(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    port = ntohs(address.sin_port);
    return listener;
}

// Out of descriptors, memory or stacks: those who wait in the listener's backlog are served when others have
// gone.
void back_off(std::error_code const& shortage) {
    static bool said = false;
    if (!std::exchange(said, true))
        fmt::print(stderr, "echo_server: accept: {}; serving on, new connections wait (ulimit -n is {})\n",
                   shortage.message(), ::sysconf(_SC_OPEN_MAX));
    coir::sleep(20ms);
}

[[noreturn]] void serve(int listener) {
    for (;;) {
        int const peer = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (peer >= 0) {
            try {
                coir::spawn(echo, peer);
            } catch (std::system_error const& no_stack) {
                ::close(peer);
                back_off(no_stack.code());
            }
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            back_off({errno, std::generic_category()});
        } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP || errno == EFAULT) {
            throw std::system_error(errno, std::generic_category(), "accept");
        }
        // Anything else is the end of a connection that nobody had accepted yet: ECONNABORTED, and on Linux
        // every error that was pending on the new socket (accept(2)).
    }
}

} // namespace

int main(int argc, char** argv) {
    std::uint16_t port = 7007;
    CLI::App options{"Sends back what it receives: a fiber per connection, on one thread."};
    options.add_option("--port", port, "where to listen on 127.0.0.1; 0: any free port")->capture_default_str();
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }
    try {
        std::signal(SIGPIPE, SIG_IGN); // a peer that went away is an error of write, not the end of us
        raise_descriptor_limit();
        int const listener = listen_on(port);
        fmt::print("listening on 127.0.0.1:{}\n", port);
        std::fflush(stdout);
        serve(listener);
    } catch (std::exception const& error) {
        fmt::print(stderr, "echo_server: {}\n", error.what());
        return 1;
    }
}
