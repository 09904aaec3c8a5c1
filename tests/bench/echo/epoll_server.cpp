// The limit of echo.cpp: an echo server by hand on epoll, with nothing between it and the kernel.

#include "tests/bench/echo/server.h"

#include <array>
#include <sys/epoll.h>
#include <unistd.h>

namespace {

void watch(int set, int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    bench::checked(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

} // namespace

int main() {
    bench::raise_descriptor_limit();
    int const listener = bench::listen_and_say(SOCK_NONBLOCK);
    int const set = bench::checked(epoll_create1(0), "epoll_create1");
    watch(set, listener);
    std::array<epoll_event, 256> events;
    std::array<char, bench::room> buffer;
    for (;;) {
        int const count = bench::checked(epoll_wait(set, events.data(), int(events.size()), -1), "epoll_wait");
        for (int i = 0; i < count; ++i) {
            int const fd = events[std::size_t(i)].data.fd;
            if (fd == listener) {
                int const peer = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
                if (peer >= 0) watch(set, peer);
                continue;
            }
            ssize_t const got = recv(fd, buffer.data(), buffer.size(), 0);
            // 64 bytes always find room: what is sent is read before more comes.
            if (got <= 0 || send(fd, buffer.data(), std::size_t(got), MSG_NOSIGNAL) != got) close(fd);
        }
    }
}
