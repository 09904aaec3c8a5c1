// Streams as Asio and Beast see them. What they say of their requirements is checked by the compiler.

#include "net/asio.h"
#include "tests/net/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <gtest/gtest.h>
#include <string>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using coir::net::tcp_stream;
using coir::net::unix_stream;

static_assert(beast::is_sync_stream<tcp_stream>::value);
static_assert(beast::is_sync_stream<unix_stream>::value);
static_assert(beast::has_get_executor<tcp_stream>::value);

TEST(asio, reads_and_writes) {
    auto [near, far] = connected();
    std::string const first = "first ", nothing, second = "second\n";
    EXPECT_EQ(asio::write(near, std::array{asio::buffer(first), asio::buffer(nothing), asio::buffer(second)}), 13u);
    std::array<char, 3> three;
    EXPECT_EQ(asio::read(far, asio::buffer(three)), 3u);
    EXPECT_EQ(std::string(three.data(), 3), "fir");
    std::string rest;
    EXPECT_EQ(asio::read_until(far, asio::dynamic_buffer(rest), '\n'), 10u);
    EXPECT_EQ(rest, "st second\n");
}

TEST(asio, tells_the_end_and_errors_its_way) {
    auto [near, far] = connected();
    char byte;
    boost::system::error_code error;
    EXPECT_EQ(near.read_some(asio::buffer(&byte, 0), error), 0u);
    EXPECT_FALSE(error) << "of no bytes nothing is read";
    far.close();
    EXPECT_EQ(near.read_some(asio::buffer(&byte, 1), error), 0u);
    EXPECT_EQ(error, asio::error::eof);
    EXPECT_THROW(asio::read(near, asio::buffer(&byte, 1)), boost::system::system_error);
    near.close();
    EXPECT_EQ(near.write_some(asio::buffer(&byte, 1), error), 0u);
    EXPECT_EQ(error, asio::error::bad_descriptor);
    EXPECT_THROW(near.write_some(asio::buffer(&byte, 1)), std::system_error);
}

TEST(asio, what_interrupts_the_fiber_is_thrown) {
    auto [near, far] = connected();
    auto reader = coir::spawn([&near = near] {
        char byte;
        boost::system::error_code error;
        near.read_some(asio::buffer(&byte, 1), error);
    });
    coir::yield();
    reader.kill();
    EXPECT_THROW(reader.get(), coir::fiber_exit);
}

TEST(beast, speaks_http) {
    auto [near, far] = connected();
    auto server = coir::spawn([&far = far] {
        beast::flat_buffer buffer;
        http::request<http::string_body> asked;
        http::read(far, buffer, asked);
        http::response<http::string_body> answer{http::status::ok, 11};
        answer.body() = std::string(asked.target()) + " " + asked.body();
        answer.prepare_payload();
        http::write(far, answer);
        boost::system::error_code error;
        http::read(far, buffer, asked, error);
        EXPECT_EQ(error, http::error::end_of_stream);
    });
    http::request<http::string_body> request{http::verb::post, "/path", 11};
    request.body() = "body";
    request.prepare_payload();
    http::write(near, request);
    beast::flat_buffer buffer;
    http::response<http::string_body> answer;
    http::read(near, buffer, answer);
    EXPECT_EQ(answer.body(), "/path body");
    near.close();
    server.get();
}

TEST(beast, speaks_web_socket) {
    auto [near, far] = connected();
    auto server = coir::spawn([&far = far] {
        beast::websocket::stream<tcp_stream> session(std::move(far));
        session.accept();
        beast::flat_buffer message;
        session.read(message);
        session.text(session.got_text());
        session.write(message.data());
        boost::system::error_code error;
        session.read(message, error);
        EXPECT_EQ(error, beast::websocket::error::closed);
    });
    beast::websocket::stream<tcp_stream> session(std::move(near));
    session.handshake("localhost", "/");
    session.write(asio::buffer(std::string("hello")));
    beast::flat_buffer message;
    session.read(message);
    EXPECT_EQ(beast::buffers_to_string(message.data()), "hello");
    session.close(beast::websocket::close_code::normal);
    server.get();
}
