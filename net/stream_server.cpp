#include "net/stream_server.h"

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace coir::net {
namespace {

class connections final : public detail::serving {
public:
    connections(listener from, bool adopted, std::shared_ptr<detail::stream_handler> handler, server_options options)
        : serving(std::move(options), from.local_address()), listener_(std::move(from)), adopted_(adopted),
          handler_(std::move(handler)) {}

private:
    void take_one() override {
        socket peer = insist([this] { return listener_.accept_socket(); });
        address const whom = peer.with();
        spawn(whom, [handler = handler_, peer = std::move(peer)]() mutable { (*handler)(std::move(peer)); });
    }
    void open() override {
        if (adopted_) throw std::system_error(EBADF, std::generic_category(), "listen again on " + where().to_string());
        listener_ = listener(where(), listening(options_));
    }
    void shut() noexcept override { listener_.close(); }

public:
    static listen_options listening(server_options const& from) { return {from.backlog, from.reuse_port}; }

private:
    listener listener_;
    bool const adopted_;
    std::shared_ptr<detail::stream_handler> const handler_;
};

void check(bool (*serves)(int) noexcept, address const& where) {
    if (!serves(where.family()))
        throw std::invalid_argument("stream_server at " + where.to_string() + ": its handler takes connections of " +
                                    (where.is_ip() ? "Unix sockets" : "TCP") + " only");
}

} // namespace

stream_server::stream_server(net::address const& where, serves_family serves, handler with, server_options options)
    : server([&] {
          check(serves, where);
          listener fresh(where, connections::listening(options));
          return std::make_shared<connections>(std::move(fresh), false, std::move(with), std::move(options));
      }()) {}

stream_server::stream_server(listener from, serves_family serves, handler with, server_options options)
    : server([&] {
          check(serves, from.local_address());
          return std::make_shared<connections>(std::move(from), true, std::move(with), std::move(options));
      }()) {}

} // namespace coir::net
