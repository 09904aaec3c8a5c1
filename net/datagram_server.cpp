// The socket has two descriptors: one to receive with, closed at once, and one that the last handlers answer with.

#include "net/datagram_server.h"

#include "hub/mutex.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <mutex>
#include <optional>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace coir::net {
namespace {

datagram_socket another_descriptor_of(datagram_socket const& one) {
    address const where = one.local_address();
    int const fd = ::fcntl(one.native(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) socket(-1, where).fail({direction::read, "receive at"}, errno);
    return datagram_socket(socket(fd, where));
}

class datagrams final : public detail::serving {
public:
    using handler_type = std::function<void(std::span<std::byte const>, address const&)>;

    datagrams(datagram_socket from, bool adopted, handler_type handler, server_options options)
        : serving(std::move(options), from.local_address()), sending_(another_descriptor_of(from)),
          receiving_(std::move(from)), adopted_(adopted), handler_(std::move(handler)),
          room_(datagram_server::largest) {}

    void send_to(address const& to, std::span<std::byte const> what, deadline until) {
        if (!one_sends_.lock(until))
            throw std::system_error(ETIMEDOUT, std::generic_category(), "send to " + to.to_string());
        std::lock_guard const held(one_sends_, std::adopt_lock);
        sending_.send_to(to, what, until);
    }

private:
    void take_one() override {
        datagram const got = insist([this] { return receiving_.receive(room_); });
        if (got.truncated) return say_dropped(got);
        std::vector<std::byte> bytes;
        insist([&] { bytes.assign(room_.begin(), room_.begin() + std::ptrdiff_t(got.size)); });
        spawn(got.from, [handler = handler_, bytes = std::move(bytes), from = got.from] { handler(bytes, from); });
    }
    void say_dropped(datagram const& one) {
        if (!std::exchange(said_dropped_, true))
            std::fprintf(stderr,
                         "coir: %s: a datagram of %s had more than %zu bytes and was dropped, as all such are\n",
                         options_.name.c_str(), one.from.to_string().c_str(), datagram_server::largest);
    }
    void open() override {
        if (adopted_)
            throw std::system_error(EBADF, std::generic_category(), "receive again at " + where().to_string());
        sending_.close();
        datagram_socket fresh(where(), options_.reuse_port);
        sending_ = another_descriptor_of(fresh);
        receiving_ = std::move(fresh);
    }
    void shut() noexcept override { receiving_.close(); }
    void all_have_ended() noexcept override { sending_.close(); }

    datagram_socket sending_, receiving_;
    bool const adopted_;
    handler_type const handler_;
    std::vector<std::byte> room_;
    mutex one_sends_;
    bool said_dropped_ = false;
};

} // namespace

datagram_server::datagram_server(net::address const& where, handler_type handler, server_options options, int)
    : server([&] {
          datagram_socket fresh(where, options.reuse_port);
          return std::make_shared<datagrams>(std::move(fresh), false, std::move(handler), std::move(options));
      }()) {}

datagram_server::datagram_server(datagram_socket from, handler_type handler, server_options options, int)
    : server(std::make_shared<datagrams>(std::move(from), true, std::move(handler), std::move(options))) {}

void datagram_server::send_to(net::address const& to, std::span<std::byte const> what, deadline until) {
    static_cast<datagrams&>(*serving_).send_to(to, what, until);
}

} // namespace coir::net
