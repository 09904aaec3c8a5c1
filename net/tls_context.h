// What TLS sessions are made with: whom to trust, who one is, which protocols to speak. Made once, for many sessions
// (net/tls.h), on whatever threads.
//
// A context is a handle: copies are the same thing, which the sessions keep alive. What it is made of is read when it
// is made; new certificates take a new context.
#pragma once

#include "fiber/export.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

struct ssl_ctx_st; // OpenSSL's SSL_CTX

namespace coir::net {

/// Certificates or a key in PEM, in a file or at hand. A value; any thread.
class tls_pem {
public:
    /// Those in the file at `path`, which is read when a context is made of it.
    static tls_pem file(std::string path) { return {std::move(path), true}; }
    /// Those in `text`.
    static tls_pem text(std::string text) { return {std::move(text), false}; }

    /// It is in a file.
    bool is_file() const noexcept { return is_file_; }
    /// The path or the text. Valid as long as this object.
    std::string const& value() const noexcept { return value_; }

private:
    tls_pem(std::string value, bool is_file) : value_(std::move(value)), is_file_(is_file) {}
    std::string value_;
    bool is_file_;
};

/// Who one is.
struct tls_identity {
    tls_pem chain;          ///< the own certificate, and behind it those that lead to, and need not contain, the root
    tls_pem key;            ///< the key to the first
    std::string password{}; ///< of the key, if it is encrypted
};

/// The oldest version that is spoken.
enum class tls_version {
    tls_1_2, ///< RFC 5246
    tls_1_3, ///< RFC 8446
};

/// What a client looks at before it believes that the server is who it should be.
enum class tls_server_check {
    chain_and_name,   ///< its certificate comes from someone trusted, is valid now and is for the host
    dangerously_none, ///< nothing: whoever sits between may read and change everything. For experiments.
};

/// How a client's sessions are made.
struct tls_client_options {
    bool system_authorities = true;           ///< trust whom the system does (SSL_CTX_set_default_verify_paths(3))
    std::vector<tls_pem> authorities{};       ///< trust these, too
    std::optional<tls_identity> identity{};   ///< for servers that ask for a certificate
    std::vector<std::string> protocols{};     ///< offered by ALPN (RFC 7301), the most wanted first: "h2", "http/1.1"
    tls_version least = tls_version::tls_1_2; ///< nothing older
    tls_server_check check = tls_server_check::chain_and_name; ///< of the server's certificate
};

/// Whether a server wants to see a certificate of its client. One that is shown is always checked.
enum class tls_client_certificate {
    not_wanted, ///< it does not ask
    welcome,    ///< a client may have none
    required,   ///< a client without is refused
};

/// How a server's sessions are made.
struct tls_server_options {
    std::vector<tls_identity> identities{}; ///< at least one. A client is shown the first that is for the host it asks
                                            ///< for (SNI), of each kind of key; and the very first if none is.
    tls_client_certificate client_certificate = tls_client_certificate::not_wanted; ///< whether clients show one
    std::vector<tls_pem> client_authorities{}; ///< who may have issued it; the system's are not trusted for that
    std::vector<std::string> protocols{}; ///< by ALPN, the most wanted first. A client that offers, but none of these,
                                          ///< is refused, as RFC 7301 says.
    tls_version least = tls_version::tls_1_2; ///< nothing older
};

class tls_state;

/// What sessions are made with. A handle; any thread.
class COIR_API tls_context {
public:
    /// For connect(). Throws std::system_error, of errno or tls_category(), that names the file; and EINVAL if a
    /// protocol's name is empty or longer than 255 bytes. Reads files; the system's authorities take some milliseconds.
    static tls_context client(tls_client_options options = {});
    /// For accept(). Throws the same; also EINVAL if there is no identity.
    static tls_context server(tls_server_options options);

    /// The same thing.
    tls_context(tls_context const&) noexcept = default;
    /// From now on the same thing.
    tls_context& operator=(tls_context const&) noexcept = default;

    /// OpenSSL's own, for what is not said here; to be changed before the first session is made. Valid as long as this
    /// or a copy.
    ssl_ctx_st* native() const noexcept;

    /// @cond internal
    tls_state& its_state() const noexcept { return *state_; }
    /// @endcond

private:
    explicit tls_context(std::shared_ptr<tls_state> made) noexcept : state_(std::move(made)) {}
    std::shared_ptr<tls_state> state_;
};

} // namespace coir::net
