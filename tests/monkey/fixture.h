// For tests of hooked calls. A call that is not intercepted blocks the thread for ever, and the test runs into its
// limit: what would end the wait is done by another fiber of the same thread.
#pragma once

#include <array>
#include <cerrno>
#include <coir.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace {

inline int checked(int result, char const* what) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), what);
    return result;
}

struct fd_pair {
    int first = -1, second = -1;

    static fd_pair pipe() {
        std::array<int, 2> ends;
        checked(::pipe(ends.data()), "pipe");
        return fd_pair(ends[0], ends[1]);
    }
    static fd_pair sockets(int type = SOCK_STREAM) {
        std::array<int, 2> ends;
        checked(::socketpair(AF_UNIX, type, 0, ends.data()), "socketpair");
        return fd_pair(ends[0], ends[1]);
    }
    fd_pair(int one, int other) : first(one), second(other) {}
    fd_pair(fd_pair&& from) noexcept : first(std::exchange(from.first, -1)), second(std::exchange(from.second, -1)) {}
    ~fd_pair() {
        close_first();
        close_second();
    }
    void close_first() {
        if (first >= 0) ::close(std::exchange(first, -1));
    }
    void close_second() {
        if (second >= 0) ::close(std::exchange(second, -1));
    }
};

/// Lets the others run until `blocked` has had its turn and waits.
inline void until_parked(coir::any_fiber const& blocked) {
    for (int turn = 0; turn < 3; ++turn) coir::yield();
    ASSERT_FALSE(blocked.ready()) << blocked.name() << " did not wait";
}

/// Whether another fiber runs while `call` waits, in one of many attempts: what a worker thread or the kernel is asked
/// to do may be done before the caller has begun to wait for it.
template <class Call>
bool lets_others_run(Call call, int attempts = 1000) {
    for (int attempt = 0; attempt < attempts; ++attempt) {
        bool other_ran = false;
        auto other = coir::spawn([&] { other_ran = true; });
        call();
        bool const meanwhile = other_ran;
        other.join();
        if (meanwhile) return true;
    }
    return false;
}

struct listener {
    int fd;
    sockaddr_in address{};

    listener() : fd(checked(::socket(AF_INET, SOCK_STREAM, 0), "socket")) {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        checked(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), "bind");
        checked(::listen(fd, 128), "listen");
        checked(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    }
    listener(listener const&) = delete;
    ~listener() { ::close(fd); }

    int connect() const {
        int const made = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
        checked(::connect(made, reinterpret_cast<sockaddr const*>(&address), sizeof address), "connect");
        return made;
    }
};

} // namespace
