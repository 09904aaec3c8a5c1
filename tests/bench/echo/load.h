// The load of the echo servers: connections of which each has one request of 64 bytes under way at all times.
#pragma once

#include "tests/bench/echo/server.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>
#include <sys/epoll.h>
#include <unistd.h>
#include <vector>

namespace bench {

constexpr std::size_t size_of_request = 64;

class load {
public:
    load(int port, std::size_t connections) : set_(checked(epoll_create1(0), "epoll_create1")) {
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        where.sin_port = htons(std::uint16_t(port));
        for (std::size_t i = 0; i < connections; ++i) {
            int const fd = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
            checked(connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof where), "connect");
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.fd = fd;
            checked(epoll_ctl(set_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
            all_.push_back(fd);
        }
    }
    load(load const&) = delete;
    ~load() {
        for (int const fd : all_) close(fd);
        close(set_);
    }

    /// About so many requests, each answered.
    void run(std::size_t requests) {
        std::size_t left = std::max(requests, all_.size()), under_way = 0;
        for (int const fd : all_) ask(fd), ++under_way;
        left -= under_way;
        std::array<epoll_event, 256> events;
        std::array<char, size_of_request> answer;
        while (under_way > 0) {
            int const count = checked(epoll_wait(set_, events.data(), int(events.size()), -1), "epoll_wait");
            for (int i = 0; i < count; ++i) {
                int const fd = events[std::size_t(i)].data.fd;
                if (recv(fd, answer.data(), answer.size(), MSG_WAITALL) != ssize_t(answer.size()))
                    throw std::runtime_error("the server closed a connection");
                --under_way;
                if (left > 0) ask(fd), --left, ++under_way;
            }
        }
    }
    std::size_t requests_of(std::size_t wanted) const { return std::max(wanted, all_.size()); }

private:
    static void ask(int fd) {
        static std::array<char, size_of_request> const request{};
        if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) != ssize_t(request.size())) checked(-1, "send");
    }

    int set_;
    std::vector<int> all_;
};

} // namespace bench
