// Talks to echo_server over many connections at once and checks that every byte comes back. Plain POSIX
// calls, a fiber per connection, all on one thread; linked with libcoir-monkey.so like echo_server.
//
//     echo_client [--port N] [--connections N] [--messages M] [--size BYTES]
#include "descriptors.h"

#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <chrono>
#include <coir.h>
#include <csignal>
#include <cstdint>
#include <fmt/format.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct load {
    std::uint16_t port = 7007;
    unsigned connections = 100;
    unsigned messages = 10;
    unsigned size = 64; // bytes of a message
};

[[noreturn]] void fail(std::string const& what) { throw std::system_error(errno, std::generic_category(), what); }

int connect_to(std::uint16_t port) {
    int const peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer < 0) fail("socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (::connect(peer, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        fail(fmt::format("connect 127.0.0.1:{}", port));
    return peer;
}

void write_all(int peer, std::string_view data) {
    while (!data.empty()) {
        ssize_t const n = ::write(peer, data.data(), data.size());
        if (n < 0 && errno != EINTR) fail("write");
        if (n > 0) data.remove_prefix(std::size_t(n));
    }
}

void read_all(int peer, std::string& data) {
    for (std::size_t got = 0; got < data.size();) {
        ssize_t const n = ::read(peer, data.data() + got, data.size() - got);
        if (n == 0) throw std::runtime_error("read: the server closed the connection");
        if (n < 0 && errno != EINTR) fail("read");
        if (n > 0) got += std::size_t(n);
    }
}

// Sends and gets back `load.messages` messages; no two of the program are alike.
void talk(int peer, unsigned number, load const& asked) {
    struct closing {
        int fd;
        ~closing() { ::close(fd); }
    } at_end{peer};
    std::string sent(asked.size, '\0'), back(asked.size, '\0');
    for (unsigned message = 0; message < asked.messages; ++message) {
        std::uint32_t state = number * 2654435761u + message * 40503u + 1;
        for (char& each : sent) each = char((state = state * 1664525u + 1013904223u) >> 24);
        write_all(peer, sent);
        read_all(peer, back);
        if (back != sent) throw std::runtime_error(fmt::format("message {} came back changed", message));
    }
}

template <class T>
void join_and_check(std::vector<coir::fiber<T>> const& connections) {
    coir::joinall(connections);
    std::exception_ptr first;
    std::size_t failed = 0;
    for (auto const& each : connections) {
        std::exception_ptr const error = each.exception();
        if (error && failed++ == 0) first = error;
    }
    if (!failed) return;
    try {
        std::rethrow_exception(first);
    } catch (std::exception const& error) {
        throw std::runtime_error(
            fmt::format("{} of {} connections failed, the first with: {}", failed, connections.size(), error.what()));
    }
}

void run(load const& asked) {
    rlim_t const limit = raise_descriptor_limit();
    constexpr rlim_t ours = 16; // standard streams, the hub's own
    if (asked.connections + ours > limit)
        throw std::runtime_error(
            fmt::format("{} connections need {} descriptors, and the hard limit is {}: raise it with "
                        "`ulimit -Hn {}` as root, or LimitNOFILE= of the service",
                        asked.connections, asked.connections + ours, limit, asked.connections + ours));

    // All are connected before the first byte is sent, so that they are really open at the same time.
    std::vector<coir::fiber<int>> connecting;
    for (unsigned i = 0; i < asked.connections; ++i) connecting.push_back(coir::spawn(connect_to, asked.port));
    join_and_check(connecting);

    auto const begin = std::chrono::steady_clock::now();
    std::vector<coir::fiber<void>> talking;
    for (unsigned i = 0; i < asked.connections; ++i)
        talking.push_back(coir::spawn(talk, connecting[i].get(), i, std::cref(asked)));
    join_and_check(talking);
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - begin;

    std::uint64_t const messages = std::uint64_t(asked.connections) * asked.messages;
    fmt::print("{} connections, {} messages, {} bytes, {:.2f} s, {:.0f} messages/s\n", asked.connections, messages,
               messages * asked.size, took.count(), double(messages) / took.count());
}

} // namespace

int main(int argc, char** argv) {
    load asked;
    CLI::App options{"Checks echo_server over many connections at once, on one thread."};
    options.add_option("--port", asked.port, "where echo_server listens on 127.0.0.1")->capture_default_str();
    options.add_option("--connections", asked.connections, "how many, all open at once")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    options.add_option("--messages", asked.messages, "on each connection")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    // A message is written in full before it is read back, so it must fit into what the sockets on its way
    // can hold.
    options.add_option("--size", asked.size, "bytes of a message")->check(CLI::Range(1, 65536))->capture_default_str();
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }
    try {
        std::signal(SIGPIPE, SIG_IGN);
        run(asked);
        if (std::fflush(stdout) != 0) fail("write to stdout");
    } catch (std::exception const& error) {
        fmt::print(stderr, "echo_client: {}\n", error.what());
        return 1;
    }
}
