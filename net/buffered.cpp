#include "net/buffered.h"

#include "fiber/context.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace coir::net {

buffered_stream::buffered_stream(stream& over, buffer_sizes sizes) : over_(over), sizes_(sizes) {}

buffered_stream::buffered_stream(std::unique_ptr<stream> over, buffer_sizes sizes)
    : owned_(std::move(over)), over_(*owned_), sizes_(sizes) {}

buffered_stream::~buffered_stream() = default;

// Where the search goes on, a delimiter may have begun before.
std::optional<std::string> buffered_stream::read_line(std::size_t limit, deadline until) {
    for (std::size_t searched = 0;;) {
        std::string_view const there = unread();
        auto const end = there.find('\n', searched);
        bool const found = end != there.npos;
        std::string_view line = there.substr(0, end);
        if (line.ends_with('\r') && (found || line.size() == limit + 1)) line.remove_suffix(1);
        if (line.size() > limit) too_long("read a line from ", limit);
        bool const ended = !found && !fill(until);
        if (found || ended) {
            if (ended && unread().empty()) return {};
            std::string whole(found ? line : unread());
            skip(found ? end + 1 : whole.size());
            return whole;
        }
        searched = there.size();
    }
}

std::string buffered_stream::read_until(std::string_view delimiter, std::size_t limit, deadline until) {
    for (std::size_t searched = 0;;) {
        std::string_view const there = unread();
        auto const at = there.find(delimiter, searched);
        std::size_t const size = at == there.npos ? there.size() : at + delimiter.size();
        if (size > limit || (at == there.npos && size == limit)) too_long("read up to a delimiter from ", limit);
        if (at != there.npos) {
            std::string whole(there.substr(0, size));
            skip(size);
            return whole;
        }
        searched = there.size() - std::min(there.size(), delimiter.size() - 1);
        if (!fill(until))
            throw end_of_stream("read from " + peer_address().to_string() + ": it ended after " +
                                std::to_string(unread().size()) + " bytes without the delimiter");
    }
}

std::string_view buffered_stream::peek(std::size_t least, deadline until) {
    while (unread().size() < least && fill(until)) {}
    return unread();
}

void buffered_stream::skip(std::size_t bytes) noexcept {
    in_begin_ = std::min(in_begin_ + bytes, in_end_);
    if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
}

// What asks for much, with nothing here, gets it without a detour.
std::size_t buffered_stream::receive(std::span<iovec const> into, deadline until) {
    auto const first = std::find_if(into.begin(), into.end(), [](iovec const& each) { return each.iov_len > 0; });
    if (unread().empty()) {
        if (first != into.end() && first->iov_len >= sizes_.read) {
            send_own(until);
            return over_.read_some(std::span(static_cast<std::byte*>(first->iov_base), first->iov_len), until);
        }
        if (!fill(until)) return 0;
    }
    std::size_t total = 0;
    for (auto each = first; each != into.end() && !unread().empty(); ++each) {
        std::size_t const size = std::min(each->iov_len, unread().size());
        if (size) std::memcpy(each->iov_base, unread().data(), size);
        skip(size);
        total += size;
    }
    return total;
}

// One more read from below; false at its end. What is there stays what it is when that throws.
bool buffered_stream::fill(deadline until) {
    send_own(until);
    std::size_t const there = unread().size();
    std::size_t const least = std::max<std::size_t>(sizes_.read / 2, 1);
    if (in_room_ - in_end_ < least) {
        if (in_room_ - there < least) {
            std::size_t const room = std::max(there + 2 * least, 2 * in_room_);
            auto larger = std::make_unique_for_overwrite<char[]>(room);
            if (there) std::memcpy(larger.get(), unread().data(), there);
            in_ = std::move(larger);
            in_room_ = room;
        } else if (there) {
            std::memmove(in_.get(), unread().data(), there);
        }
        in_begin_ = 0;
        in_end_ = there;
    }
    std::size_t const got = over_.read_some(std::span<char>(in_.get() + in_end_, in_room_ - in_end_), until);
    in_end_ += got;
    return got > 0;
}

// The bytes are taken when there is room for them; until then none are, so that who is interrupted has sent nothing
// twice.
std::size_t buffered_stream::send(std::span<iovec const> what, deadline until) {
    writer_ = &context::current();
    std::size_t total = 0;
    for (iovec const& each : what) {
        std::string_view part(static_cast<char const*>(each.iov_base), each.iov_len);
        if (part.empty()) continue;
        if (total && part.size() > sizes_.write - out_end_) break;
        if (part.size() > sizes_.write - out_end_) flush(until);
        if (part.size() >= sizes_.write) return over_.write_some(part, until);
        if (!out_) out_ = std::make_unique_for_overwrite<char[]>(sizes_.write);
        std::memcpy(out_.get() + out_end_, part.data(), part.size());
        out_end_ += part.size();
        total += part.size();
    }
    return total;
}

void buffered_stream::flush(deadline until) {
    struct sending {
        buffered_stream& of;
        explicit sending(buffered_stream& all) noexcept : of(all) { of.sending_ = true; }
        ~sending() { of.sending_ = false; }
    };
    while (!unsent().empty()) {
        sending const now{*this};
        out_begin_ += over_.write_some(unsent(), until);
        if (out_begin_ == out_end_) out_begin_ = out_end_ = 0;
    }
    over_.flush(until);
}

// Who waits for an answer has asked. Of another fiber that writes it is not known whether it is done.
void buffered_stream::send_own(deadline until) {
    if (!unsent().empty() && !sending_ && writer_ == &context::current()) flush(until);
}

void buffered_stream::shutdown_write(deadline until) {
    flush(until);
    over_.shutdown_write(until);
}

void buffered_stream::close() noexcept {
    over_.close();
    in_begin_ = in_end_ = out_begin_ = out_end_ = 0;
}

void buffered_stream::too_long(char const* words, std::size_t limit) const {
    throw std::system_error(EMSGSIZE, std::generic_category(),
                            words + peer_address().to_string() + ", of which the limit is " + std::to_string(limit) +
                                " bytes");
}

} // namespace coir::net
