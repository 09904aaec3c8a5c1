#include "net/cares.h"

#include "hub/hub.h"

#include <algorithm>
#include <ares.h>
#include <cerrno>
#include <ifaddrs.h>
#include <memory>
#include <mutex>
#include <netdb.h>
#include <sys/time.h>
#include <system_error>

namespace coir::net {
namespace {

struct answer {
    bool came = false;
    int status = ARES_SUCCESS;
    std::vector<address> found;
    std::exception_ptr error; // out of memory: C is between
};

void take_answer(void* into, int status, int, ares_addrinfo* list) noexcept {
    auto& to = *static_cast<answer*>(into);
    std::unique_ptr<ares_addrinfo, void (*)(ares_addrinfo*)> const owned{list, ares_freeaddrinfo};
    to.came = true;
    to.status = status;
    try {
        for (ares_addrinfo_node const* each = list ? list->nodes : nullptr; each; each = each->ai_next)
            if (each->ai_family == AF_INET || each->ai_family == AF_INET6)
                to.found.push_back(address::from_native(each->ai_addr, each->ai_addrlen));
    } catch (...) {
        to.error = std::current_exception();
    }
}

// One lookup's: its queries, and the sockets that it waits for. On the stack of the fiber that waits.
class channel {
public:
    explicit channel(cares_options const& from) {
        static std::once_flag once;
        std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });
        ares_options how{};
        int given = ARES_OPT_SOCK_STATE_CB;
        how.sock_state_cb = note_socket;
        how.sock_state_cb_data = this;
        if (from.timeout.count() > 0) how.timeout = int(from.timeout.count()), given |= ARES_OPT_TIMEOUTMS;
        if (from.tries > 0) how.tries = from.tries, given |= ARES_OPT_TRIES;
        char only_servers[] = "b";
        if (!from.hosts_file) how.lookups = only_servers, given |= ARES_OPT_LOOKUPS;
        status_ = ares_init_options(&channel_, &how, given);
        if (status_ == ARES_SUCCESS && !from.servers.empty())
            status_ = ares_set_servers_ports_csv(channel_, from.servers.c_str());
    }
    channel(channel const&) = delete;
    // Ends what is under way, whose answer goes nowhere any more.
    ~channel() {
        if (channel_) ares_destroy(channel_);
    }

    int status() const noexcept { return status_; }

    void ask(lookup const& what, int family, answer& into) {
        ares_addrinfo_hints hints{};
        hints.ai_family = family;
        hints.ai_socktype = what.type;
        ares_getaddrinfo(channel_, what.host.c_str(), what.service.c_str(), &hints, take_answer, &into);
    }

    /// **Parks** until there is something to do, and does it; false when `until` has passed.
    bool go_on(deadline until) {
        timeval room, *const due = ares_timeout(channel_, nullptr, &room);
        deadline const next =
            due ? deadline(std::chrono::seconds(due->tv_sec) + std::chrono::microseconds(due->tv_usec))
                : deadline::never();
        wake_reason const why = hub::wait_any_fd(sockets_, std::min(next, until));
        if (why == wake_reason::cancelled) interruption_point();
        auto const all = sockets_; // which change meanwhile
        for (auto const& [fd, way] : all)
            ares_process_fd(channel_, way == hub::readable ? fd : ARES_SOCKET_BAD,
                            way == hub::writable ? fd : ARES_SOCKET_BAD);
        ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD); // what has timed out
        return until.is_never() || until.ns() > steady_now();
    }

private:
    static void note_socket(void* of, ares_socket_t fd, int reads, int writes) {
        auto& sockets = static_cast<channel*>(of)->sockets_;
        std::erase_if(sockets, [&](hub::interest const& each) { return each.fd == fd; });
        if (reads) sockets.push_back({fd, hub::readable});
        if (writes) sockets.push_back({fd, hub::writable});
    }

    std::vector<hub::interest> sockets_; // before the channel, whose end tells of each
    ares_channel channel_ = nullptr;
    int status_;
};

// AI_ADDRCONFIG, which c-ares does not know: the family of which this machine has an address, if it is only one.
int configured_family() {
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return AF_UNSPEC;
    std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> const owned{list, freeifaddrs};
    bool v4 = false, v6 = false;
    for (ifaddrs const* each = list; each; each = each->ifa_next) {
        if (!each->ifa_addr) continue;
        if (each->ifa_addr->sa_family == AF_INET)
            v4 |= reinterpret_cast<sockaddr_in const*>(each->ifa_addr)->sin_addr.s_addr != htonl(INADDR_LOOPBACK);
        else if (each->ifa_addr->sa_family == AF_INET6)
            v6 |= !IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<sockaddr_in6 const*>(each->ifa_addr)->sin6_addr);
    }
    return v4 == v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6;
}

// What glibc says in the same case.
int eai_of(int status) noexcept {
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_EBADNAME: return EAI_NONAME;
    case ARES_ENODATA: return EAI_NODATA;
    case ARES_ESERVFAIL:
    case ARES_ECONNREFUSED:
    case ARES_ETIMEOUT: return EAI_AGAIN;
    case ARES_ESERVICE: return EAI_SERVICE;
    case ARES_ENOTIMP:
    case ARES_EBADFAMILY: return EAI_FAMILY;
    case ARES_ENOMEM: return EAI_MEMORY;
    default: return EAI_FAIL;
    }
}

} // namespace

cares_resolver::cares_resolver(cares_options options) : options_(std::move(options)) {
    if (int const status = channel(options_).status(); status == ARES_ENOMEM)
        throw std::bad_alloc();
    else if (status != ARES_SUCCESS)
        throw std::system_error(EINVAL, std::generic_category(),
                                "c-ares with name servers \"" + options_.servers + "\" (" + ares_strerror(status) +
                                    ")");
}

std::vector<address> cares_resolver::look_up(lookup const& what, deadline until) {
    answer got; // outlives the channel, whose end answers
    channel asked(options_);
    if (asked.status() != ARES_SUCCESS) fail(what, eai_of(asked.status()), 0, ares_strerror(asked.status()));
    int family = what.family;
    if (what.configured_only) {
        int const only = configured_family();
        if (only != AF_UNSPEC && family != AF_UNSPEC && family != only)
            fail(what, EAI_NONAME, 0, "this machine has no such address");
        if (family == AF_UNSPEC) family = only;
    }
    asked.ask(what, family, got);
    while (!got.came)
        if (!asked.go_on(until) && !got.came) fail(what, EAI_SYSTEM, ETIMEDOUT);
    if (got.error) std::rethrow_exception(got.error);
    if (got.status != ARES_SUCCESS) fail(what, eai_of(got.status), 0, ares_strerror(got.status));
    if (got.found.empty()) fail(what, EAI_NODATA);
    return std::move(got.found);
}

} // namespace coir::net
