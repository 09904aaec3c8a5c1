// Names are resolved by libc's own code on a worker thread, so that nsswitch.conf, hosts and resolv.conf count as ever.

#include "hub/offload.h"
#include "monkey/bodies.h"
#include "monkey/real.h"

#include <arpa/inet.h>

namespace coir::monkey {
namespace {

// Nothing to ask anyone for: no host, or one written as an address.
bool is_numeric(char const* node, addrinfo const* hints) noexcept {
    unsigned char address[sizeof(in6_addr)];
    return !node || (hints && hints->ai_flags & AI_NUMERICHOST) || inet_pton(AF_INET, node, address) == 1 ||
           inet_pton(AF_INET6, node, address) == 1;
}

} // namespace

long body::getaddrinfo(char const* node, char const* service, addrinfo const* hints, addrinfo** found) {
    auto const ask = [&] { return long(real.getaddrinfo(node, service, hints, found)); };
    return is_numeric(node, hints) ? ask() : offload(ask, "getaddrinfo");
}

long body::getnameinfo(sockaddr const* address, socklen_t length, char* host, socklen_t host_room, char* service,
                       socklen_t service_room, int flags) {
    auto const ask = [&] {
        return long(real.getnameinfo(address, length, host, host_room, service, service_room, flags));
    };
    return !host || flags & NI_NUMERICHOST ? ask() : offload(ask, "getnameinfo");
}

} // namespace coir::monkey
