// A connection to one of several addresses, of which some may not answer: "happy eyeballs", RFC 8305.
//
//     coir::net::tcp_stream peer = coir::net::connect("example.org", "https", {.until = 5s});
//
// The names are looked up (net/resolver.h), the addresses tried in turn, IPv6 and IPv4 alternately: the next when one
// has failed, or has not answered for a quarter of a second. The first connection is taken and the others are closed.
// Any thread.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/resolver.h"
#include "net/tcp.h"

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace coir::net {

/// How a connection is made.
struct connect_options {
    deadline until{};                                                        ///< for the whole, lookup included
    std::chrono::nanoseconds attempt_delay = std::chrono::milliseconds(250); ///< … that an address has before the next
    resolve_options lookup{};                                                ///< how the name is looked up
};

/// **Parks.** A connection to `host`, as resolve() takes it. Throws what resolve() throws; if no address can be
/// reached, one std::system_error with the code of the last failure, rather not one that says that this machine has no
/// such address family or route, and all of them in its text: "connect example.org:80: [::1]:80: Network is
/// unreachable; 127.0.0.1:80: Connection refused". ETIMEDOUT when `until` has passed; and what interrupts the caller.
/// No descriptor is left. Any thread; the stream is this one's.
COIR_API tcp_stream connect(std::string_view host, std::string_view service, connect_options how = {});
/// The same with a port. Any thread.
COIR_API tcp_stream connect(std::string_view host, std::uint16_t port, connect_options how = {});
/// The same of "host:service", as resolve() takes it. Any thread.
COIR_API tcp_stream connect(std::string_view host_and_service, connect_options how = {});
/// The same, to one of `to`, of which the first has the first try. Throws std::system_error(EINVAL) if there is none.
/// Any thread.
COIR_API tcp_stream connect(std::span<address const> to, connect_options how = {});

} // namespace coir::net
