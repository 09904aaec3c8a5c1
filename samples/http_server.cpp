// Gives away the files below a directory by HTTP or HTTPS, and echoes WebSocket messages at /echo: Boost.Beast over
// coir's streams (http_conversation.cpp). A fiber per connection.
//
//     http_server [--address 127.0.0.1:8080] [--root DIR] [--threads N] [--certificate FILE --key FILE]
//
// Opening a file may wait for the disk, and so for a moment all of the thread's connections do; under the shim
// (coir run -- http_server …) they do not.
#include "descriptors.h"
#include "http_conversation.h"
#include "web_root.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <coir.h>
#include <csignal>
#include <fmt/format.h>
#include <net/tls.h>
#include <optional>

namespace {

using namespace std::chrono_literals;

struct settings {
    std::string where = "127.0.0.1:8080", root = ".", certificate, key;
    unsigned threads = 1;
    double patience = 30; // seconds for a request to come, and in which some of the answer must be taken
};

// No more than a word of it would be worth: one that went away, is too slow, or speaks no TLS.
bool is_peers_fault(std::exception const& error, coir::net::address const& peer) {
    auto const* const failed = dynamic_cast<std::system_error const*>(&error);
    return coir::net::peer_went_away(error, peer) || (failed && failed->code().category() == coir::net::tls_category());
}

} // namespace

int main(int argc, char** argv) try {
    settings chosen;
    CLI::App options{"Gives away the files below a directory by HTTP."};
    options.add_option("--address", chosen.where, "where to listen, IP:PORT; port 0: any free one")
        ->capture_default_str();
    options.add_option("--root", chosen.root, "the directory")->capture_default_str();
    options.add_option("--patience", chosen.patience, "seconds for a request to come, and for the peer to take some")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    options.add_option("--threads", chosen.threads, "how many; 0: one for each processor")->capture_default_str();
    auto* const certificate = options.add_option("--certificate", chosen.certificate, "PEM file: speak HTTPS");
    auto* const key = options.add_option("--key", chosen.key, "PEM file: the key of the certificate");
    certificate->needs(key);
    key->needs(certificate);
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }

    raise_descriptor_limit();
    web_root const files(chosen.root);
    std::optional<coir::net::tls_context> tls;
    if (!chosen.certificate.empty())
        tls = coir::net::tls_context::server(
            {.identities = {{coir::net::tls_pem::file(chosen.certificate), coir::net::tls_pem::file(chosen.key)}},
             .protocols = {"http/1.1"}});
    std::chrono::duration<double> const patience(chosen.patience);
    auto const handle = [&](coir::net::tcp_stream peer) {
        peer.no_delay(true); // an answer goes out in one piece, or ends with the file
        if (!tls) return converse(peer, files, patience);
        auto session = coir::net::tls_stream::accept(*tls, std::move(peer), patience);
        converse(session, files, patience);
    };
    coir::net::crew threads(coir::net::address(chosen.where),
                            [&](coir::net::listener from) {
                                return coir::net::stream_server(std::move(from), handle, {.ignore = is_peers_fault});
                            },
                            {.workers = chosen.threads});
    threads.start();
    fmt::print("listening on {}\n", threads.address().to_string());
    std::fflush(stdout);
    threads.serve_forever(); // until SIGTERM or SIGINT
} catch (std::exception const& error) {
    fmt::print(stderr, "http_server: {}\n", error.what());
    return 1;
}
