// A TLS session as Asio and Beast see it.

#include "net/asio.h"
#include "tests/net/tls_world.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
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
using namespace tls_world;

static_assert(beast::is_sync_stream<tls_stream>::value);
static_assert(beast::has_get_executor<tls_stream>::value);

TEST(tls_asio, tells_the_end_and_errors_its_way) {
    auto [near, far] = secured();
    far.write_all("abc");
    far.shutdown_write();
    std::array<char, 8> bytes;
    boost::system::error_code error;
    EXPECT_EQ(asio::read(near, asio::buffer(bytes), error), 3u);
    EXPECT_EQ(error, asio::error::eof);
    near.close();
    EXPECT_EQ(far.read_some(asio::buffer(bytes), error), 0u);
    EXPECT_NE(error, asio::error::eof) << "it was cut off";
    EXPECT_EQ(std::string(error.category().name()), "tls");
    EXPECT_EQ(error.value(), int(tls_error::truncated));
    EXPECT_EQ(error.message(), std::error_code(tls_error::truncated).message());
    EXPECT_EQ(near.read_some(asio::buffer(bytes), error), 0u);
    EXPECT_EQ(error, asio::error::bad_descriptor);
}

TEST(tls_beast, speaks_https) {
    auto [near, far] = secured();
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
    request.body() = std::string(100'000, 'x');
    request.prepare_payload();
    http::write(near, request);
    beast::flat_buffer buffer;
    http::response<http::string_body> answer;
    http::read(near, buffer, answer);
    EXPECT_EQ(answer.body(), "/path " + request.body());
    near.shutdown_write();
    server.get();
}

TEST(tls_beast, speaks_web_socket) {
    auto [near, far] = secured();
    auto server = coir::spawn([&far = far] {
        beast::websocket::stream<tls_stream> session(std::move(far));
        session.accept();
        beast::flat_buffer message;
        session.read(message);
        session.write(message.data());
        boost::system::error_code error;
        session.read(message, error);
        EXPECT_EQ(error, beast::websocket::error::closed);
    });
    beast::websocket::stream<tls_stream> session(std::move(near));
    session.handshake("localhost", "/");
    session.write(asio::buffer(std::string("hello")));
    beast::flat_buffer message;
    session.read(message);
    EXPECT_EQ(beast::buffers_to_string(message.data()), "hello");
    session.close(beast::websocket::close_code::normal);
    server.get();
}
