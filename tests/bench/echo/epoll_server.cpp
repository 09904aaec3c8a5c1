// The limit of echo.cpp: an echo server by hand on epoll, with nothing between it and the kernel.
//
//     echo-epoll [--page-each]
//
// With --page-each every connection has a buffer in a page of its own, and a few lines beside it are written for every
// request: what any server costs that has a stack for each connection, before it does anything for that.

#include "tests/bench/echo/server.h"

#include <array>
#include <string_view>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

void watch(int set, int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    bench::checked(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

class buffers {
public:
    explicit buffers(bool page_each) : pages_(page_each ? reserve() : nullptr) {}
    // Where the next request of `fd` goes.
    char* of(int fd) noexcept {
        if (!pages_) return shared_.data();
        // Not at the same place of every page: those would share a few sets of the cache.
        char* const frames = pages_ + std::size_t(fd) * apart + std::size_t(fd) * stagger % half_a_page;
        for (std::size_t i = 0; i < lines; ++i) ++frames[i * line];
        return frames + lines * line;
    }

private:
    static constexpr std::size_t line = 64, stagger = 7 * line, half_a_page = 2048;
    static constexpr std::size_t apart = 65536; // as stacks are: each page has its own line of the page tables, too
    static constexpr std::size_t room_for_all = apart << 18; // as many as there may be descriptors
    static constexpr std::size_t lines = 8; // of a fiber's stack and control block, between two requests
    static char* reserve() {
        void* const all =
            mmap(nullptr, room_for_all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (all == MAP_FAILED) bench::checked(-1, "mmap");
        madvise(all, room_for_all, MADV_NOHUGEPAGE); // as stacks are
        return static_cast<char*>(all);
    }

    std::array<char, bench::room> shared_;
    char* pages_;
};

} // namespace

int main(int argc, char** argv) {
    bench::raise_descriptor_limit();
    int const listener = bench::listen_and_say(SOCK_NONBLOCK);
    int const set = bench::checked(epoll_create1(0), "epoll_create1");
    watch(set, listener);
    std::array<epoll_event, 256> events;
    buffers all(argc > 1 && std::string_view(argv[1]) == "--page-each");
    for (;;) {
        int const count = bench::checked(epoll_wait(set, events.data(), int(events.size()), -1), "epoll_wait");
        for (int i = 0; i < count; ++i) {
            int const fd = events[std::size_t(i)].data.fd;
            if (fd == listener) {
                int const peer = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
                if (peer >= 0) watch(set, peer);
                continue;
            }
            char* const buffer = all.of(fd);
            ssize_t const got = recv(fd, buffer, bench::room, 0);
            // 64 bytes always find room: what is sent is read before more comes.
            if (got <= 0 || send(fd, buffer, std::size_t(got), MSG_NOSIGNAL) != got) close(fd);
        }
    }
}
