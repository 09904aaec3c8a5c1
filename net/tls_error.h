// What goes wrong in TLS itself, as std::error_codes. Errors of the connection below keep errno's.
//
// A value of tls_category() is what OpenSSL calls it: X509_V_ERR_… (openssl/x509_vfy.h) if a certificate was refused
// here, otherwise an error of its queue (ERR_get_error(3)): library and reason, packed. Any thread.
#pragma once

#include "fiber/export.h"

#include <system_error>
#include <type_traits>

namespace coir::net {

/// Those of OpenSSL's errors that a program may want to tell apart: `error.code() == tls_error::truncated`.
enum class tls_error : int {
    certificate_not_yet_valid = 9,      ///< X509_V_ERR_CERT_NOT_YET_VALID
    certificate_expired = 10,           ///< X509_V_ERR_CERT_HAS_EXPIRED
    certificate_self_signed = 18,       ///< X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
    certificate_unknown_root = 19,      ///< X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: the chain ends at nobody trusted
    certificate_unknown_issuer = 20,    ///< X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    certificate_of_another_host = 62,   ///< X509_V_ERR_HOSTNAME_MISMATCH
    certificate_of_another_ip = 64,     ///< X509_V_ERR_IP_ADDRESS_MISMATCH
    no_client_certificate = 0x0a0000c7, ///< SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE
    no_protocol_in_common = 0x0a0000eb, ///< SSL_R_NO_APPLICATION_PROTOCOL: none of the client's is one of the server's
    truncated = 0x0a000126,             ///< SSL_R_UNEXPECTED_EOF_WHILE_READING: the end came without a close_notify
};

/// Of the errors that TLS itself has. Any thread.
COIR_API std::error_category const& tls_category() noexcept;

/// For std::error_code's constructor. Any thread.
inline std::error_code make_error_code(tls_error which) noexcept { return {int(which), tls_category()}; }

} // namespace coir::net

/// @cond internal
template <>
struct std::is_error_code_enum<coir::net::tls_error> : std::true_type {};
/// @endcond
