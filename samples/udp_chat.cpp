// UDP chat: lines of stdin go to a peer and what comes is printed, both at once, by two fibers of one thread.
//
//     $ udp_chat --name ann --to localhost:7008 --port 7007
//     listening on 127.0.0.1:7007
//     hello
//     bob: hello ann
//
// Without --to the lines go to whoever wrote last. Without options at all two parties talk to each other in one
// process:
//
//     $ udp_chat
//     ann hears bob: 1
//     …
//
// Datagrams may get lost on their way, and anyone may send some: what cannot be printed is shown as "?".
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <coir.h>
#include <cstdint>
#include <exception>
#include <fmt/format.h>
#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace {

using namespace std::chrono_literals;
namespace net = coir::net;

constexpr std::size_t longest = 1200; // bytes of a datagram, which every network takes

std::string printable(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char each) { return each < ' ' || each == 0x7f; }, '?');
    return text;
}

std::pair<std::string, net::address> receive(net::datagram_socket& at, coir::deadline until = {}) {
    std::array<char, longest> buffer;
    net::datagram const got = at.receive(std::span<char>(buffer), until);
    return {printable({buffer.data(), got.size}) + (got.truncated ? "…" : ""), got.from};
}

void say(std::string const& line) {
    fmt::print("{}\n", line);
    if (std::fflush(stdout) != 0) throw std::runtime_error("write to stdout failed");
}

// Its lines, read as they come; the thread is not kept waiting for one.
class standard_input {
public:
    // False at the end.
    bool next(std::string& line) {
        std::size_t end;
        while ((end = rest_.find('\n')) == rest_.npos && more()) {}
        line = rest_.substr(0, end);
        rest_.erase(0, end == rest_.npos ? end : end + 1);
        return end != rest_.npos || !line.empty();
    }

private:
    bool more() {
        std::array<char, 4096> buffer;
        if (coir::hub::wait_fd(STDIN_FILENO, coir::hub::readable) == coir::wake_reason::cancelled)
            coir::interruption_point();
        ssize_t const got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "read stdin");
        if (got > 0) rest_.append(buffer.data(), static_cast<std::size_t>(got));
        return got != 0;
    }
    std::string rest_;
};

// Ends them, and throws what one of them failed with.
void end(std::initializer_list<coir::any_fiber> all) {
    coir::killall(all);
    std::exception_ptr failure;
    for (coir::any_fiber const& each : all)
        if (auto const error = each.exception()) failure = error;
    if (failure) std::rethrow_exception(failure);
}

void chat(std::string const& name, std::uint16_t port, net::address peer) {
    net::datagram_socket socket(net::address(peer.family() == AF_INET6 ? "[::1]:0" : "127.0.0.1:0").with_port(port));
    say("listening on " + socket.local_address().to_string());
    auto const listening = coir::spawn([&] {
        for (bool const anyone = !peer.is_ip();;) {
            auto const [text, from] = receive(socket);
            if (anyone) peer = from;
            say(text);
        }
    });
    auto const speaking = coir::spawn([&] {
        standard_input lines;
        for (std::string line; lines.next(line);) {
            if (peer.is_ip())
                socket.send_to(peer, (name + ": " + line).substr(0, longest));
            else
                fmt::print(stderr, "udp_chat: nobody has written yet\n");
        }
    });
    coir::joinall({listening, speaking}, {.count = 1}); // until stdin ends, or one of them fails
    end({listening, speaking});
}

// Two parties. Each says three things and hears three, at once.
void demonstrate() {
    net::datagram_socket ann("127.0.0.1:0"), bob("127.0.0.1:0");
    auto const speak = [](char const* name, net::datagram_socket& own, net::address const& to) {
        for (int line = 1; line <= 3; ++line) {
            own.send_to(to, fmt::format("{}: {}", name, line));
            coir::yield();
        }
    };
    auto const hear = [](char const* name, net::datagram_socket& own) {
        for (int line = 1; line <= 3; ++line) say(fmt::format("{} hears {}", name, receive(own, 5s).first));
    };
    auto const ann_hears = coir::spawn(hear, "ann", std::ref(ann)), bob_hears = coir::spawn(hear, "bob", std::ref(bob));
    auto const ann_speaks = coir::spawn(speak, "ann", std::ref(ann), bob.local_address());
    auto const bob_speaks = coir::spawn(speak, "bob", std::ref(bob), ann.local_address());
    coir::joinall({ann_hears, bob_hears});
    end({ann_hears, bob_hears, ann_speaks, bob_speaks});
}

} // namespace

int main(int argc, char** argv) try {
    std::string name = "somebody", to;
    std::uint16_t port = 0;
    CLI::App options{
        "UDP chat: sends the lines of stdin and prints what comes, at once. Without options, a demonstration."};
    options.add_option("--name", name, "said before each line")->capture_default_str();
    options.add_option("--port", port, "where to listen on loopback; 0: any free port")->capture_default_str();
    options.add_option("--to", to, "host:port to send to; without it, to whoever wrote last");
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }
    if (argc == 1)
        demonstrate();
    else
        chat(name, port, to.empty() ? net::address() : net::resolve(to, 10s, {.type = SOCK_DGRAM}).front());
} catch (std::exception const& error) {
    fmt::print(stderr, "udp_chat: {}\n", error.what());
    return 1;
}
