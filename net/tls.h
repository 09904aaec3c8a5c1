// TLS over any stream: clients and servers, by OpenSSL 3. In a library of its own, libcoir-tls.so (pkg-config:
// coir-tls), so that <coir.h> does not include it:
//
//     #include <coir.h>
//     #include <net/tls.h>
//     …
//     auto const trust = coir::net::tls_context::client();
//     auto peer = coir::net::tls_stream::connect(trust, coir::net::tcp_stream::connect(where), "example.org");
//
// What a stream does is told in net/stream.h. A session is used on one thread, by one reading and one writing fiber at
// a time; any fiber may close it, whereupon those who wait get EBADF. It owns the stream that it goes over.
//
// * The end of what the peer sends is its close_notify. A connection that ends without one was cut off, by a fault or
// by
//   someone in between: reading throws tls_error::truncated. So does the peer's unless shutdown_write() came before
//   close(), which says nothing: what is not finished must not look finished.
// * A fiber that is interrupted (killed, or timed out) while it reads leaves the session as it was. One that is
//   interrupted while it writes may have had a part encrypted: that goes out before what is written next, complete, so
//   the session goes on; what was given to that call must not be written again. One that is interrupted in connect() or
//   accept() has lost the connection.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/stream.h"
#include "net/tls_context.h"
#include "net/tls_error.h"

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <utility>

struct ssl_st; // OpenSSL's SSL

namespace coir::net {

class tls_session;

/// A TLS session, version 1.2 or 1.3. For one thread; one reading and one writing fiber at a time. Errors are
/// std::system_errors that say what was attempted and with whom, of errno if they are the connection's, of
/// tls_category() if they are TLS's own. After one of those nothing can be read or written any more.
class COIR_API tls_stream final : public stream {
public:
    /// Refers to nothing: every call fails with EBADF.
    tls_stream() noexcept = default;
    /// Takes over the session of `other`, which refers to nothing then. Who waits goes on.
    tls_stream(tls_stream&& other) noexcept = default;
    /// The same; the one that it had is closed.
    tls_stream& operator=(tls_stream&& other) noexcept;
    /// As close().
    ~tls_stream() override;

    /// **Parks.** The client's side of a session over `below`, with the server that is called `host`: its certificate
    /// must be for that name, or that IP address, which need not be what `below` is connected to. A session that the
    /// same context has had with the same host and port is resumed, if the server likes. Throws std::system_error, "TLS
    /// with example.org:443 (192.0.2.1:443): certificate verify failed: certificate has expired", ETIMEDOUT when
    /// `until` has passed, and EINVAL if `host` is empty, unless nothing is checked; std::logic_error if `with` is a
    /// server's; and what interrupts the caller. Any thread; the session is this one's.
    ///
    /// A server of TLS 1.3 refuses a client's certificate only after this has returned: reading is told.
    static tls_stream connect(tls_context const& with, std::unique_ptr<stream> below, std::string_view host,
                              deadline until = {});
    /// The same over a stream that is moved in: a tcp_stream, a unix_stream, another session.
    template <std::derived_from<stream> Stream>
    static tls_stream connect(tls_context const& with, Stream below, std::string_view host, deadline until = {}) {
        return connect(with, std::make_unique<Stream>(std::move(below)), host, until);
    }

    /// **Parks.** The server's side of a session over `below`. Throws as connect(), "TLS with 192.0.2.7:40112: the peer
    /// says: unknown CA"; std::logic_error if `with` is a client's. Any thread; the session is this one's.
    ///
    /// Give it a deadline, and a fiber that is not the accepting one: the peer decides how long it takes.
    static tls_stream accept(tls_context const& with, std::unique_ptr<stream> below, deadline until = {});
    /// The same over a stream that is moved in.
    template <std::derived_from<stream> Stream>
    static tls_stream accept(tls_context const& with, Stream below, deadline until = {}) {
        return accept(with, std::make_unique<Stream>(std::move(below)), until);
    }

    /// **Parks.** Sends close_notify, behind what was written: the peer reads the end of the stream. Reading goes on,
    /// and the connection below stays. Throws as write_some does.
    void shutdown_write(deadline until = {}) override;
    /// Closes the connection, at once, and those who wait get EBADF; harmless when it is closed already. Without
    /// shutdown_write() before, the peer is told that it was cut off.
    void close() noexcept override;
    bool is_open() const noexcept override;
    address const& peer_address() const noexcept override;

    /// What ALPN agreed on, "h2"; empty if nothing. Valid as long as the session.
    std::string_view protocol() const noexcept;
    /// The host that a client asks for (SNI); empty if it does not. Valid as long as the session.
    std::string_view server_name() const noexcept;
    /// "TLSv1.3". Empty if it refers to nothing.
    std::string_view version() const noexcept;
    /// It is an earlier session's continuation: no certificates were shown anew.
    bool resumed() const noexcept;
    /// The peer's certificate in PEM; empty if it has shown none. It was checked, unless tls_server_check says
    /// otherwise. Throws std::system_error.
    std::string peer_certificate() const;
    /// Whom that is for, as RFC 2253 writes it: "CN=client,O=Example". Throws std::system_error.
    std::string peer_subject() const;

    /// OpenSSL's own, for what is not said here, in calls that neither read nor write. Valid as long as the session;
    /// null if there is none.
    ssl_st* native() const noexcept;

private:
    explicit tls_stream(std::shared_ptr<tls_session> made) noexcept;
    static tls_stream begin(tls_context const& with, std::unique_ptr<stream> below, std::string_view host,
                            deadline until);

    std::size_t receive(std::span<iovec const> into, deadline until) override;
    std::size_t send(std::span<iovec const> what, deadline until) override;
    std::shared_ptr<tls_session> its_session(char const* words) const;

    std::shared_ptr<tls_session> session_; // also of those who wait
};

} // namespace coir::net
