// TCP: a connection, and the place where connections come in.
//
// Both own their socket and have its rules (net/socket.h): one thread; one reading and one writing fiber at a
// time; any fiber may close, which wakes the others with EBADF. An error is a std::system_error whose text
// begins with what was attempted and with whom. Every wait takes a deadline and throws
// std::system_error(ETIMEDOUT) when it has passed.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/socket.h"

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <type_traits>
#include <utility>

namespace coir::net {

/// read_exactly met the end of the stream too early.
class COIR_API end_of_stream : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Arrays, vectors and spans of char: what is contiguous and no string.
template <class Range>
concept char_buffer = std::ranges::contiguous_range<Range> && !std::convertible_to<Range, std::string_view> &&
                      (std::is_same_v<std::ranges::range_value_t<Range>, char>);

/// A TCP connection. For one thread; one reading and one writing fiber at a time. Errors are std::system_errors that
/// say what was attempted and with whom.
class COIR_API tcp_stream {
public:
    /// Refers to nothing: every call fails with EBADF.
    tcp_stream() noexcept = default;
    /// Takes over a connected one, whose with() is the peer.
    explicit tcp_stream(socket connected) noexcept : socket_(std::move(connected)) {}

    /// **Parks.** A connection to `peer`. Throws std::system_error, "connect 127.0.0.1:8001: Connection refused", and
    /// ETIMEDOUT when `until` has passed; and what interrupts the caller. Any thread; the stream is this one's.
    static tcp_stream connect(address const& peer, deadline until = {});

    /// **Parks.** Until something is there, also for an empty `into`; returns how many bytes came, at most the size of
    /// `into`, and 0 when the peer has sent its last. Throws what socket::attempt throws.
    std::size_t read_some(std::span<std::byte> into, deadline until = {});
    /// The same.
    std::size_t read_some(std::span<char> into, deadline until = {}) {
        return read_some(std::as_writable_bytes(into), until);
    }

    /// **Parks.** Until `into` is full; `until` is for the whole. Throws end_of_stream if the peer sends less, and what
    /// socket::attempt throws; what came before is in `into`, but how much is not told.
    void read_exactly(std::span<std::byte> into, deadline until = {});
    /// The same.
    void read_exactly(std::span<char> into, deadline until = {}) { read_exactly(std::as_writable_bytes(into), until); }

    /// **Parks.** Until the kernel has taken all of `what`; `until` is for the whole. Throws what socket::attempt
    /// throws; a part of it may have been sent then. A vanished peer is EPIPE or ECONNRESET, never SIGPIPE.
    void write_all(std::span<std::byte const> what, deadline until = {});
    /// The same.
    void write_all(std::string_view what, deadline until = {}) {
        write_all(std::as_bytes(std::span(what.data(), what.size())), until);
    }
    /// The same.
    template <char_buffer Chars>
    void write_all(Chars const& what, deadline until = {}) {
        write_all(std::string_view(std::ranges::data(what), std::ranges::size(what)), until);
    }

    /// The peer reads the end of the stream after what was written; reading goes on. Throws std::system_error.
    void shutdown_write();

    /// Send small writes at once, instead of waiting for the answer to earlier ones (TCP_NODELAY). Off to begin with.
    /// Throws std::system_error.
    void no_delay(bool on);

    /// Its own end. Throws std::system_error.
    address local_address() const { return socket_.local_address(); }
    /// The other end. Valid as long as this object.
    address const& peer_address() const noexcept { return socket_.with(); }

    /// Closes it, at once, and those who wait get EBADF; harmless when it is closed already.
    void close() noexcept { socket_.close(); }
    /// It has a descriptor.
    bool is_open() const noexcept { return socket_.is_open(); }
    /// The descriptor, which stays the stream's; -1 if there is none.
    int native() const noexcept { return socket_.native(); }
    /// Gives up the descriptor, which stays open and non-blocking; those who wait get EBADF. -1 if there is none.
    int release() noexcept { return socket_.release(); }

private:
    socket socket_;
};

/// Where TCP connections come in. For one thread; one accepting fiber at a time.
class COIR_API tcp_listener {
public:
    /// Refers to nothing: every call fails with EBADF.
    tcp_listener() noexcept = default;

    /// Listens on `where`, with SO_REUSEADDR. `backlog` connections may wait to be accepted; the kernel
    /// allows no more than net.core.somaxconn. Throws std::system_error, "listen on 127.0.0.1:8001: Address already in
    /// use".
    explicit tcp_listener(address const& where, int backlog = SOMAXCONN);

    /// **Parks.** The next connection. One that failed before it was accepted is passed over. EMFILE and
    /// ENFILE are thrown with the limit's name; the connection then stays in the backlog, so wait a little before the
    /// next call. Throws what socket::attempt throws.
    tcp_stream accept(deadline until = {});

    /// Where it listens, with the port that the kernel chose. Throws std::system_error.
    address local_address() const { return socket_.local_address(); }

    /// Closes it, at once, and who waits gets EBADF; harmless when it is closed already.
    void close() noexcept { socket_.close(); }
    /// It has a descriptor.
    bool is_open() const noexcept { return socket_.is_open(); }
    /// The descriptor, which stays the listener's; -1 if there is none.
    int native() const noexcept { return socket_.native(); }
    /// Gives up the descriptor, which stays open and non-blocking; those who wait get EBADF. -1 if there is none.
    int release() noexcept { return socket_.release(); }

private:
    socket socket_;
};

} // namespace coir::net
