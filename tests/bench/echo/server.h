// What the echo servers of echo.cpp share: where they listen, which they say, and that they hold many connections.
#pragma once

#include <array>
#include <cerrno>
#include <cstdio>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace bench {

constexpr std::size_t room = 1024; // of a server's buffer

// As far as root may, or else as far as anyone.
inline void raise_descriptor_limit() {
    rlimit limit{1 << 18, 1 << 18};
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

inline int checked(int result, char const* call) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), call);
    return result;
}

inline void say_where(int port) {
    std::printf("%d\n", port);
    std::fflush(stdout);
}

/// A socket that listens on a port of the kernel's choice.
inline int listen_anywhere(int more_flags = 0) {
    int const fd = checked(socket(AF_INET, SOCK_STREAM | more_flags, 0), "socket");
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    checked(bind(fd, reinterpret_cast<sockaddr*>(&where), sizeof where), "bind");
    checked(listen(fd, SOMAXCONN), "listen");
    return fd;
}

inline int port_of(int fd) {
    sockaddr_in where{};
    socklen_t size = sizeof where;
    checked(getsockname(fd, reinterpret_cast<sockaddr*>(&where), &size), "getsockname");
    return ntohs(where.sin_port);
}

/// The same, and says it.
inline int listen_and_say(int more_flags) {
    int const fd = listen_anywhere(more_flags);
    say_where(port_of(fd));
    return fd;
}

/// In plain blocking calls, until the peer ends.
inline void echo_plainly(int peer) {
    std::array<char, room> buffer;
    for (ssize_t n; (n = read(peer, buffer.data(), buffer.size())) > 0;)
        if (write(peer, buffer.data(), std::size_t(n)) != n) break;
    close(peer);
}

} // namespace bench
