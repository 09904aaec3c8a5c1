#include "net/resolver.h"

#include "fiber/thread_lock.h"
#include "net/printable.h"
#include "net/system_resolver.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <mutex>
#include <netdb.h>
#include <optional>
#include <utility>

namespace coir::net {
namespace {

struct eai_category final : std::error_category {
    char const* name() const noexcept override { return "getaddrinfo"; }
    std::string message(int code) const override { return gai_strerror(code); }
};

// Never destroyed: fibers may use it after static destruction has begun.
struct chosen_resolver {
    thread_lock lock;
    std::shared_ptr<resolver> which; // null: the system's
    static chosen_resolver& only() {
        static chosen_resolver& made = *new chosen_resolver;
        return made;
    }
};

std::shared_ptr<resolver> default_resolver() {
    chosen_resolver& chosen = chosen_resolver::only();
    std::lock_guard const held{chosen.lock};
    return chosen.which ? chosen.which : resolver::system();
}

std::optional<std::uint16_t> port_number(std::string_view service) noexcept {
    std::uint16_t port = 0;
    auto const [end, error] = std::from_chars(service.data(), service.data() + service.size(), port);
    if (error != std::errc{} || end != service.data() + service.size()) return {};
    return port;
}

bool is_numeric(std::string const& host) noexcept {
    in6_addr into;
    std::string const without_interface = host.substr(0, host.find('%'));
    return inet_pton(AF_INET, host.c_str(), &into) == 1 || inet_pton(AF_INET6, without_interface.c_str(), &into) == 1;
}

std::pair<std::string_view, std::string_view> host_and_service(std::string_view text) {
    auto const colon = text.rfind(':');
    char const* wrong = nullptr;
    if (colon == text.npos || colon + 1 == text.size())
        wrong = "there is no port: write example.org:80";
    else if (text.find(':') != colon && (text.front() != '[' || text[colon - 1] != ']'))
        wrong = "IPv6 stands in brackets: [::1]:80";
    if (wrong)
        throw std::system_error(EINVAL, std::generic_category(), "look up \"" + printable(text) + "\", " + wrong);
    return {text.substr(0, colon), text.substr(colon + 1)};
}

// What needs to ask nobody.
std::optional<address> known(lookup const& what) {
    std::optional<std::uint16_t> const port = port_number(what.service);
    if (!port || !is_numeric(what.host)) return {};
    address const found = address::ip(what.host, *port);
    if (what.family != AF_UNSPEC && what.family != found.family()) return {}; // the resolver has the word for it
    return found;
}

// /etc/hosts may have one twice, and ::1 is 127.0.0.1 to glibc there where only IPv4 is asked for.
void drop_repeated(std::vector<address>& all) {
    auto end = all.begin();
    for (auto each = all.begin(); each != all.end(); ++each)
        if (std::find(all.begin(), end, *each) == end) *end++ = *each;
    all.erase(end, all.end());
}

} // namespace

std::error_category const& lookup_category() noexcept {
    static eai_category const only;
    return only;
}

std::shared_ptr<resolver> resolver::system() {
    static auto& only = *new std::shared_ptr<resolver>(std::make_shared<system_resolver>());
    return only;
}

std::shared_ptr<resolver> resolver::set_default(std::shared_ptr<resolver> chosen) {
    chosen_resolver& now = chosen_resolver::only();
    std::lock_guard const held{now.lock};
    std::swap(now.which, chosen);
    return chosen ? chosen : system();
}

void resolver::fail(lookup const& what, int code, int error, std::string_view why) {
    std::string text = "look up " + printable(what.host);
    if (code == EAI_SERVICE) text += ", service " + printable(what.service);
    if (!why.empty()) text += " (" + std::string(why) + ")";
    if (code == EAI_SYSTEM) throw std::system_error(error, std::generic_category(), text);
    throw std::system_error(code, lookup_category(), text);
}

std::vector<address> resolve(std::string_view host, std::string_view service, deadline until, resolve_options how) {
    if (host.starts_with("unix:")) return {address(host)};
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (host.empty() || host == "*") host = "0.0.0.0";
    lookup const what{std::string(host), std::string(service), how.family, how.type, how.configured_only};
    if (host.find('\0') != host.npos) resolver::fail(what, EAI_NONAME); // C would cut it there
    if (service.find('\0') != service.npos) resolver::fail(what, EAI_SERVICE);
    if (auto const one = known(what)) return {*one};
    std::shared_ptr<resolver> const standard = how.with ? nullptr : default_resolver();
    auto found = (how.with ? how.with : standard.get())->look_up(what, until);
    drop_repeated(found);
    return found;
}

std::vector<address> resolve(std::string_view host, std::uint16_t port, deadline until, resolve_options how) {
    return resolve(host, std::to_string(port), until, how);
}

std::vector<address> resolve(std::string_view text, deadline until, resolve_options how) {
    if (text.starts_with("unix:")) return {address(text)};
    auto const [host, service] = host_and_service(text);
    return resolve(host, service, until, how);
}

} // namespace coir::net
