#include "net/tls_error.h"

#include "net/tls_queue.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <string>

namespace coir::net {
namespace {

static_assert(int(tls_error::certificate_not_yet_valid) == X509_V_ERR_CERT_NOT_YET_VALID);
static_assert(int(tls_error::certificate_expired) == X509_V_ERR_CERT_HAS_EXPIRED);
static_assert(int(tls_error::certificate_self_signed) == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
static_assert(int(tls_error::certificate_unknown_root) == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
static_assert(int(tls_error::certificate_unknown_issuer) == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
static_assert(int(tls_error::certificate_of_another_host) == X509_V_ERR_HOSTNAME_MISMATCH);
static_assert(int(tls_error::certificate_of_another_ip) == X509_V_ERR_IP_ADDRESS_MISMATCH);

constexpr int of_ssl(int reason) { return int(ERR_PACK(ERR_LIB_SSL, 0, reason)); }

static_assert(int(tls_error::no_client_certificate) == of_ssl(SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE));
static_assert(int(tls_error::no_protocol_in_common) == of_ssl(SSL_R_NO_APPLICATION_PROTOCOL));
static_assert(int(tls_error::truncated) == of_ssl(SSL_R_UNEXPECTED_EOF_WHILE_READING));

// Packed errors are larger than any of those about certificates, for their library stands above the reason.
struct category final : std::error_category {
    char const* name() const noexcept override { return "tls"; }

    std::string message(int value) const override {
        auto const packed = static_cast<unsigned long>(value);
        if (ERR_GET_LIB(packed) == 0)
            return std::string("certificate verify failed: ") + X509_verify_cert_error_string(value);
        if (value == int(tls_error::truncated)) return "the connection ended without the peer's close_notify";
        int const reason = ERR_GET_REASON(packed);
        if (ERR_GET_LIB(packed) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
            return std::string("the peer says: ") + SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
        if (char const* const words = ERR_reason_error_string(packed)) return words;
        return "OpenSSL's error " + std::to_string(value);
    }
};

} // namespace

std::error_category const& tls_category() noexcept {
    static category const one;
    return one;
}

std::error_code take_tls_error() noexcept {
    unsigned long const packed = ERR_get_error();
    ERR_clear_error();
    if (packed == 0) return {of_ssl(ERR_R_INTERNAL_ERROR), tls_category()};
    if (ERR_SYSTEM_ERROR(packed)) return {ERR_GET_REASON(packed), std::generic_category()};
    return {int(packed), tls_category()};
}

void throw_tls_error(std::string const& what) {
    std::error_code const why = take_tls_error();
    throw std::system_error(why, what);
}

} // namespace coir::net
