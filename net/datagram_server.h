// A server of datagrams: UDP's, or those of a Unix socket. Its handler is called with each, in a fiber of its own, and
// answers by send_to().
//
//     coir::net::datagram_server echo{"127.0.0.1:8001", [&](auto bytes, auto const& from) { echo.send_to(from, bytes);
//     }}; echo.serve_forever();
//
// After a close nothing more is received, but send_to() works until the last handler has ended; then the port is free.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/datagram.h"
#include "net/server.h"

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coir::net {

/// What a handler of datagrams is called with: the bytes, which last until it has returned, and who sent them.
template <class F>
concept datagram_handler = std::invocable < std::decay_t<F>
&, std::span<std::byte const>, address const& > ;

/// A server of datagrams. For one thread, the one that starts it. gevent: DatagramServer.
class COIR_API datagram_server final : public server {
public:
    /// The most bytes that a datagram can have here. UDP's are smaller; a larger one of a Unix socket is dropped, which
    /// is said on stderr the first time.
    static constexpr std::size_t largest = 65'536;

    /// Receives at `where`; start() or serve_forever() handles what comes. The handler is called by several fibers, and
    /// kept until the last of them has ended; `backlog` means nothing. Throws as datagram_socket's constructor.
    template <datagram_handler Handler>
    datagram_server(net::address const& where, Handler&& handler, server_options options = {})
        : datagram_server(where, shared(std::forward<Handler>(handler)), std::move(options), 0) {}
    /// Takes over one that receives. Once closed it cannot be started again. Throws what
    /// datagram_socket::local_address throws.
    template <datagram_handler Handler>
    datagram_server(datagram_socket from, Handler&& handler, server_options options = {})
        : datagram_server(std::move(from), shared(std::forward<Handler>(handler)), std::move(options), 0) {}

    /// **Parks** while others send, or there is no room. Sends `what` to `to` from the server's address. Throws as
    /// datagram_socket::send_to does; EBADF when the server is closed and no handler is left.
    void send_to(net::address const& to, std::span<std::byte const> what, deadline until = {});
    /// The same.
    void send_to(net::address const& to, std::string_view what, deadline until = {}) {
        send_to(to, std::as_bytes(std::span(what.data(), what.size())), until);
    }

private:
    using handler_type = std::function<void(std::span<std::byte const>, net::address const&)>;

    // That can be copied, whatever it is made of.
    template <class Handler>
    static handler_type shared(Handler&& from) {
        return [of = std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(from))](
                   std::span<std::byte const> bytes, net::address const& whom) { std::invoke(*of, bytes, whom); };
    }
    datagram_server(net::address const& where, handler_type handler, server_options options, int);
    datagram_server(datagram_socket from, handler_type handler, server_options options, int);
};

} // namespace coir::net
