#include "net/tls_context.h"

#include "net/descriptor.h"
#include "net/tls_queue.h"
#include "net/tls_state.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <system_error>
#include <unistd.h>

namespace coir::net {
namespace {

constexpr std::size_t hosts_remembered = 1000; // that a client has sessions of to resume …
constexpr std::size_t sessions_each = 8;       // … and how many: as many connections may begin at once

using owned_bio = std::unique_ptr<BIO, freed_by<BIO_free_all>>;

std::string words_for(char const* what, tls_pem const& from) {
    return std::string("TLS, ") + what + (from.is_file() ? " in " + from.value() : std::string(" given as text"));
}

std::string read_file(std::string const& path, std::string const& words) {
    auto const checked = [&](auto result) {
        if (result < 0) throw std::system_error(errno, std::generic_category(), words);
        return result;
    };
    descriptor const file(checked(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
    std::string all;
    char part[4096];
    while (auto const size = checked(::read(file.native(), part, sizeof part))) all.append(part, std::size_t(size));
    return all;
}

class pem_reader {
public:
    pem_reader(char const* what, tls_pem const& from)
        : words_(words_for(what, from)), text_(from.is_file() ? read_file(from.value(), words_) : from.value()),
          bio_(BIO_new_mem_buf(text_.data(), int(text_.size()))) {
        if (!bio_) fail();
    }
    pem_reader(pem_reader const&) = delete;
    pem_reader& operator=(pem_reader const&) = delete;

    // All that are there, one at least.
    std::vector<owned_certificate> certificates() {
        std::vector<owned_certificate> all;
        ERR_clear_error();
        while (X509* const one = PEM_read_bio_X509(bio_.get(), nullptr, never_ask, nullptr)) all.emplace_back(one);
        bool const at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        if (all.empty() || !at_end) fail();
        ERR_clear_error();
        return all;
    }

    owned_key key(std::string const& password) {
        ERR_clear_error();
        owned_key made(PEM_read_bio_PrivateKey(bio_.get(), nullptr, never_ask, const_cast<std::string*>(&password)));
        if (!made) fail();
        return made;
    }

    [[noreturn]] void fail() const { throw_tls_error(words_); }

private:
    // OpenSSL's own would ask at the terminal.
    static int never_ask(char* into, int room, int, void* password) noexcept {
        auto const* const given = static_cast<std::string const*>(password);
        if (!given || given->empty() || given->size() > std::size_t(room)) return -1;
        std::memcpy(into, given->data(), given->size());
        return int(given->size());
    }

    std::string const words_;
    std::string const text_;
    owned_bio bio_;
};

std::string as_sent(std::vector<std::string> const& protocols) {
    std::string all;
    for (std::string const& each : protocols) {
        if (each.empty() || each.size() > 255)
            throw std::system_error(EINVAL, std::generic_category(), "TLS, protocol \"" + each + "\"");
        all += char(each.size());
        all += each;
    }
    return all;
}

void free_stack(STACK_OF(X509) * of_others) noexcept { sk_X509_free(of_others); }

// Where an SSL keeps whom it is with.
int place_of_whom() noexcept {
    static int const place = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return place;
}

} // namespace

tls_state::tls_state(tls_version least, std::vector<std::string> const& protocols)
    : native_(SSL_CTX_new(TLS_method())), protocols_(as_sent(protocols)) {
    if (!native_) throw_tls_error("TLS, make a context");
    SSL_CTX* const made = native_.get();
    SSL_CTX_set_min_proto_version(made, least == tls_version::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    // A write may be taken record by record, and tried again with the same bytes at another place.
    SSL_CTX_set_mode(made,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_app_data(made, this);
}

tls_state::tls_state(tls_client_options const& options) : tls_state(options.least, options.protocols) {
    SSL_CTX* const made = native_.get();
    checks_name_ = options.check == tls_server_check::chain_and_name;
    SSL_CTX_set_verify(made, checks_name_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (options.system_authorities && !SSL_CTX_set_default_verify_paths(made))
        throw_tls_error("TLS, the system's authorities");
    trust(options.authorities, false);
    if (options.identity) identities_.push_back(read_identity(*options.identity));
    if (!identities_.empty()) use(made, identities_.front());
    // It returns 0 when it succeeds.
    if (!protocols_.empty() && SSL_CTX_set_alpn_protos(made, reinterpret_cast<unsigned char const*>(protocols_.data()),
                                                       unsigned(protocols_.size())) != 0)
        throw_tls_error("TLS, protocols");
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(made, on_new_session);
}

tls_state::tls_state(tls_server_options const& options) : tls_state(options.least, options.protocols) {
    if (options.identities.empty())
        throw std::system_error(EINVAL, std::generic_category(), "TLS, a server without an identity");
    SSL_CTX* const made = native_.get();
    is_server_ = true;
    for (tls_identity const& each : options.identities) identities_.push_back(read_identity(each));
    use(made, identities_.front());
    SSL_CTX_set_tlsext_servername_callback(made, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(made, this);
    if (!protocols_.empty()) SSL_CTX_set_alpn_select_cb(made, on_protocols, this);
    trust(options.client_authorities, true);
    if (options.client_certificate != tls_client_certificate::not_wanted) {
        bool const required = options.client_certificate == tls_client_certificate::required;
        SSL_CTX_set_verify(made, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    }
    // What is resumed comes back with the client, as a ticket: nothing is kept here.
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    static constexpr unsigned char id[] = "coir";
    SSL_CTX_set_session_id_context(made, id, sizeof id - 1);
}

tls_state::identity tls_state::read_identity(tls_identity const& from) {
    pem_reader chain("certificate", from.chain), key("key", from.key);
    identity made{key.key(from.password), chain.certificates()};
    if (!X509_check_private_key(made.chain.front().get(), made.key.get())) key.fail();
    return made;
}

// The same call for a context and for one of its sessions, which OpenSSL spells differently.
template <class Of>
void tls_state::use(Of* of, identity const& which) {
    std::unique_ptr<STACK_OF(X509), freed_by<free_stack>> rest(sk_X509_new_null());
    bool good = rest != nullptr;
    for (std::size_t i = 1; good && i < which.chain.size(); ++i) good = sk_X509_push(rest.get(), which.chain[i].get());
    X509* const own = which.chain.front().get();
    if constexpr (std::is_same_v<Of, SSL>)
        good = good && SSL_use_cert_and_key(of, own, which.key.get(), rest.get(), 1);
    else
        good = good && SSL_CTX_use_cert_and_key(of, own, which.key.get(), rest.get(), 1);
    if (!good) throw_tls_error("TLS, use a certificate");
}

void tls_state::trust(std::vector<tls_pem> const& authorities, bool tell_clients) {
    X509_STORE* const store = SSL_CTX_get_cert_store(native_.get());
    for (tls_pem const& each : authorities) {
        pem_reader reader("authorities", each);
        for (owned_certificate const& one : reader.certificates())
            if (!X509_STORE_add_cert(store, one.get()) ||
                (tell_clients && !SSL_CTX_add_client_CA(native_.get(), one.get())))
                reader.fail();
    }
}

void tls_state::keep_sessions_of(SSL* ssl, std::string const& whom) {
    if (!SSL_set_ex_data(ssl, place_of_whom(), const_cast<std::string*>(&whom))) throw_tls_error("TLS");
}

int tls_state::on_new_session(SSL* ssl, SSL_SESSION* session) noexcept {
    auto* const self = static_cast<tls_state*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    auto const* const whom = static_cast<std::string const*>(SSL_get_ex_data(ssl, place_of_whom()));
    if (!whom) return 0;
    try {
        self->keep(*whom, owned_session(session));
    } catch (std::bad_alloc const&) {} // it is gone: the next one begins anew
    return 1;
}

void tls_state::keep(std::string const& whom, owned_session session) {
    std::lock_guard held(lock_);
    if (sessions_.size() >= hosts_remembered && !sessions_.contains(whom)) sessions_.erase(sessions_.begin());
    auto& of_them = sessions_[whom];
    of_them.push_back(std::move(session));
    if (of_them.size() > sessions_each) of_them.pop_front();
}

owned_session tls_state::session_for(std::string const& whom) {
    std::lock_guard held(lock_);
    auto const found = sessions_.find(whom);
    if (found == sessions_.end()) return nullptr;
    owned_session newest = std::move(found->second.back());
    found->second.pop_back();
    if (SSL_SESSION_get_protocol_version(newest.get()) < TLS1_3_VERSION && SSL_SESSION_is_resumable(newest.get()) &&
        SSL_SESSION_up_ref(newest.get()))
        found->second.emplace_back(newest.get());
    if (found->second.empty()) sessions_.erase(found);
    return newest;
}

// The client's wish is known now and no certificate chosen yet. Of each kind of key OpenSSL keeps the last, so the
// first of ours comes last.
int tls_state::on_server_name(SSL* ssl, int* alert, void* self) noexcept {
    char const* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    auto const& identities = static_cast<tls_state*>(self)->identities_;
    if (!name) return SSL_TLSEXT_ERR_NOACK;
    auto const is_for_it = [&](identity const& each) {
        return X509_check_host(each.chain.front().get(), name, 0, 0, nullptr) == 1;
    };
    if (identities.size() < 2 || std::none_of(identities.begin(), identities.end(), is_for_it))
        return SSL_TLSEXT_ERR_OK;
    try {
        SSL_certs_clear(ssl);
        for (auto each = identities.rbegin(); each != identities.rend(); ++each)
            if (is_for_it(*each)) use(ssl, *each);
        return SSL_TLSEXT_ERR_OK;
    } catch (std::exception const&) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
}

// The server's order counts: it gets the first of its own that is offered.
int tls_state::on_protocols(SSL*, unsigned char const** chosen, unsigned char* chosen_size,
                            unsigned char const* offered, unsigned offered_size, void* self) noexcept {
    std::string const& own = static_cast<tls_state*>(self)->protocols_;
    unsigned char* found = nullptr;
    // If there is none in common it says so, and points to the client's first.
    if (SSL_select_next_proto(&found, chosen_size, reinterpret_cast<unsigned char const*>(own.data()),
                              unsigned(own.size()), offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

tls_context tls_context::client(tls_client_options options) {
    return tls_context(std::make_shared<tls_state>(options));
}

tls_context tls_context::server(tls_server_options options) {
    return tls_context(std::make_shared<tls_state>(options));
}

ssl_ctx_st* tls_context::native() const noexcept { return state_->native(); }

} // namespace coir::net
