#include "net/address.h"

#include "net/printable.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <net/if.h>
#include <optional>
#include <sys/ioctl.h>
#include <system_error>
#include <unistd.h>

namespace coir::net {
namespace {

[[noreturn]] void refuse(std::string_view text, char const* why, int error = EINVAL) {
    throw std::system_error(error, std::generic_category(), "address \"" + printable(text) + "\", " + why);
}

template <class Number>
std::optional<Number> number(std::string_view text) noexcept {
    Number value{};
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return {};
    return value;
}

// Not by if_nametoindex: without a descriptor that says ENOENT (glibc's __opensock).
std::uint32_t interface(std::string_view name, std::string_view text) {
    if (auto const index = number<std::uint32_t>(name)) return *index;
    ifreq asked{};
    if (name.empty() || name.size() >= sizeof asked.ifr_name) refuse(text, "there is no such interface");
    name.copy(asked.ifr_name, name.size());
    int const any = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0) refuse(text, "the interface cannot be looked up", errno);
    int const error = ioctl(any, SIOCGIFINDEX, &asked) < 0 ? errno : 0;
    ::close(any);
    if (error == ENODEV) refuse(text, "there is no such interface");
    if (error) refuse(text, "the interface cannot be looked up", error);
    return std::uint32_t(asked.ifr_ifindex);
}

} // namespace

address address::parse(std::string_view text) {
    if (text.starts_with("unix:")) return unix_socket(text.substr(5));
    auto const colon = text.rfind(':');
    if (colon == text.npos) refuse(text, "there is no port: write 127.0.0.1:80 or [::1]:80");
    auto const port = number<std::uint16_t>(text.substr(colon + 1));
    if (!port) refuse(text, "the port is no number from 0 to 65535");
    std::string_view host = text.substr(0, colon);
    if (host.empty() || host == "*") return ip("0.0.0.0", *port);
    bool const in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (in_brackets) host = host.substr(1, host.size() - 2);
    if (in_brackets != (host.find(':') != host.npos))
        refuse(text, "IPv6, and nothing else, stands in brackets: [::1]:80");
    return read_ip(host, *port, text);
}

// The first byte of an abstract name is a NUL, which stands for the @ (unix(7)).
address address::unix_socket(std::string_view name) {
    address made;
    constexpr std::size_t room = sizeof made.unix_.sun_path - 1;
    bool const is_abstract = name.starts_with('@');
    if (name.size() > room) refuse(name, "the name of a Unix socket has at most 107 bytes", ENAMETOOLONG);
    if (!is_abstract && name.find('\0') != name.npos) refuse(name, "a path has no NUL");
    made.unix_.sun_family = AF_UNIX;
    name.copy(made.unix_.sun_path, name.size());
    if (is_abstract) made.unix_.sun_path[0] = 0;
    made.name_size_ = std::uint8_t(name.size());
    return made;
}

address address::ip(std::string_view text, std::uint16_t port) { return read_ip(text, port, text); }

// `whole` is what messages quote.
address address::read_ip(std::string_view text, std::uint16_t port, std::string_view whole) {
    address made;
    if (text.find('\0') != text.npos) refuse(whole, "it is no numeric address");
    auto const percent = text.find('%');
    std::string const host(text.substr(0, percent));
    if (inet_pton(AF_INET6, host.c_str(), &made.v6_.sin6_addr) == 1) {
        made.v6_.sin6_family = AF_INET6;
        made.v6_.sin6_port = htons(port);
        if (percent != text.npos) made.v6_.sin6_scope_id = interface(text.substr(percent + 1), whole);
    } else if (percent == text.npos && inet_pton(AF_INET, host.c_str(), &made.v4_.sin_addr) == 1) {
        made.v4_.sin_family = AF_INET;
        made.v4_.sin_port = htons(port);
    } else {
        refuse(whole, "it is no numeric address");
    }
    return made;
}

address address::from_native(sockaddr const* native, socklen_t size) {
    address made;
    constexpr socklen_t before_name = offsetof(sockaddr_un, sun_path);
    if (size < sizeof native->sa_family) throw std::system_error(EINVAL, std::generic_category(), "socket address");
    made.any_.sa_family = native->sa_family;
    if (native->sa_family == AF_UNIX) {
        if (size > sizeof made.unix_) throw std::system_error(EINVAL, std::generic_category(), "socket address");
        std::memcpy(&made.unix_, native, size);
        std::size_t const bytes = size - before_name;
        bool const is_path = bytes && made.unix_.sun_path[0];
        made.name_size_ = std::uint8_t(is_path ? strnlen(made.unix_.sun_path, bytes) : bytes);
        return made;
    }
    if (!made.native_size()) throw std::system_error(EAFNOSUPPORT, std::generic_category(), "socket address");
    if (size < made.native_size()) throw std::system_error(EINVAL, std::generic_category(), "socket address");
    std::memcpy(&made.any_, native, made.native_size());
    return made;
}

std::uint16_t address::port() const noexcept {
    static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
    return is_ip() ? ntohs(v6_.sin6_port) : 0;
}

address address::with_port(std::uint16_t port) const noexcept {
    address moved = *this;
    if (is_ip()) moved.v6_.sin6_port = htons(port);
    return moved;
}

std::string address::unix_name() const {
    std::string name(unix_.sun_path, name_size_);
    if (!name.empty() && !name[0]) name[0] = '@';
    return name;
}

socklen_t address::native_size() const noexcept {
    switch (family()) {
    case AF_INET: return sizeof v4_;
    case AF_INET6: return sizeof v6_;
    case AF_UNIX: {
        bool const is_path = name_size_ && unix_.sun_path[0];
        std::size_t const size = offsetof(sockaddr_un, sun_path) + name_size_ + is_path;
        return socklen_t(std::min(size, sizeof unix_)); // a path of 108 bytes, made elsewhere, ends without a NUL
    }
    default: return 0;
    }
}

std::string address::to_string() const {
    char text[INET6_ADDRSTRLEN];
    std::string const colon_port = std::string(":") + std::to_string(port());
    switch (family()) {
    case AF_INET: return inet_ntop(AF_INET, &v4_.sin_addr, text, sizeof text) + colon_port;
    case AF_INET6: {
        std::string host = inet_ntop(AF_INET6, &v6_.sin6_addr, text, sizeof text);
        if (v6_.sin6_scope_id) host += std::string("%") + std::to_string(v6_.sin6_scope_id);
        return std::string("[") + host + "]" + colon_port;
    }
    case AF_UNIX: return "unix:" + printable(unix_name());
    default: return "nowhere";
    }
}

bool address::operator==(address const& other) const noexcept {
    if (family() != other.family() || port() != other.port()) return false;
    switch (family()) {
    case AF_INET: return v4_.sin_addr.s_addr == other.v4_.sin_addr.s_addr;
    case AF_INET6:
        return std::memcmp(&v6_.sin6_addr, &other.v6_.sin6_addr, sizeof v6_.sin6_addr) == 0 &&
               v6_.sin6_scope_id == other.v6_.sin6_scope_id;
    case AF_UNIX:
        return name_size_ == other.name_size_ && std::memcmp(unix_.sun_path, other.unix_.sun_path, name_size_) == 0;
    default: return true;
    }
}

} // namespace coir::net
