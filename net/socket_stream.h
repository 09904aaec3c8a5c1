// A stream that is a connected socket: what TCP and Unix connections share. Owns the socket and has its rules
// (net/socket.h): one thread; one reading and one writing fiber at a time; any fiber may close, which wakes the others
// with EBADF.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/socket.h"
#include "net/stream.h"

#include <cstddef>
#include <span>
#include <sys/uio.h>
#include <utility>

namespace coir::net {

/// A connected stream socket. For one thread.
class COIR_API socket_stream : public stream {
public:
    /// As send(2) does with SHUT_WR. Never parks. Throws std::system_error.
    void shutdown_write(deadline until = {}) override;
    void close() noexcept override { socket_.close(); }
    bool is_open() const noexcept override { return socket_.is_open(); }
    address const& peer_address() const noexcept override { return socket_.with(); }
    socket* plain() noexcept override { return &socket_; }

    /// Its own end. Throws std::system_error.
    address local_address() const { return socket_.local_address(); }
    /// The descriptor, which stays the stream's; -1 if there is none.
    int native() const noexcept { return socket_.native(); }
    /// Gives up the descriptor, which stays open and non-blocking; those who wait get EBADF. -1 if there is none.
    int release() noexcept { return socket_.release(); }

protected:
    /// Refers to nothing.
    socket_stream() noexcept = default;
    /// Takes over a connected one.
    explicit socket_stream(socket connected) noexcept : socket_(std::move(connected)) {}
    /// Takes over the socket of `other`, where those who wait get EBADF.
    socket_stream(socket_stream&& other) noexcept = default;
    /// The same; the one that it had is closed.
    socket_stream& operator=(socket_stream&& other) noexcept = default;

    socket socket_; ///< of the kinds derived from it

private:
    std::size_t receive(std::span<iovec const> into, deadline until) override;
    std::size_t send(std::span<iovec const> what, deadline until) override;
};

} // namespace coir::net
