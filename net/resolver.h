// Names of hosts and services: looked up by glibc's getaddrinfo on another thread, so that nsswitch.conf, hosts and
// resolv.conf count as ever, or by any other resolver that the program chooses; net/cares.h has one that needs no
// thread.
//
//     for (address const& each : coir::net::resolve("example.org", "https", 5s)) …
//
// Any thread.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <vector>

namespace coir::net {

/// The EAI_… codes of getaddrinfo(3), which <netdb.h> names; messages are gai_strerror's. Any thread.
COIR_API std::error_category const& lookup_category() noexcept;

/// What is asked of a resolver.
struct lookup {
    std::string host;            ///< a name, or a numeric address without brackets
    std::string service;         ///< a name of /etc/services, or a port's number
    int family = AF_UNSPEC;      ///< AF_INET or AF_INET6: only these
    int type = SOCK_STREAM;      ///< what the service is looked up for: SOCK_STREAM or SOCK_DGRAM
    bool configured_only = true; ///< AI_ADDRCONFIG, as resolve_options says
};

/// Looks names up. Any thread; several fibers may ask one at once.
class COIR_API resolver {
public:
    virtual ~resolver() = default;

    /// **Parks.** The addresses, with the port, in the order in which they are to be tried; at least one. Throws
    /// std::system_error with a code of lookup_category(), ETIMEDOUT when `until` has passed, another errno if the
    /// lookup could not be made; and what interrupts the caller.
    virtual std::vector<address> look_up(lookup const& what, deadline until) = 0;

    /// glibc's, which is the default: getaddrinfo on threads of its own, offload_limit() at most. A caller that is
    /// interrupted or late leaves at once; the call goes on and keeps its thread until glibc gives up. Names from
    /// nsswitch's databases are found as by any program, and sorted by RFC 6724 and gai.conf.
    static std::shared_ptr<resolver> system();
    /// What resolve() asks from now on, process-wide, unless it is told otherwise; null: system(). Returns what it was
    /// before. Lookups that are under way end with the one they began with.
    static std::shared_ptr<resolver> set_default(std::shared_ptr<resolver> chosen);

    /// For resolvers: throws what look_up throws, "look up nowhere.example: Name or service not known". `code` is an
    /// EAI_… one; EAI_SYSTEM stands for `error`, an errno. `why` adds what a resolver knows besides.
    [[noreturn]] static void fail(lookup const& what, int code, int error = 0, std::string_view why = {});
};

/// How a name is looked up.
struct resolve_options {
    int family = AF_UNSPEC; ///< AF_INET or AF_INET6: only these
    int type = SOCK_STREAM; ///< what a service's name is looked up for: SOCK_STREAM or SOCK_DGRAM
    /// Leaves out the addresses of a family of which this machine has no address itself but loopback's (RFC 3493,
    /// AI_ADDRCONFIG); a machine that has loopback's only gets both.
    bool configured_only = true;
    resolver* with = nullptr; ///< null: the default one. Must outlive the call
};

/// **Parks**, unless host and service are numbers. The addresses of `host` with the port of `service`, in the order in
/// which they are to be tried, each once; at least one. `host` may be numeric, with or without brackets, "" and "*" for
/// every IPv4 address of this machine, or "unix:" and a Unix socket's name, which has no service. `until` is for the
/// whole. Throws as resolver::look_up does, and address's errors for the name of a Unix socket. Any thread.
COIR_API std::vector<address> resolve(std::string_view host, std::string_view service, deadline until = {},
                                      resolve_options how = {});
/// The same with a port.
COIR_API std::vector<address> resolve(std::string_view host, std::uint16_t port, deadline until = {},
                                      resolve_options how = {});
/// The same of "host:service", "[::1]:80", "unix:/run/x.socket". Throws std::system_error(EINVAL), too, that quotes a
/// text without a service.
COIR_API std::vector<address> resolve(std::string_view host_and_service, deadline until = {}, resolve_options how = {});

} // namespace coir::net
