// A stream with buffers over another: reads up to a delimiter and line by line, and small writes that are sent
// together.
//
//     coir::net::buffered_stream peer(listener.accept());
//     for (std::string_view line : peer.lines()) peer.write_all({line, "\n"});
//
// What was read from the other one and not yet from here is kept here, whatever ends a wait: after a deadline in the
// middle of a line the next call goes on where the last one was. The other must not be read from besides.
//
// What is written is sent when the buffer is full, by flush() and shutdown_write(), and before the fiber that wrote it
// waits for an answer, that is, reads what is not here yet. So only who writes and never reads has to flush(). What was
// not sent is lost when it is closed or destroyed, for there is no waiting then.
//
// For one thread; one reading and one writing fiber at a time.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/stream.h"

#include <concepts>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <type_traits>
#include <utility>

namespace coir {

struct context;

namespace net {

/// How large the buffers are, in bytes.
struct buffer_sizes {
    std::size_t read = 16 * 1024;  ///< read from the other stream at once; grows to the limit of a longer line
    std::size_t write = 16 * 1024; ///< gathered before it is sent; 0: nothing is
};

/// A stream with buffers over another. For one thread; one reading and one writing fiber at a time.
class COIR_API buffered_stream final : public stream {
public:
    static constexpr std::size_t usual_limit = 64 * 1024; ///< bytes of a line

    /// Over `over`, which must outlive it. close() closes that, the destructor does not.
    explicit buffered_stream(stream& over, buffer_sizes sizes = {});
    /// Over `over`, which is its own from now on and closed with it.
    explicit buffered_stream(std::unique_ptr<stream> over, buffer_sizes sizes = {});
    /// The same: `buffered_stream peer(listener.accept())`.
    template <std::derived_from<stream> Stream>
    requires(!std::same_as<Stream, buffered_stream>) explicit buffered_stream(Stream&& over, buffer_sizes sizes = {})
        : buffered_stream(std::unique_ptr<stream>(std::make_unique<Stream>(std::move(over))), sizes) {}
    buffered_stream(buffered_stream const&) = delete;
    buffered_stream& operator=(buffered_stream const&) = delete;
    ~buffered_stream() override;

    /// **Parks.** The next line without its end, LF or CRLF, and what stands behind the last one; nothing at the end of
    /// the stream. Throws std::system_error(EMSGSIZE) that names the limit if the line has more than `limit` bytes
    /// without its end: it stays, to be read with a higher one. Throws as read_some does.
    std::optional<std::string> read_line(std::size_t limit = usual_limit, deadline until = {});

    /// **Parks.** What comes up to and with `delimiter`, which must not be empty. Throws EMSGSIZE if that is more than
    /// `limit` bytes, end_of_stream if the stream ends before; what there is stays to be read. Throws as read_some
    /// does.
    std::string read_until(std::string_view delimiter, std::size_t limit = usual_limit, deadline until = {});

    /// **Parks** until `least` bytes are there, or the stream has ended: all that is there then, which stays to be
    /// read. Valid until the next read. Throws as read_some does.
    std::string_view peek(std::size_t least = 1, deadline until = {});
    /// Drops as many bytes of what peek() gave.
    void skip(std::size_t bytes) noexcept;

    class line_range;
    /// The lines that are left, as read_line() reads them, for a range-for. `until` is for all of them.
    line_range lines(std::size_t limit = usual_limit, deadline until = {}) noexcept;

    void flush(deadline until = {}) override;
    /// Flushes, and ends the other's stream.
    void shutdown_write(deadline until = {}) override;
    void close() noexcept override;
    bool is_open() const noexcept override { return over_.is_open(); }
    address const& peer_address() const noexcept override { return over_.peer_address(); }
    /// The other's, while nothing is in the buffers.
    socket* plain() noexcept override { return unread().empty() && unsent().empty() ? over_.plain() : nullptr; }

    /// The stream below.
    stream& over() noexcept { return over_; }

private:
    std::size_t receive(std::span<iovec const> into, deadline until) override;
    std::size_t send(std::span<iovec const> what, deadline until) override;

    std::string_view unread() const noexcept { return {in_.get() + in_begin_, in_end_ - in_begin_}; }
    std::string_view unsent() const noexcept { return {out_.get() + out_begin_, out_end_ - out_begin_}; }
    bool fill(deadline until);
    void send_own(deadline until);
    [[noreturn]] void too_long(char const* words, std::size_t limit) const;

    std::unique_ptr<stream> const owned_; // null: it is another's
    stream& over_;
    buffer_sizes const sizes_;

    std::unique_ptr<char[]> in_;
    std::size_t in_room_ = 0, in_begin_ = 0, in_end_ = 0;

    std::unique_ptr<char[]> out_; // of sizes_.write bytes: it stays where it is while the other sends from it
    std::size_t out_begin_ = 0, out_end_ = 0;
    bool sending_ = false;            // a fiber is in flush()
    context const* writer_ = nullptr; // who wrote last; only compared
};

/// The lines of a buffered_stream, each valid until the next. For the fiber that reads that.
class buffered_stream::line_range {
public:
    /// An input iterator.
    class iterator {
    public:
        using value_type = std::string_view;    ///< a line
        using difference_type = std::ptrdiff_t; ///< of nothing: there is no going back

        /// At the next line of `of`. **Parks.** Throws as read_line.
        explicit iterator(line_range& of) : of_(&of) { ++*this; }

        /// The line.
        std::string_view operator*() const noexcept { return *of_->line_; }
        /// **Parks** until the next one is there. Throws as read_line.
        iterator& operator++() {
            of_->line_ = of_->from_.read_line(of_->limit_, of_->until_);
            return *this;
        }
        /// The same.
        void operator++(int) { ++*this; }
        /// The stream has ended.
        bool operator==(std::default_sentinel_t) const noexcept { return !of_->line_; }

    private:
        line_range* of_;
    };

    /// **Parks** until the first is there. Throws as read_line.
    iterator begin() { return iterator(*this); }
    /// Where the stream ends.
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    friend class buffered_stream;
    line_range(buffered_stream& from, std::size_t limit, deadline until) noexcept
        : from_(from), limit_(limit), until_(until) {}

    buffered_stream& from_;
    std::size_t limit_;
    deadline until_;
    std::optional<std::string> line_;
};

inline buffered_stream::line_range buffered_stream::lines(std::size_t limit, deadline until) noexcept {
    return {*this, limit, until};
}

} // namespace net
} // namespace coir
