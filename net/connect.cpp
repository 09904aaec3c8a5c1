#include "net/connect.h"

#include "hub/hub.h"
#include "net/connecting.h"
#include "net/printable.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace coir::net {
namespace {

struct attempt {
    address to;
    socket made;   // closed when it is over
    int error = 0; // of one that failed

    bool under_way() const noexcept { return made.is_open(); }
};

// Section 4 of the RFC: the families take turns, each in its own order, and the first address stays the first.
std::vector<address> interleaved(std::span<address const> from) {
    std::vector<address> first, other, all;
    for (address const& each : from) (each.family() == from.front().family() ? first : other).push_back(each);
    for (std::size_t i = 0; i < std::max(first.size(), other.size()); ++i) {
        if (i < first.size()) all.push_back(first[i]);
        if (i < other.size()) all.push_back(other[i]);
    }
    return all;
}

// It tells of this machine, not of the peer.
bool is_about_us(int error) noexcept { return error == ENETUNREACH || error == EADDRNOTAVAIL || error == EAFNOSUPPORT; }

// The attempts at one connection. For the fiber that waits for them.
class race {
public:
    race(std::span<address const> to, connect_options const& how) : to_(interleaved(to)), how_(how) {
        begun_.reserve(to_.size());
    }

    // The first that is connected; nothing if there is none.
    std::optional<tcp_stream> winner() {
        deadline turn; // of the next address
        for (bool go_on = true;;) {
            while (go_on && begun_.size() < to_.size()) {
                if (auto won = begin(to_[begun_.size()])) return won;
                go_on = !begun_.back().under_way();
                turn = how_.attempt_delay;
            }
            if (begun_.size() == to_.size()) turn = deadline::never();
            if (!any_under_way()) return {};
            bool const in_time = wait(std::min(turn, how_.until));
            for (attempt& each : begun_) {
                if (!each.under_way()) continue;
                if (auto won = outcome(each)) return won;
                go_on |= !each.under_way();
            }
            if (!in_time && how_.until <= turn) return late();
            go_on |= !in_time;
        }
    }

    // One error for all. The most telling attempt comes last, where the code's own message follows.
    [[noreturn]] void fail(std::string const& whom) const {
        attempt const& told = *most_telling();
        std::string text = "connect " + whom;
        char const* between = whom.empty() ? "" : ": ";
        auto const add = [&](std::string const& part) {
            text += between + part;
            between = "; ";
        };
        for (attempt const& each : begun_)
            if (&each != &told) add(each.to.to_string() + ": " + std::generic_category().message(each.error));
        if (std::size_t const left = to_.size() - begun_.size()) add(std::to_string(left) + " more not tried");
        if (std::string const last = told.to.to_string(); last != whom) add(last);
        throw std::system_error(told.error, std::generic_category(), text);
    }

private:
    // Without descriptors for even one of them there is nothing to wait for.
    std::optional<tcp_stream> begin(address const& next) {
        attempt mine{next, {}, 0};
        try {
            mine.made = socket(next.family(), SOCK_STREAM, 0, next);
        } catch (std::system_error const& none) {
            mine.error = none.code().value();
            if (!is_about_us(mine.error) && !any_under_way()) throw;
        }
        begun_.push_back(std::move(mine));
        return begun_.back().under_way() ? outcome(begun_.back()) : std::nullopt;
    }

    std::optional<tcp_stream> outcome(attempt& of) {
        int result;
        do result = try_connect(of.made.native(), of.to);
        while (result < 0 && errno == EINTR);
        of.error = result < 0 ? errno : 0;
        if (of.error == EAGAIN) return {};
        try {
            if (!of.error) return connected_stream(std::move(of.made));
        } catch (std::system_error const& to_itself) {
            of.error = to_itself.code().value();
        }
        of.made.close();
        return {};
    }

    // False: it is `until` now, and nothing has happened.
    bool wait(deadline until) {
        std::vector<hub::interest> all;
        for (attempt const& each : begun_)
            if (each.under_way()) all.push_back({each.made.native(), hub::writable});
        wake_reason const why = hub::wait_any_fd(all, until, closing::seen);
        if (why == wake_reason::cancelled) interruption_point();
        return why != wake_reason::timed_out;
    }

    std::nullopt_t late() {
        for (attempt& each : begun_)
            if (each.under_way()) {
                each.error = ETIMEDOUT;
                late_ = &each;
            }
        return std::nullopt;
    }

    bool any_under_way() const noexcept {
        return std::any_of(begun_.begin(), begun_.end(), [](attempt const& each) { return each.under_way(); });
    }

    attempt const* most_telling() const noexcept {
        if (late_) return late_;
        for (std::size_t i = begun_.size(); i-- > 0;)
            if (!is_about_us(begun_[i].error)) return &begun_[i];
        return &begun_.back();
    }

    std::vector<address> const to_;
    connect_options const& how_;
    std::vector<attempt> begun_; // the first of to_, in that order
    attempt const* late_ = nullptr;
};

tcp_stream connect_to(std::string const& whom, std::span<address const> to, connect_options const& how) {
    if (to.empty()) throw std::system_error(EINVAL, std::generic_category(), "connect to one of no addresses");
    if (!to.front().is_ip()) return tcp_stream::connect(to.front(), how.until);
    race run(to, how);
    if (auto won = run.winner()) return std::move(*won);
    run.fail(whom);
}

} // namespace

tcp_stream connect(std::string_view host, std::string_view service, connect_options how) {
    bool const is_ipv6 = host.find(':') != host.npos && !host.starts_with('[');
    std::string const named = is_ipv6 ? "[" + std::string(host) + "]" : printable(host);
    return connect_to(named + ":" + printable(service), resolve(host, service, how.until, how.lookup), how);
}

tcp_stream connect(std::string_view host, std::uint16_t port, connect_options how) {
    return connect(host, std::to_string(port), how);
}

tcp_stream connect(std::string_view host_and_service, connect_options how) {
    return connect_to(printable(host_and_service), resolve(host_and_service, how.until, how.lookup), how);
}

tcp_stream connect(std::span<address const> to, connect_options how) { return connect_to("", to, how); }

} // namespace coir::net
