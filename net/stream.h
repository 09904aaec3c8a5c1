// Streams of bytes: what TCP connections, Unix sockets and TLS sessions have in common, and what buffers, copies and
// servers are written for.
//
// A kind of stream says how some bytes are received and sent, the rest is here. Every wait takes a deadline and throws
// std::system_error(ETIMEDOUT) when it has passed. A stream is used on one thread, by one reading and one writing fiber
// at a time.
//
// With "net/asio.h" included the streams also are what Asio calls a SyncReadStream and a SyncWriteStream, so that
// Boost.Beast and others work over them; Asio is not needed otherwise.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"

#include <array>
#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string_view>
#include <sys/uio.h>
#include <system_error>
#include <type_traits>
#include <utility>

namespace coir::net {

class socket;

/// read_exactly, or a reader that wanted more, met the end of the stream too early.
class COIR_API end_of_stream : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Arrays, vectors and spans of char: what is contiguous and no string.
template <class Range>
concept char_buffer = std::ranges::contiguous_range<Range> && !std::convertible_to<Range, std::string_view> &&
                      (std::is_same_v<std::ranges::range_value_t<Range>, char>);

/// @cond internal
namespace detail {

// What Asio calls the end of a stream, and an executor: net/asio.h says. A template so that it is looked up late.
template <class>
struct asio;

template <class ErrorCode>
concept error_code_like = requires(ErrorCode& error) {
    error.assign(0, ErrorCode().category());
    error.clear();
};

// Asio's buffers: a pointer without a type, and a size.
template <class Buffer>
concept untyped_buffer = requires(Buffer const& one) {
    requires std::is_void_v<std::remove_pointer_t<decltype(one.data())>>;
    { one.size() } -> std::convertible_to<std::size_t>;
};

template <class Range>
concept untyped_buffers = untyped_buffer<Range> || requires(Range const& all) {
    requires untyped_buffer<std::decay_t<decltype(*all.begin())>>;
};

} // namespace detail
/// @endcond

/// A stream of bytes in two directions. For one thread.
class COIR_API stream {
public:
    /// Closes it.
    virtual ~stream() = default;

    /// **Parks.** Until something is there, also for an empty `into`; returns how many bytes came, at most the size of
    /// `into`, and 0 when the peer has sent its last. Throws std::system_error that says what was attempted and with
    /// whom: ETIMEDOUT when `until` has passed, EBADF if the stream is closed, also meanwhile; std::logic_error if
    /// another fiber reads; what interrupts the caller, and would_block_forever.
    std::size_t read_some(std::span<std::byte> into, deadline until = {}) {
        iovec const whole{into.data(), into.size()};
        return receive({&whole, 1}, until);
    }
    /// The same.
    std::size_t read_some(std::span<char> into, deadline until = {}) {
        return read_some(std::as_writable_bytes(into), until);
    }

    /// **Parks.** Until `into` is full; `until` is for the whole. Throws end_of_stream if the peer sends less, and as
    /// read_some does; what came before is in `into`, but how much is not told.
    void read_exactly(std::span<std::byte> into, deadline until = {});
    /// The same.
    void read_exactly(std::span<char> into, deadline until = {}) { read_exactly(std::as_writable_bytes(into), until); }

    /// **Parks.** Until some of `what` could be sent; returns how many bytes, 0 only if it is empty. Throws as
    /// read_some does; a vanished peer is EPIPE or ECONNRESET, never SIGPIPE.
    std::size_t write_some(std::span<std::byte const> what, deadline until = {}) {
        iovec const whole{const_cast<std::byte*>(what.data()), what.size()};
        return send({&whole, 1}, until);
    }
    /// The same.
    std::size_t write_some(std::string_view what, deadline until = {}) {
        return write_some(std::as_bytes(std::span(what.data(), what.size())), until);
    }

    /// **Parks.** Until all of `what` is sent; `until` is for the whole. Throws as write_some does; a part of it may
    /// have been sent then.
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
    /// The same, of several parts one after another, in as few system calls as can be.
    void write_all(std::span<std::string_view const> parts, deadline until = {});

    /// **Parks** where what was written is gathered before it is sent (net/buffered.h): until all of it is sent; others
    /// have nothing to do. Throws as write_some does.
    virtual void flush(deadline until = {}) { static_cast<void>(until); }
    /// **Parks** where that takes a message to the peer (TLS). The peer reads the end of the stream after what was
    /// written; reading goes on. Throws as write_some does.
    virtual void shutdown_write(deadline until = {}) = 0;

    /// Closes it, at once, and those who wait get EBADF; harmless when it is closed already.
    virtual void close() noexcept = 0;
    /// It has a connection.
    virtual bool is_open() const noexcept = 0;
    /// The other end, for messages. Valid as long as this object.
    virtual address const& peer_address() const noexcept = 0;

    /// The socket, if what is written is what goes out and the kernel may be asked to move it: copy() and send_file()
    /// do. Null if there is none, or something is between, as with TLS.
    virtual socket* plain() noexcept { return nullptr; }

    /// Asio's: **Parks.** Into a buffer, or the first of several that is not empty. At the end of the stream throws
    /// what Asio calls eof. Needs "net/asio.h".
    template <detail::untyped_buffers Buffers>
    std::size_t read_some(Buffers const& into) {
        parts<Buffers> all(into);
        std::size_t const got = all.empty() ? 0 : receive(all.span(), {});
        if (got == 0 && !all.empty()) detail::asio<Buffers>::throw_end();
        return got;
    }
    /// The same, with errors in `error`. What interrupts the caller is thrown.
    template <detail::untyped_buffers Buffers, detail::error_code_like ErrorCode>
    std::size_t read_some(Buffers const& into, ErrorCode& error) {
        parts<Buffers> all(into);
        return told(error, [&] {
            std::size_t const got = all.empty() ? 0 : receive(all.span(), {});
            if (got == 0 && !all.empty()) detail::asio<Buffers>::end_in(error);
            return got;
        });
    }
    /// Asio's: **Parks.** Throws as the other.
    template <detail::untyped_buffers Buffers>
    std::size_t write_some(Buffers const& what) {
        parts<Buffers> all(what);
        return all.empty() ? 0 : send(all.span(), {});
    }
    /// The same, with errors in `error`. What interrupts the caller is thrown.
    template <detail::untyped_buffers Buffers, detail::error_code_like ErrorCode>
    std::size_t write_some(Buffers const& what, ErrorCode& error) {
        parts<Buffers> all(what);
        return told(error, [&] { return all.empty() ? 0 : send(all.span(), {}); });
    }
    /// Asio's: one that nothing runs on; Beast asks for it. Needs "net/asio.h".
    template <class Nothing = void>
    auto get_executor() const -> typename detail::asio<Nothing>::executor_type {
        return detail::asio<Nothing>::executor();
    }

protected:
    /// For kinds that can be moved.
    stream() noexcept = default;
    /// The same.
    stream(stream const&) = default;
    /// The same.
    stream& operator=(stream const&) = default;

private:
    /// **Parks.** read_some; the parts are filled one after another.
    virtual std::size_t receive(std::span<iovec const> into, deadline until) = 0;
    /// **Parks.** write_some.
    virtual std::size_t send(std::span<iovec const> what, deadline until) = 0;

    void send_all(std::span<iovec> what, deadline until);

    // Asio's buffers as the kernel's, without the empty ones; of many the first sixteen: the others have their turn
    // later.
    template <class Buffers>
    class parts {
    public:
        explicit parts(Buffers const& of) {
            if constexpr (detail::untyped_buffer<Buffers>)
                add(of);
            else
                for (auto each = of.begin(); each != of.end() && count_ < all_.size(); ++each) add(*each);
        }
        bool empty() const noexcept { return count_ == 0; }
        std::span<iovec const> span() const noexcept { return {all_.data(), count_}; }

    private:
        template <class Buffer>
        void add(Buffer const& one) {
            if (one.size()) all_[count_++] = {const_cast<void*>(static_cast<void const*>(one.data())), one.size()};
        }
        std::array<iovec, 16> all_;
        std::size_t count_ = 0;
    };

    template <class ErrorCode, class Transfer>
    static std::size_t told(ErrorCode& error, Transfer transfer) {
        error.clear();
        try {
            return transfer();
        } catch (std::system_error const& failed) {
            detail::asio<ErrorCode>::tell(error, failed.code());
            return 0;
        }
    }
};

} // namespace coir::net
