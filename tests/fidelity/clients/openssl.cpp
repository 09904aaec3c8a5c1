// OpenSSL over the descriptor of a plain blocking socket, which BIO_new_socket() reads and writes.
#include "client.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace clients {
namespace {

class openssl_client final : public client {
public:
    openssl_client(std::string const& where, int limit) {
        auto const [host, port] = host_and_port(where);
        int const peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (peer < 0) fail("socket");
        BIO* const transport = BIO_new_socket(peer, BIO_CLOSE);
        if (!transport) fail("BIO_new_socket");
        SSL_set_bio(session_.get(), transport, transport); // takes over both references

        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(std::uint16_t(port));
        inet_pton(AF_INET, host.c_str(), &address.sin_addr);
        if (connect(peer, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect");
        if (SSL_set1_host(session_.get(), host.c_str()) != 1) fail("SSL_set1_host");
        if (int const result = SSL_connect(session_.get()); result != 1) fail("SSL_connect", result);
        timeval const most{limit, 0};
        setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    }

    ~openssl_client() override {
        SSL_shutdown(session_.get());
        ERR_clear_error(); // the queue of errors belongs to the thread, whoever comes next finds it clean
    }

    // The server closes the connection behind its answer.
    void operation(double wait) override {
        std::string const request = "GET /" + in_seconds(wait) + " HTTP/1.0\r\n\r\n";
        if (int const n = SSL_write(session_.get(), request.data(), int(request.size())); n <= 0) fail("SSL_write", n);
        std::string answer;
        char buffer[1024];
        int n;
        while ((n = SSL_read(session_.get(), buffer, sizeof buffer)) > 0) answer.append(buffer, std::size_t(n));
        // Not by SSL_get_error(): it looks into the thread's queue of errors, where another fiber's user of OpenSSL,
        // like libcurl, may have left one while this one waited in SSL_read().
        if (!(SSL_get_shutdown(session_.get()) & SSL_RECEIVED_SHUTDOWN)) fail("SSL_read", n);
        auto const head = answer.find("\r\n\r\n");
        if (!answer.starts_with("HTTP/1.1 200 ") || head == std::string::npos) throw failure("no answer: " + answer);
        expect_answer(std::string_view(answer).substr(head + 4), "waited " + in_seconds(wait) + "\n");
    }

private:
    static SSL_CTX* settings() {
        static owned<SSL_CTX, SSL_CTX_free> const all = [] {
            owned<SSL_CTX, SSL_CTX_free> made(SSL_CTX_new(TLS_client_method()));
            SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER, nullptr);
            if (SSL_CTX_set_default_verify_paths(made.get()) != 1) throw failure("SSL_CTX_set_default_verify_paths");
            return made;
        }();
        return all.get();
    }

    [[noreturn]] void fail(std::string what, int result = 1) const {
        int const error = errno;
        if (unsigned long const reason = ERR_get_error()) {
            what += ": " + std::string(ERR_error_string(reason, nullptr));
        } else if (result > 0 || SSL_get_error(session_.get(), result) == SSL_ERROR_SYSCALL) {
            what += ": " + std::string(std::strerror(error));
        } else {
            what += ": SSL_get_error says " + std::to_string(SSL_get_error(session_.get(), result));
        }
        ERR_clear_error();
        throw failure(what);
    }

    owned<SSL, SSL_free> session_{SSL_new(settings())};
};

known_kind<openssl_client> const openssl{"openssl"};

} // namespace
} // namespace clients
