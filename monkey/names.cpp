// Names are resolved by libc's own code on a worker thread, so that nsswitch.conf, hosts and resolv.conf count as ever.
// The worker has copies of what it is asked: a fiber that is killed meanwhile leaves, with errno ECANCELED.

#include "hub/offload.h"
#include "monkey/bodies.h"
#include "monkey/real.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace coir::monkey {
namespace {

// Nothing to ask anyone for: no host, or one written as an address.
bool is_numeric(char const* node, addrinfo const* hints) noexcept {
    unsigned char address[sizeof(in6_addr)];
    return !node || (hints && hints->ai_flags & AI_NUMERICHOST) || inet_pton(AF_INET, node, address) == 1 ||
           inet_pton(AF_INET6, node, address) == 1;
}

std::optional<std::string> copy_of(char const* text) { return text ? std::optional<std::string>(text) : std::nullopt; }
char const* text_of(std::optional<std::string> const& copy) noexcept { return copy ? copy->c_str() : nullptr; }

struct found_addresses {
    long status = 0;
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> list{nullptr, freeaddrinfo};
};

struct found_names {
    long status = 0;
    std::string host, service;
};

long left() noexcept {
    errno = ECANCELED;
    return EAI_SYSTEM;
}

void copy_out(std::string const& from, char* to, socklen_t room) noexcept {
    if (to && room) std::memcpy(to, from.data(), std::strlen(from.c_str()) + 1);
}

} // namespace

long body::getaddrinfo(char const* node, char const* service, addrinfo const* hints, addrinfo** found) {
    if (is_numeric(node, hints)) return real.getaddrinfo(node, service, hints, found);
    auto ask = [node = copy_of(node), service = copy_of(service),
                hints = hints ? std::optional<addrinfo>(*hints) : std::nullopt] {
        found_addresses answer;
        addrinfo* list = nullptr;
        answer.status = real.getaddrinfo(text_of(node), text_of(service), hints ? &*hints : nullptr, &list);
        if (answer.status == 0) answer.list.reset(list);
        return answer;
    };
    auto answer = offload_or_leave(std::move(ask), "getaddrinfo");
    if (!answer) return left();
    if (answer->status == 0) *found = answer->list.release();
    return answer->status;
}

long body::getnameinfo(sockaddr const* address, socklen_t length, char* host, socklen_t host_room, char* service,
                       socklen_t service_room, int flags) {
    if (!host || flags & NI_NUMERICHOST || length > sizeof(sockaddr_storage))
        return real.getnameinfo(address, length, host, host_room, service, service_room, flags);
    sockaddr_storage copy{};
    std::memcpy(&copy, address, length);
    auto ask = [copy, length, host_room, service_room, wants_service = service != nullptr, flags] {
        found_names answer;
        answer.host.resize(std::size_t(host_room) + 1);
        answer.service.resize(std::size_t(service_room) + 1);
        answer.status =
            real.getnameinfo(reinterpret_cast<sockaddr const*>(&copy), length, answer.host.data(), host_room,
                             wants_service ? answer.service.data() : nullptr, service_room, flags);
        return answer;
    };
    auto const answer = offload_or_leave(std::move(ask), "getnameinfo");
    if (!answer) return left();
    if (answer->status == 0) {
        copy_out(answer->host, host, host_room);
        copy_out(answer->service, service, service_room);
    }
    return answer->status;
}

} // namespace coir::monkey
