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

namespace coir::net::detail {

template <class>
struct asio {
    using executor_type = boost::asio::io_context::executor_type;

    static executor_type executor() {
        static boost::asio::io_context never_run;
        return never_run.get_executor();
    }
    static void end_in(boost::system::error_code& error) { error = boost::asio::error::eof; }
    [[noreturn]] static void throw_end() {
        throw boost::system::system_error(boost::system::error_code(boost::asio::error::eof));
    }
};

} // namespace coir::net::detail

namespace coir::net {

/// **Parks.** How Beast ends the connection of a WebSocket: what is sent last arrives, and the peer's last is read.
template <std::derived_from<stream> Stream>
void teardown(boost::beast::role_type, Stream& of, boost::system::error_code& error) {
    error.clear();
    try {
        of.shutdown_write();
        std::array<std::byte, 1024> rest;
        while (of.read_some(std::span<std::byte>(rest))) {}
    } catch (std::system_error const& failed) {
        error.assign(failed.code().value(), boost::system::system_category());
    }
    of.close();
}

} // namespace coir::net
