// A server of connections: TCP's, or those over a Unix socket. Its handler is called with each, in a fiber of its own.
//
//     coir::net::stream_server echo{"127.0.0.1:8001", [](coir::net::tcp_stream peer) {
//         std::array<char, 1024> buffer;
//         while (auto n = peer.read_some(buffer)) peer.write_all({buffer.data(), n});
//     }};
//     echo.serve_forever();
//
// What the handler takes says what it serves: a tcp_stream, a unix_stream, or either, as `auto` or `stream&&`; or the
// bare socket. What is between the connection and the handler, TLS say, is a handler that takes the connection, makes
// of it what the inner one takes, and calls that. The connection is closed when the handler has returned.
#pragma once

#include "fiber/export.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/server.h"
#include "net/socket.h"
#include "net/tcp.h"
#include "net/unix.h"

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace coir::net {

/// @cond internal
namespace detail {

// What a handler of connections takes, in the order in which it is asked: the body of a generic one need not compile
// with all of them.
template <class F>
concept takes_tcp = std::invocable<F&, tcp_stream>;
template <class F>
concept takes_unix = std::invocable<F&, unix_stream>;
template <class F>
concept takes_connections = takes_tcp<F> || takes_unix<F> || std::invocable<F&, socket>;

struct stream_handler {
    virtual ~stream_handler() = default;
    virtual void operator()(socket peer) = 0;
};

template <class F>
struct stream_handler_of final : stream_handler {
    F function;
    explicit stream_handler_of(F from) : function(std::move(from)) {}

    static constexpr bool serves(int family) noexcept {
        if constexpr (!takes_tcp<F> && !takes_unix<F>) return true;
        return family == AF_UNIX ? takes_unix<F> : takes_tcp<F>;
    }
    void operator()(socket peer) override {
        if constexpr (takes_tcp<F> && takes_unix<F>) {
            if (peer.with().family() == AF_UNIX)
                std::invoke(function, unix_stream(std::move(peer)));
            else
                std::invoke(function, tcp_stream(std::move(peer)));
        } else if constexpr (takes_tcp<F>) {
            std::invoke(function, tcp_stream(std::move(peer)));
        } else if constexpr (takes_unix<F>) {
            std::invoke(function, unix_stream(std::move(peer)));
        } else {
            std::invoke(function, std::move(peer));
        }
    }
};

} // namespace detail
/// @endcond

/// A server of connections. For one thread, the one that starts it. gevent: StreamServer.
class COIR_API stream_server final : public server {
public:
    /// Listens at `where`, "127.0.0.1:8001" or "unix:/run/x.socket"; start() or serve_forever() accepts. The handler is
    /// called by several fibers, and kept until the last of them has ended. Throws as listener's constructor, and
    /// std::invalid_argument if the handler does not take what comes in there.
    template <class Handler>
    requires detail::takes_connections<std::decay_t<Handler>>
    stream_server(net::address const& where, Handler&& handler, server_options options = {})
        : stream_server(where, &detail::stream_handler_of<std::decay_t<Handler>>::serves, make<Handler>(handler),
                        std::move(options)) {}

    /// Takes over one that listens: from a parent process, another thread, or a tcp_listener. Once closed it cannot be
    /// started again. Throws std::invalid_argument likewise, and what listener::local_address throws.
    template <class Handler>
    requires detail::takes_connections<std::decay_t<Handler>> stream_server(listener from, Handler&& handler,
                                                                            server_options options = {})
        : stream_server(std::move(from), &detail::stream_handler_of<std::decay_t<Handler>>::serves,
                        make<Handler>(handler), std::move(options)) {}

private:
    using handler = std::shared_ptr<detail::stream_handler>;
    using serves_family = bool (*)(int) noexcept;

    template <class Handler>
    static handler make(Handler& from) {
        return std::make_shared<detail::stream_handler_of<std::decay_t<Handler>>>(std::forward<Handler>(from));
    }
    stream_server(net::address const& where, serves_family serves, handler with, server_options options);
    stream_server(listener from, serves_family serves, handler with, server_options options);
};

} // namespace coir::net
