// Sends back what it receives, on coir::net: a fiber per connection, on one thread or on as many as there are cores.
//
//     net_echo_server [--port N] [--threads N | --processes N] [--max N]
//
// SIGTERM and SIGINT stop it: who is connected has ten seconds to finish, and none after a second signal. SIGHUP puts
// new threads or processes in the place of the old ones.
#include "descriptors.h"

#include <CLI/CLI.hpp>
#include <array>
#include <coir.h>
#include <csignal>
#include <cstdint>
#include <fmt/format.h>

namespace {

using namespace std::chrono_literals;
namespace net = coir::net;

void echo(net::tcp_stream peer) {
    std::array<char, 4096> buffer;
    while (auto const n = peer.read_some(buffer)) peer.write_all({buffer.data(), n});
}

void say_where(net::address const& where) {
    fmt::print("listening on {}\n", where.to_string());
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category(), "write to stdout");
}

void serve_here(net::address const& where, net::server_options options) {
    net::stream_server server{where, echo, std::move(options)};
    bool told = false;
    auto const stop = [&] { server.stop(std::exchange(told, true) ? 0s : 10s); };
    coir::signal_handler const terminated{SIGTERM, stop}, interrupted{SIGINT, stop};
    say_where(server.address());
    server.serve_forever();
}

void serve_on_many(net::address const& where, net::server_options options, net::crew_options how) {
    net::crew workers{where,
                      [options](net::listener from) {
                          return net::stream_server{std::move(from), echo, options};
                      },
                      std::move(how)};
    workers.start();
    say_where(workers.address());
    workers.serve_forever();
}

} // namespace

int main(int argc, char** argv) {
    std::uint16_t port = 7007;
    unsigned threads = 1, processes = 0;
    net::server_options options{.name = "echo"};
    CLI::App app{"Sends back what it receives: a fiber per connection."};
    app.add_option("--port", port, "where to listen on 127.0.0.1; 0: any free port")->capture_default_str();
    auto* const in_threads = app.add_option("--threads", threads, "how many; 0: one per processor")
                                 ->check(CLI::Range(0u, 1024u))
                                 ->capture_default_str();
    auto* const in_processes = app.add_option("--processes", processes, "so many instead; 0: one per processor")
                                   ->check(CLI::Range(0u, 1024u))
                                   ->excludes(in_threads);
    std::size_t most = 0;
    app.add_option("--max", most, "connections at a time, of each thread or process; 0: any number")
        ->capture_default_str();
    app.failure_message(CLI::FailureMessage::help);
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return app.exit(wrong) == 0 ? 0 : 2;
    }
    try {
        raise_descriptor_limit();
        if (most > 0) options.max_handlers = most;
        auto const where = net::address::ip("127.0.0.1", port);
        if (!*in_processes && threads == 1)
            serve_here(where, options);
        else if (*in_processes)
            serve_on_many(where, options, {.kind = net::worker_kind::process, .workers = processes});
        else
            serve_on_many(where, options, {.workers = threads});
    } catch (std::exception const& error) {
        fmt::print(stderr, "net_echo_server: {}\n", error.what());
        return 1;
    }
}
