// What the tests of TLS share: certificates, made now, and sessions over loopback.
#pragma once

#include "net/tls.h"
#include "tests/net/connection.h"

#include <ctime>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <string>

namespace tls_world {

using coir::net::tls_client_options;
using coir::net::tls_context;
using coir::net::tls_error;
using coir::net::tls_identity;
using coir::net::tls_pem;
using coir::net::tls_server_options;
using coir::net::tls_stream;

inline void good(bool result) {
    if (!result) throw std::runtime_error("OpenSSL would not");
}

template <class Write>
std::string pem_of(Write write) {
    std::unique_ptr<BIO, decltype(&BIO_free_all)> const out(BIO_new(BIO_s_mem()), BIO_free_all);
    good(write(out.get()));
    char* text = nullptr;
    long const size = BIO_get_mem_data(out.get(), &text);
    return {text, std::size_t(size)};
}

/// A certificate and its key.
struct issued {
    std::shared_ptr<X509> certificate;
    std::shared_ptr<EVP_PKEY> key;

    std::string certificate_pem() const {
        return pem_of([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
    }
    std::string key_pem(std::string const& password = "") const {
        return pem_of([&](BIO* out) {
            return PEM_write_bio_PKCS8PrivateKey(out, key.get(), password.empty() ? nullptr : EVP_aes_128_cbc(),
                                                 password.data(), int(password.size()), nullptr, nullptr);
        });
    }
    /// With those that lead to the root, if it is given.
    tls_identity identity(std::string const& behind = "") const {
        return {tls_pem::text(certificate_pem() + behind), tls_pem::text(key_pem())};
    }
    tls_pem as_authority() const { return tls_pem::text(certificate_pem()); }
};

struct wanted {
    std::string subject;
    std::string names{};            // "DNS:localhost,IP:127.0.0.1"
    issued const* issuer = nullptr; // itself
    bool is_authority = false;
    long from = -3600, until = 3600; // seconds from now
    bool rsa = false;                // or on the curve P-256
};

inline issued issue(wanted const& what) {
    static long serial = std::time(nullptr);
    issued made{{X509_new(), X509_free}, {what.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), EVP_PKEY_free}};
    X509* const to = made.certificate.get();
    X509_set_version(to, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(to), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(to), what.from);
    X509_gmtime_adj(X509_getm_notAfter(to), what.until);
    good(X509_set_pubkey(to, made.key.get()));
    auto const* const subject = reinterpret_cast<unsigned char const*>(what.subject.c_str());
    good(X509_NAME_add_entry_by_txt(X509_get_subject_name(to), "CN", MBSTRING_UTF8, subject, -1, -1, 0));
    X509* const from = what.issuer ? what.issuer->certificate.get() : to;
    good(X509_set_issuer_name(to, X509_get_subject_name(from)));
    auto const add = [&](int kind, std::string const& value) {
        X509V3_CTX context;
        X509V3_set_ctx(&context, from, to, nullptr, nullptr, 0);
        X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
        good(extension && X509_add_ext(to, extension, -1));
        X509_EXTENSION_free(extension);
    };
    add(NID_basic_constraints, what.is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (!what.names.empty()) add(NID_subject_alt_name, what.names);
    good(X509_sign(to, (what.issuer ? what.issuer->key : made.key).get(), EVP_sha256()));
    return made;
}

inline issued const& root() {
    static issued const made = issue({.subject = "root of the test", .is_authority = true});
    return made;
}

inline issued const& local() {
    static issued const made =
        issue({.subject = "local", .names = "DNS:localhost,IP:127.0.0.1,IP:::1,DNS:*.wild.test", .issuer = &root()});
    return made;
}

inline tls_client_options trusting(issued const& authority = root()) {
    return {.system_authorities = false, .authorities = {authority.as_authority()}};
}

inline tls_context server_with(issued const& who = local()) {
    return tls_context::server({.identities = {who.identity()}});
}

struct session {
    tls_stream near; // the client's
    tls_stream far;
};

/// Both shake hands at once. What the client throws is thrown; else what the server does.
template <class Stream>
session secured(tls_context const& client, tls_context const& server, std::string_view host, Stream near, Stream far) {
    auto accepting =
        coir::spawn([&server, far = std::move(far)]() mutable { return tls_stream::accept(server, std::move(far)); });
    try {
        session made;
        made.near = tls_stream::connect(client, std::move(near), host);
        made.far = std::move(accepting).get();
        return made;
    } catch (...) {
        accepting.join();
        accepting.exception(); // it is known
        throw;
    }
}

inline session secured(tls_context const& client, tls_context const& server, std::string_view host = "localhost") {
    auto [near, far] = connected();
    return secured(client, server, host, std::move(near), std::move(far));
}

inline session secured() {
    static tls_context const client = tls_context::client(trusting()), server = server_with();
    return secured(client, server);
}

/// Neither side speaks anything newer.
inline void only_tls_1_2(tls_context const& which) {
    good(SSL_CTX_set_max_proto_version(which.native(), TLS1_2_VERSION));
}

inline std::string read(coir::net::stream& from, std::size_t size) {
    std::string all(size, ' ');
    from.read_exactly(std::span<char>(all));
    return all;
}

} // namespace tls_world
