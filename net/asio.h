// Makes coir's streams Asio's: SyncReadStream and SyncWriteStream, with the executor that Beast's WebSocket wants to
// have. For programs that have Boost.Asio; <coir.h> does not include it.
//
//     #include <coir.h>
//     #include <net/asio.h>
//     …
//     boost::beast::http::read(peer, buffer, request); // `peer` is a coir::net::tcp_stream
//
// Calls of Asio and Beast that take no handler park the fiber where they wait. Nothing runs on the executor: what is
// asynchronous never happens. A limit for such a call is a coir::timeout around it.
#pragma once

#include "net/stream.h"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/system/system_error.hpp>
#include <concepts>
#include <map>
#include <mutex>
#include <string>
#include <system_error>

/// @cond internal
namespace coir::net::detail {

// A category of the standard library's as one of Boost's: TLS has one of its own. Any thread.
struct as_boost_category final : boost::system::error_category {
    explicit as_boost_category(std::error_category const& of) noexcept : of_(of) {}
    char const* name() const noexcept override { return of_.name(); }
    std::string message(int value) const override { return of_.message(value); }

    static as_boost_category const& made_of(std::error_category const& of) {
        static std::mutex lock;
        static std::map<std::error_category const*, as_boost_category> all;
        std::lock_guard const held(lock);
        return all.try_emplace(&of, of).first->second;
    }

private:
    std::error_category const& of_;
};

template <class>
struct asio {
    using executor_type = boost::asio::io_context::executor_type;

    static executor_type executor() {
        static boost::asio::io_context never_run;
        return never_run.get_executor();
    }
    static void tell(boost::system::error_code& error, std::error_code const& what) {
        if (what.category() == std::generic_category() || what.category() == std::system_category())
            return error.assign(what.value(), boost::system::system_category());
        error.assign(what.value(), as_boost_category::made_of(what.category()));
    }
    static void end_in(boost::system::error_code& error) { error = boost::asio::error::eof; }
    [[noreturn]] static void throw_end() {
        throw boost::system::system_error(boost::system::error_code(boost::asio::error::eof));
    }
};

} // namespace coir::net::detail
/// @endcond

namespace coir::net {

/// **Parks.** How Beast ends the connection of a WebSocket: what is sent last arrives, and the peer's last is read. On
/// the thread of `of`.
template <std::derived_from<stream> Stream>
void teardown(boost::beast::role_type, Stream& of, boost::system::error_code& error) {
    error.clear();
    try {
        of.shutdown_write();
        std::array<std::byte, 1024> rest;
        while (of.read_some(std::span<std::byte>(rest))) {}
    } catch (std::system_error const& failed) {
        detail::asio<Stream>::tell(error, failed.code());
    }
    of.close();
}

} // namespace coir::net
