// Where a socket is or goes to: an IP address and a port, or a Unix socket's name; a value of 112 bytes. Owns nothing,
// allocates only where it makes text; any thread.
//
// Numeric only: names are looked up elsewhere, because that waits.
#pragma once

#include "fiber/export.h"

#include <concepts>
#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace coir::net {

/// An IPv4 or IPv6 address and a port, or the name of a Unix socket; a value of 112 bytes. Any thread.
class COIR_API address {
public:
    /// None: family() is AF_UNSPEC, to_string() is "nowhere".
    address() noexcept : unix_{} {}

    /// Reads what to_string() writes, and more:
    ///
    /// * `127.0.0.1:8001`: IPv4
    /// * `[::1]:80`: IPv6; `[fe80::1%2]:80` with the number, or the name, of a link-local one's interface
    /// * `*:80`, `:80`: every IPv4 address of this machine, to listen on (`[::]:80` takes IPv6 as well as IPv4, unless
    ///   net.ipv6.bindv6only says otherwise)
    /// * `unix:/run/x.socket`: a Unix socket's path; `unix:@x`, a name that is in no directory ("abstract", Linux
    /// only);
    ///   `unix:` alone, to listen on, an abstract one that the kernel chooses (unix(7), autobind)
    ///
    /// Port 0 lets the kernel choose when listening. Throws std::system_error(EINVAL) that quotes the text and tells
    /// what is wrong with it; with another error if an interface's name cannot be looked up (EMFILE: that takes a
    /// descriptor).
    template <std::convertible_to<std::string_view> Text>
    address(Text const& text) : address(parse(text)) {}

    /// "127.0.0.1" or "::1", without brackets, and the port. Throws the same.
    static address ip(std::string_view text, std::uint16_t port);

    /// "/run/x.socket", or "@x" for the abstract x, or "" for one without a name. Throws std::system_error: EINVAL if a
    /// path contains a NUL, ENAMETOOLONG for more than 107 bytes.
    static address unix_socket(std::string_view name);

    /// As the kernel gave it. Throws std::system_error(EAFNOSUPPORT) if it is of none of these kinds, and EINVAL if
    /// `size` does not fit what it says to be.
    static address from_native(sockaddr const* native, socklen_t size);

    /// AF_INET, AF_INET6, AF_UNIX or AF_UNSPEC.
    int family() const noexcept { return any_.sa_family; }
    /// It has a port, not a name.
    bool is_ip() const noexcept { return family() == AF_INET || family() == AF_INET6; }
    /// In the byte order of this machine; 0 if there is none.
    std::uint16_t port() const noexcept;
    /// The same place with another port, if it has one.
    address with_port(std::uint16_t port) const noexcept;
    /// Of a Unix socket, as unix_socket() takes it; "" for all others.
    std::string unix_name() const;

    /// "127.0.0.1:8001", "[::1]:80", "[fe80::1%2]:80", "unix:/run/x.socket", "unix:@x"; what cannot be printed is
    /// "\x0a".
    std::string to_string() const;

    /// For bind, connect, sendto. Valid as long as this object.
    sockaddr const* native() const noexcept { return &any_; }
    /// In bytes; 0 if there is none.
    socklen_t native_size() const noexcept;

    /// Same family, address, port and, for IPv6, interface; the same name.
    bool operator==(address const& other) const noexcept;

private:
    static address parse(std::string_view text);
    static address read_ip(std::string_view text, std::uint16_t port, std::string_view whole);

    union {
        sockaddr_un unix_; // the largest: all of it is zero to begin with, AF_UNSPEC too
        sockaddr_in6 v6_;
        sockaddr_in v4_;
        sockaddr any_;
    };
    std::uint8_t name_size_ = 0; // of a Unix socket, in bytes of sun_path; without the NUL at a path's end
};

} // namespace coir::net
