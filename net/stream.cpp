#include "net/stream.h"

#include <algorithm>
#include <string>

namespace coir::net {

void stream::read_exactly(std::span<std::byte> into, deadline until) {
    std::size_t got = 0;
    while (got < into.size()) {
        std::size_t const more = read_some(into.subspan(got), until);
        if (more == 0)
            throw end_of_stream("read from " + peer_address().to_string() + ": it ended after " + std::to_string(got) +
                                " of " + std::to_string(into.size()) + " bytes");
        got += more;
    }
}

void stream::write_all(std::span<std::byte const> what, deadline until) {
    while (!what.empty()) what = what.subspan(write_some(what, until));
}

void stream::write_all(std::span<std::string_view const> parts, deadline until) {
    constexpr std::size_t at_once = 16;
    std::array<iovec, at_once> few;
    while (!parts.empty()) {
        std::size_t count = 0;
        for (std::string_view const each : parts.first(std::min(parts.size(), at_once)))
            if (!each.empty()) few[count++] = {const_cast<char*>(each.data()), each.size()};
        send_all(std::span(few).first(count), until);
        parts = parts.subspan(std::min(parts.size(), at_once));
    }
}

void stream::send_all(std::span<iovec> what, deadline until) {
    while (!what.empty()) {
        std::size_t sent = send(what, until);
        while (!what.empty() && sent >= what.front().iov_len) {
            sent -= what.front().iov_len;
            what = what.subspan(1);
        }
        if (sent) what.front() = {static_cast<char*>(what.front().iov_base) + sent, what.front().iov_len - sent};
    }
}

} // namespace coir::net
