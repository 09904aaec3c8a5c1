#include "net/system_resolver.h"

#include "hub/offload.h"
#include "hub/thread_pool.h"
#include "hub/timeout.h"

#include <cerrno>
#include <memory>
#include <netdb.h>

namespace coir::net {
namespace {

struct answer {
    int status = 0; // EAI_…
    int error = 0;  // errno, of EAI_SYSTEM
    std::vector<address> found;
};

// On a thread of the pool. Throws nothing but bad_alloc: an exception that nobody waits for any more would be reported.
answer ask(lookup const& what) {
    addrinfo hints{};
    hints.ai_flags = what.configured_only ? AI_ADDRCONFIG : 0;
    hints.ai_family = what.family;
    hints.ai_socktype = what.type;
    addrinfo* list = nullptr;
    answer made;
    made.status = getaddrinfo(what.host.c_str(), what.service.c_str(), &hints, &list);
    made.error = errno;
    if (made.status != 0) return made;
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> const owned{list, freeaddrinfo};
    for (addrinfo const* each = list; each; each = each->ai_next)
        if (each->ai_family == AF_INET || each->ai_family == AF_INET6)
            made.found.push_back(address::from_native(each->ai_addr, each->ai_addrlen));
    if (made.found.empty()) made.status = EAI_NODATA;
    return made;
}

thread_pool& lookups() {
    static thread_pool& only = *new thread_pool(offload_limit());
    return only;
}

} // namespace

std::vector<address> system_resolver::look_up(lookup const& what, deadline until) {
    auto got = with_timeout(until, [&] { return lookups().spawn(ask, what).get(); });
    if (!got) fail(what, EAI_SYSTEM, ETIMEDOUT);
    if (got->status != 0) fail(what, got->status, got->error);
    return std::move(got->found);
}

} // namespace coir::net
