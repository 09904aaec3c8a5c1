// What a tls_context is a handle to: OpenSSL's SSL_CTX, what its callbacks look at, and the sessions that clients may
// resume. Nothing of it changes once it is made but those, which have a lock: any thread. Internal.
#pragma once

#include "fiber/thread_lock.h"
#include "net/tls_context.h"

#include <deque>
#include <memory>
#include <openssl/ssl.h>
#include <string>
#include <unordered_map>
#include <vector>

namespace coir::net {

template <auto Free>
struct freed_by {
    template <class Thing>
    void operator()(Thing* thing) const noexcept {
        Free(thing);
    }
};

using owned_certificate = std::unique_ptr<X509, freed_by<X509_free>>;
using owned_key = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using owned_session = std::unique_ptr<SSL_SESSION, freed_by<SSL_SESSION_free>>;

class tls_state {
public:
    /// Of a client or of a server. Throws as tls_context::client and server.
    explicit tls_state(tls_client_options const& options);
    explicit tls_state(tls_server_options const& options);

    bool is_server() const noexcept { return is_server_; }
    bool checks_name() const noexcept { return checks_name_; }
    SSL_CTX* native() const noexcept { return native_.get(); }

    /// The next session made with this SSL is kept for `whom`, which must outlive the SSL. Of a client.
    static void keep_sessions_of(SSL* ssl, std::string const& whom);
    /// One to be resumed, which is nobody else's if it is to be used once only (RFC 8446, C.4); or null.
    owned_session session_for(std::string const& whom);

private:
    struct identity {
        owned_key key;
        std::vector<owned_certificate> chain; // the own one first
    };

    tls_state(tls_version least, std::vector<std::string> const& protocols);
    static identity read_identity(tls_identity const& from);
    template <class Of>
    static void use(Of* of, identity const& which);
    void trust(std::vector<tls_pem> const& authorities, bool tell_clients);
    void keep(std::string const& whom, owned_session session);

    static int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept;
    static int on_server_name(SSL* ssl, int* alert, void* self) noexcept;
    static int on_protocols(SSL* ssl, unsigned char const** chosen, unsigned char* chosen_size,
                            unsigned char const* offered, unsigned offered_size, void* self) noexcept;

    std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>> native_;
    bool is_server_ = false;
    bool checks_name_ = false;
    std::string protocols_; // as they are sent: each behind a byte with its length
    std::vector<identity> identities_;

    thread_lock lock_;                                                    // of what follows
    std::unordered_map<std::string, std::deque<owned_session>> sessions_; // by whom they are with; the newest last
};

} // namespace coir::net
