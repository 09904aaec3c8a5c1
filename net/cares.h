// Names looked up by c-ares: on the fiber's own thread, over sockets that the hub waits for. A thousand lookups at once
// need no thread. In a library of its own, libcoir-cares.so (pkg-config: coir-cares), which <coir.h> does not include.
//
//     coir::net::resolver::set_default(std::make_shared<coir::net::cares_resolver>());
//
// It asks /etc/hosts and the name servers of resolv.conf, and nothing else of nsswitch.conf: no mDNS, no LDAP.
#pragma once

#include "fiber/export.h"
#include "net/resolver.h"

#include <chrono>
#include <string>
#include <vector>

namespace coir::net {

/// What c-ares is told; where nothing is said it is resolv.conf's, or c-ares' own.
struct cares_options {
    std::string servers;                 ///< "192.0.2.1,[2001:db8::1]:5353": instead of resolv.conf's
    std::chrono::milliseconds timeout{}; ///< for the first answer of a server; more at further tries
    int tries = 0;                       ///< how often each server is asked
    bool hosts_file = true;              ///< asks /etc/hosts first
};

/// Asks name servers by c-ares. Each lookup has a channel of its own, which reads resolv.conf anew; /etc/hosts and the
/// names of services are read without letting others run. Any thread.
class COIR_API cares_resolver final : public resolver {
public:
    /// Throws std::system_error(EINVAL) if c-ares does not understand `options.servers`.
    explicit cares_resolver(cares_options options = {});

    /// **Parks.** As resolver::look_up. Errors are those that glibc would give: EAI_NONAME for NXDOMAIN, EAI_NODATA for
    /// a name without such an address, EAI_AGAIN where no server answered or would, EAI_FAIL for what is no answer; the
    /// text has c-ares' own word, too. When the caller leaves, the lookup is given up.
    std::vector<address> look_up(lookup const& what, deadline until) override;

private:
    cares_options const options_;
};

} // namespace coir::net
