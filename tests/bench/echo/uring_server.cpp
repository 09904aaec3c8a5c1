// The limit of the io_uring side in echo.cpp: an echo server by hand on a ring, whose kernel accepts and receives for
// all connections into buffers that they share (io_uring_prep_recv_multishot(3)). Linux 6.1.

#include "tests/bench/echo/server.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

class server {
public:
    explicit server(int listener) : listener_(listener) {
        io_uring_params how{};
        how.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
        check(io_uring_queue_init_params(entries, &ring_, &how), "io_uring_setup");
        check(io_uring_register_ring_fd(&ring_) - 1, "register the ring");
        buffers_ = static_cast<char*>(pages(count * size));
        shared_ = static_cast<io_uring_buf_ring*>(pages(count * sizeof(io_uring_buf)));
        io_uring_buf_reg about{};
        about.ring_addr = reinterpret_cast<std::uintptr_t>(shared_);
        about.ring_entries = count;
        check(io_uring_register_buf_ring(&ring_, &about, 0), "register buffers");
        io_uring_buf_ring_init(shared_);
        for (unsigned id = 0; id < count; ++id) give_back(id);
        accept();
    }

    [[noreturn]] void run() {
        for (;;) {
            io_uring_submit_and_wait(&ring_, 1);
            unsigned head, seen = 0;
            io_uring_cqe* each;
            io_uring_for_each_cqe(&ring_, head, each) {
                ++seen;
                take(int(each->user_data), each->res, each->flags);
            }
            io_uring_cq_advance(&ring_, seen);
        }
    }

private:
    static constexpr unsigned entries = 4096, count = 4096;
    static constexpr std::size_t size = bench::room;

    static void check(int result, char const* what) {
        if (result >= 0) return;
        errno = -result;
        bench::checked(-1, what);
    }
    static void* pages(std::size_t size) {
        void* const made = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (made == MAP_FAILED) bench::checked(-1, "mmap");
        return made;
    }
    io_uring_sqe& entry(int fd) {
        io_uring_sqe* place;
        while (!(place = io_uring_get_sqe(&ring_))) io_uring_submit(&ring_);
        place->user_data = unsigned(fd);
        return *place;
    }
    void accept() {
        io_uring_sqe& next = entry(listener_);
        io_uring_prep_multishot_accept(&next, listener_, nullptr, nullptr, SOCK_NONBLOCK);
        next.user_data = unsigned(listener_); // which preparing it has cleared
    }
    void receive(int fd) {
        io_uring_sqe& next = entry(fd);
        io_uring_prep_recv_multishot(&next, fd, nullptr, 0, 0);
        next.flags |= IOSQE_BUFFER_SELECT;
        next.user_data = unsigned(fd);
    }
    void give_back(unsigned id) {
        io_uring_buf_ring_add(shared_, buffers_ + id * size, size, std::uint16_t(id), io_uring_buf_ring_mask(count), 0);
        io_uring_buf_ring_advance(shared_, 1);
    }
    void take(int fd, int result, unsigned flags) {
        bool const goes_on = flags & IORING_CQE_F_MORE;
        if (fd == listener_) {
            if (result >= 0) receive(result);
            if (!goes_on) accept();
            return;
        }
        if (result > 0) {
            unsigned const id = flags >> IORING_CQE_BUFFER_SHIFT;
            [[maybe_unused]] auto const sent = send(fd, buffers_ + id * size, std::size_t(result), MSG_NOSIGNAL);
            give_back(id);
        }
        if (goes_on) return;
        if (result > 0 || result == -ENOBUFS)
            receive(fd);
        else
            close(fd);
    }

    int const listener_;
    io_uring ring_{};
    char* buffers_ = nullptr;
    io_uring_buf_ring* shared_ = nullptr;
};

} // namespace

int main() {
    bench::raise_descriptor_limit();
    server(bench::listen_and_say(SOCK_NONBLOCK)).run();
}
