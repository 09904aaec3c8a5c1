// Receiving ahead (io_uring_prep_recv_multishot(3)): what comes for a socket the kernel puts into buffers of the hub,
// also while nobody reads, and tells of many at once. So a message costs no system call of its own to receive, but a
// copy out of the buffer.
//
// For the hub's own thread. Internal.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "hub/receiver_handle.h"
#include "hub/ring.h"
#include "hub/waiter.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sys/uio.h>

namespace coir {

/// The buffers that the kernel receives into, for all receivers of a hub. They outlive its ring as long as one of those
/// has data in them.
class receive_buffers {
public:
    // The kernel fills one for everything that is there when the hub asks: with thousands of connections thousands of
    // them, and who finds none has to begin anew.
    static constexpr unsigned count = 4096; // a power of two
    static constexpr std::size_t size = 2048;

    /// Null if the kernel takes none.
    static std::shared_ptr<receive_buffers> make(ring& of, io_uring& raw) noexcept;
    ~receive_buffers();
    receive_buffers(receive_buffers const&) = delete;

    /// Those that the kernel has not filled, as far as it has told.
    unsigned free() const noexcept { return free_; }
    ring* owner() const noexcept { return owner_; }
    void stop_all() noexcept;
    /// No receiver is told anything any more.
    void ring_goes() noexcept;

private:
    friend receiver;
    // One after the other they would fall into few sets of the cache, for most messages are small.
    static constexpr std::size_t stride = size + 64;

    receive_buffers() = default;
    std::byte* at(unsigned id) const noexcept { return memory_ + id * stride; }
    void give_back(unsigned id) noexcept;

    struct filled {
        std::uint16_t next, size;
    };

    ring* owner_ = nullptr;
    io_uring_buf_ring* shared_ = nullptr; // with the kernel: those it may fill
    std::byte* memory_ = nullptr;
    unsigned free_ = 0;
    std::array<filled, count> filled_;
    queue_place receivers_; // of a ring
};

/// One socket's, which is to stay open as long as this lives or until stop().
class COIR_API receiver final : ring::request, queue_place {
public:
    /// Null where it cannot be: before Linux 6.1, without io_uring, and without memory. Throws std::bad_alloc.
    static receiver_handle make(int fd);

    /// The next of what came is to be taken from here, and not received from the socket.
    bool covers() const noexcept { return held_ > 0 || error_ || receiving_; }
    /// As recvmsg(2) would have it for what came: how many bytes, or -1 and errno; EAGAIN: none yet.
    ssize_t take(std::span<iovec const> into) noexcept;
    /// How many bytes came that nobody took.
    std::size_t held() const noexcept { return held_; }

    /// **Parks.** The running fiber, until there is something for take() or, if it does not cover it then, the socket
    /// is to be asked; one at a time. `closed`, if leave() was called meanwhile.
    wake_reason wait(deadline until);

    /// Whoever waits does no more: `closed`.
    void leave() noexcept;
    /// The same. Nothing is received ahead from now on, and the kernel has let go of the socket; what came stays. Not
    /// so on another thread, or in a child that another forked: nobody there can tell the kernel.
    void stop() noexcept;
    /// Nothing will come any more.
    bool is_over() const noexcept { return stopped_ || !buffers_->owner(); }

private:
    struct reader;

    friend receiver_closer;
    ~receiver();
    receiver(int fd, std::shared_ptr<receive_buffers> const& into) noexcept;
    friend receive_buffers;
    bool begin() noexcept;
    void end() noexcept;
    void append(unsigned id, std::uint16_t size) noexcept;
    void drop_first() noexcept;
    void completed(int result, unsigned flags) noexcept override;

    std::shared_ptr<receive_buffers> buffers_;
    reader* reader_ = nullptr;
    std::size_t held_ = 0;      // bytes …
    unsigned buffers_held_ = 0; // … in so many buffers
    int const fd_;
    int error_ = 0;                                  // comes after what is held
    std::uint16_t first_ = 0, last_ = 0, taken_ = 0; // filled buffers, and what of the first was taken
    bool receiving_ = false;                         // by the kernel
    bool ending_ = false;                            // it was told not to
    bool stopped_ = false;
};

} // namespace coir
