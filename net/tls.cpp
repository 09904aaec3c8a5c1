#include "net/tls.h"

#include "net/tls_queue.h"
#include "net/tls_session.h"

#include <cerrno>
#include <memory>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdexcept>

namespace coir::net {
namespace {

using owned_bio = std::unique_ptr<BIO, freed_by<BIO_free_all>>;

// What `print` writes of the peer's certificate.
template <class Print>
std::string printed(SSL* of, Print print) {
    owned_certificate const shown(of ? SSL_get1_peer_certificate(of) : nullptr);
    if (!shown) return {};
    owned_bio const out(BIO_new(BIO_s_mem()));
    if (!out || !print(out.get(), shown.get())) throw_tls_error("TLS, the peer's certificate");
    char* text = nullptr;
    long const size = BIO_get_mem_data(out.get(), &text);
    return {text, std::size_t(size)};
}

} // namespace

tls_stream::tls_stream(std::shared_ptr<tls_session> made) noexcept : session_(std::move(made)) {}

tls_stream& tls_stream::operator=(tls_stream&& other) noexcept {
    if (this == &other) return *this;
    close();
    session_ = std::move(other.session_);
    return *this;
}

tls_stream::~tls_stream() { close(); }

tls_stream tls_stream::connect(tls_context const& with, std::unique_ptr<stream> below, std::string_view host,
                               deadline until) {
    if (with.its_state().is_server()) throw std::logic_error("TLS: a client needs a client's context");
    return begin(with, std::move(below), host, until);
}

tls_stream tls_stream::accept(tls_context const& with, std::unique_ptr<stream> below, deadline until) {
    if (!with.its_state().is_server()) throw std::logic_error("TLS: a server needs a server's context");
    return begin(with, std::move(below), {}, until);
}

// The connection is closed if it comes to nothing.
tls_stream tls_stream::begin(tls_context const& with, std::unique_ptr<stream> below, std::string_view host,
                             deadline until) {
    tls_stream made(std::make_shared<tls_session>(with, std::move(below), host));
    made.session_->shake_hands(until);
    return made;
}

std::shared_ptr<tls_session> tls_stream::its_session(char const* words) const {
    if (session_) return session_;
    throw std::system_error(EBADF, std::generic_category(), std::string(words) + " nowhere");
}

std::size_t tls_stream::receive(std::span<iovec const> into, deadline until) {
    return its_session("read from")->receive(into, until);
}

std::size_t tls_stream::send(std::span<iovec const> what, deadline until) {
    return its_session("write to")->send(what, until);
}

void tls_stream::shutdown_write(deadline until) { its_session("end the stream to")->end_writing(until); }

void tls_stream::close() noexcept {
    if (session_) session_->below().close();
}

bool tls_stream::is_open() const noexcept { return session_ && session_->below().is_open(); }

address const& tls_stream::peer_address() const noexcept {
    static address const nowhere;
    return session_ ? session_->below().peer_address() : nowhere;
}

std::string_view tls_stream::protocol() const noexcept {
    unsigned char const* chosen = nullptr;
    unsigned size = 0;
    if (session_) SSL_get0_alpn_selected(session_->native(), &chosen, &size);
    return {reinterpret_cast<char const*>(chosen), size};
}

std::string_view tls_stream::server_name() const noexcept {
    char const* const name = session_ ? SSL_get_servername(session_->native(), TLSEXT_NAMETYPE_host_name) : nullptr;
    return name ? name : "";
}

std::string_view tls_stream::version() const noexcept { return session_ ? SSL_get_version(session_->native()) : ""; }

bool tls_stream::resumed() const noexcept { return session_ && SSL_session_reused(session_->native()); }

std::string tls_stream::peer_certificate() const {
    return printed(native(), [](BIO* out, X509* shown) { return PEM_write_bio_X509(out, shown) > 0; });
}

std::string tls_stream::peer_subject() const {
    return printed(native(), [](BIO* out, X509* shown) {
        return X509_NAME_print_ex(out, X509_get_subject_name(shown), 0, XN_FLAG_RFC2253) >= 0;
    });
}

ssl_st* tls_stream::native() const noexcept { return session_ ? session_->native() : nullptr; }

} // namespace coir::net
