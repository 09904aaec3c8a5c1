// Boost.Beast, as it is, over coir's streams.
#include "http_conversation.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <fmt/format.h>
#include <net/asio.h>
#include <stdexcept>
#include <sys/uio.h>
#include <utility>

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using coir::net::stream;
using request = http::request<http::string_body>;
using seconds = std::chrono::duration<double>;

constexpr std::size_t most_header = 8 * 1024, most_body = 1024 * 1024; // bytes of a request
constexpr std::uint64_t small_file = 16 * 1024; // bytes: up to so many go out in one piece with the header

constexpr std::string_view welcome = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>coir</title>
<style>body{font:18px sans-serif;margin:4em auto;max-width:40em}#said{color:#060}</style></head>
<body><h1>It works</h1><p>There is no index.html here. A message over a WebSocket and back: <b id="said">…</b></p>
<script>const ws = new WebSocket(location.href.replace(/^http/, "ws") + "echo");
ws.onopen = () => ws.send("hello"); ws.onmessage = m => said.textContent = m.data;</script></body></html>
)";

// The first lines of an answer. Beast could write them, too; put together at once they cost a third.
std::string head_of(request const& asked, http::status status, std::string_view type, std::uint64_t size,
                    std::string_view more = {}) {
    static thread_local std::pair<std::time_t, std::string> now;
    if (std::time_t const second = std::time(nullptr); second != now.first) now = {second, http_date(second)};
    auto const reason = http::obsolete_reason(status);
    bool const old = asked.version() < 11;
    std::string_view const connection = asked.keep_alive() == !old ? ""
                                        : old                      ? "Connection: keep-alive\r\n"
                                                                   : "Connection: close\r\n";
    return fmt::format(
        "HTTP/1.{} {} {}\r\nServer: coir\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}{}\r\n",
        old ? 0 : 1, int(status), std::string_view(reason.data(), reason.size()), now.second, type, size, connection,
        more);
}

void send_text(stream& to, request const& asked, http::status status, std::string_view text, std::string_view type) {
    std::string_view const more = status == http::status::method_not_allowed ? "Allow: GET, HEAD\r\n" : "";
    std::string const head = head_of(asked, status, type, text.size(), more);
    std::string_view const all[] = {head, asked.method() == http::verb::head ? std::string_view() : text};
    to.write_all(all);
}

void send_error(stream& to, request const& asked, http::status status) {
    auto const reason = http::obsolete_reason(status);
    send_text(to, asked, status, fmt::format("{} {}\n", int(status), std::string_view(reason.data(), reason.size())),
              "text/plain");
}

// What is in the page cache costs no more than a read; a thread waits for the rest.
std::string content_of(web_file const& file) {
    std::string all(file.size, '\0');
    iovec const whole{all.data(), all.size()};
    ssize_t got = ::preadv2(file.content.native(), &whole, 1, 0, RWF_NOWAIT);
    if (got < ssize_t(all.size()))
        got = coir::offload([&] { return ::pread(file.content.native(), all.data(), all.size(), 0); });
    if (got < ssize_t(all.size())) throw std::runtime_error("a file became shorter while it was read");
    return all;
}

bool has_it(request const& asked, std::time_t modified) {
    auto const since = asked[http::field::if_modified_since];
    auto const date = since.empty() ? std::nullopt : read_http_date({since.data(), since.size()});
    return date && modified <= *date;
}

void send_file(stream& to, request const& asked, web_file const& file, seconds patience) {
    bool const unchanged = has_it(asked, file.modified);
    std::string const head = head_of(asked, unchanged ? http::status::not_modified : http::status::ok, file.type,
                                     file.size, fmt::format("Last-Modified: {}\r\n", http_date(file.modified)));
    if (unchanged || asked.method() == http::verb::head) return to.write_all(head);
    if (file.size <= small_file) {
        std::string const content = content_of(file);
        std::string_view const all[] = {head, content};
        return to.write_all(all);
    }
    to.write_all(head);
    std::chrono::nanoseconds const idle = std::chrono::round<std::chrono::nanoseconds>(patience);
    if (coir::net::send_file(to, file.content.native(), 0, {.most = file.size, .idle = idle}) < file.size)
        throw std::runtime_error("a file became shorter while it was sent");
}

void answer(stream& to, request const& asked, web_root const& files, seconds patience) {
    if (asked.method() != http::verb::get && asked.method() != http::verb::head)
        return send_error(to, asked, http::status::method_not_allowed);
    auto const path = decoded_path({asked.target().data(), asked.target().size()});
    if (!path) return send_error(to, asked, http::status::bad_request);
    if (auto const file = files.open(*path)) return send_file(to, asked, *file, patience);
    if (*path == "/") return send_text(to, asked, http::status::ok, welcome, "text/html; charset=utf-8");
    send_error(to, asked, http::status::not_found);
}

void echo_messages(stream& with, request const& asked) {
    beast::websocket::stream<stream&> session(with);
    session.read_message_max(most_body);
    beast::flat_buffer message;
    error_code error; // closed, cut off, or no WebSocket's: Beast has told the peer what there is to tell
    for (session.accept(asked, error); !error; message.clear()) {
        {
            coir::net::between_requests const idle;
            session.read(message, error);
        }
        if (error) return;
        session.text(session.got_text());
        session.write(message.data(), error);
    }
}

// A server that stops does not wait for who has not begun to ask.
void await_request(stream& from, beast::flat_buffer& into, error_code& error) {
    coir::net::between_requests const idle;
    into.commit(from.read_some(into.prepare(most_header), error));
}

http::status status_of(error_code const& error) {
    if (error == http::error::header_limit) return http::status::request_header_fields_too_large;
    if (error == http::error::body_limit) return http::status::payload_too_large;
    return http::status::bad_request;
}

} // namespace

// A request's body is read to be dropped. One in chunks is refused: before Boost 1.86 some end the program (an assertion
// of Beast's parser, github.com/boostorg/beast/pull/2861).
void converse(stream& with, web_root const& files, seconds patience) {
    beast::flat_buffer buffer(most_header + most_body);
    for (bool goes_on = true; goes_on;) {
        http::request_parser<http::string_body> parser;
        parser.header_limit(most_header);
        parser.body_limit(most_body);
        error_code error;
        bool const came = coir::with_timeout(patience, [&] {
            if (buffer.size() == 0) await_request(with, buffer, error);
            if (!error) http::read_header(with, buffer, parser, error);
            if (!error && !parser.chunked()) http::read(with, buffer, parser, error);
        });
        if (!came || error == boost::asio::error::eof || error == http::error::end_of_stream) break;
        if (error && error.category() == boost::system::system_category()) return; // the peer went away
        bool const chunked = parser.chunked();
        request asked = parser.release();
        if (error || chunked) {
            asked.keep_alive(false);
            send_error(with, asked, error ? status_of(error) : http::status::length_required);
            break;
        }
        if (beast::websocket::is_upgrade(asked) && asked.target() == "/echo") return echo_messages(with, asked);
        answer(with, asked, files, patience);
        goes_on = asked.keep_alive();
    }
    with.shutdown_write();
}
