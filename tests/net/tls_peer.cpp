// One end of a conversation with another implementation of TLS, for tls_interop.py.
//
//     tls_peer serve CHAIN KEY [AUTHORITY]   says its port, answers each request by HTTP with what it knows of the
//                                            session, and each other line by its echo; AUTHORITY's clients only
//     tls_peer ask PORT HOST AUTHORITY TEXT [CHAIN KEY]   sends TEXT until it ends, and prints what comes

#include <coir.h>
#include <net/tls.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

using namespace coir::net;

namespace {

void converse(tls_context const& with, tcp_stream plain) try {
    auto peer = tls_stream::accept(with, std::move(plain), std::chrono::seconds(20));
    std::string line;
    char one;
    bool http = false;
    while (peer.read_some({&one, 1})) {
        line += one;
        if (one != '\n') continue;
        if (http && line == "\r\n") {
            std::string const body = std::string(peer.version()) + " " + std::string(peer.protocol()) + " " +
                                     std::string(peer.server_name()) + " " + peer.peer_subject() +
                                     (peer.resumed() ? " again" : "") + "\n";
            peer.write_all("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
                           "\r\n\r\n" + body);
            break;
        }
        if (line.starts_with("GET ")) http = true;
        if (!http) peer.write_all(line);
        line.clear();
    }
    peer.shutdown_write();
    while (peer.read_some({&one, 1})) {}
} catch (std::system_error const& error) {
    std::cerr << "tls_peer: " << error.what() << std::endl;
}

int serve(int count, char** arguments) {
    tls_server_options options{.identities = {{tls_pem::file(arguments[0]), tls_pem::file(arguments[1])}},
                               .protocols = {"http/1.1"}};
    if (count > 2) {
        options.client_certificate = tls_client_certificate::required;
        options.client_authorities = {tls_pem::file(arguments[2])};
    }
    auto const with = tls_context::server(options);
    tcp_listener listener("127.0.0.1:0");
    std::cout << listener.local_address().port() << std::endl;
    for (;;) coir::spawn(converse, with, listener.accept());
}

int ask(int count, char** arguments) {
    tls_client_options options{.system_authorities = false, .authorities = {tls_pem::file(arguments[2])}};
    if (count > 5) options.identity = {tls_pem::file(arguments[4]), tls_pem::file(arguments[5])};
    auto peer = tls_stream::connect(tls_context::client(options),
                                    tcp_stream::connect("127.0.0.1:" + std::string(arguments[0])), arguments[1]);
    peer.write_all(std::string_view(arguments[3]));
    auto saying_more = coir::spawn([&] { peer.shutdown_write(); });
    std::array<char, 4096> buffer;
    while (auto const n = peer.read_some(buffer)) std::cout.write(buffer.data(), std::streamsize(n));
    std::cout.flush();
    saying_more.get();
    return EXIT_SUCCESS;
}

} // namespace

int main(int count, char** arguments) try {
    std::string const what = count > 1 ? arguments[1] : "";
    if (what == "serve" && count >= 4) return serve(count - 2, arguments + 2);
    if (what == "ask" && count >= 6) return ask(count - 2, arguments + 2);
    std::cerr << "usage: tls_peer serve CHAIN KEY [AUTHORITY] | ask PORT HOST AUTHORITY TEXT [CHAIN KEY]\n";
    return 2;
} catch (std::exception const& error) {
    std::cerr << "tls_peer: " << error.what() << "\n";
    return EXIT_FAILURE;
}
