#include "tests/net/connection.h"

#include <array>
#include <cerrno>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using coir::net::address;
using coir::net::datagram_server;
using coir::net::datagram_socket;

namespace {

using bytes = std::span<std::byte const>;

std::string text_of(bytes from) { return {reinterpret_cast<char const*>(from.data()), from.size()}; }

std::string received(datagram_socket& by) {
    std::string buffer(100, ' ');
    buffer.resize(by.receive(std::span<char>(buffer)).size);
    return buffer;
}

} // namespace

TEST(datagram_server, answers_each) {
    for (char const* where : {"127.0.0.1:0", "unix:"}) {
        datagram_server server{address(where), [&](bytes what, address const& from) { server.send_to(from, what); }};
        datagram_socket client{address(where)};
        auto asking = coir::spawn([&] {
            client.send_to(server.address(), "one");
            EXPECT_EQ(received(client), "one");
            client.send_to(server.address(), "");
            EXPECT_EQ(received(client), "");
            EXPECT_TRUE(server.accepting());
            server.stop();
        });
        server.serve_forever();
        asking.get();
        EXPECT_EQ(failure_of([&] { server.send_to(client.local_address(), "x"); }).code, EBADF);
    }
}

TEST(datagram_server, never_more_handlers_than_allowed) {
    std::size_t at_work = 0, most = 0;
    std::vector<std::string> begun;
    coir::semaphore go_on{0};
    auto const handler = [&, only_moved = std::make_unique<int>()](bytes what, address const&) {
        most = std::max(most, ++at_work);
        begun.push_back(text_of(what));
        go_on.acquire();
        EXPECT_EQ(text_of(what), std::to_string(what.size())); // what comes meanwhile is not written over it
        --at_work;
    };
    datagram_server server{
        "unix:", std::move(const_cast<std::remove_const_t<decltype(handler)>&>(handler)), {.max_handlers = 2}};
    server.start();
    datagram_socket client{"unix:"};
    for (int i = 0; i < 5; ++i) client.send_to(server.address(), "1");
    for (std::size_t wanted = 2; wanted <= 5; ++wanted) {
        while (begun.size() < wanted) coir::yield();
        coir::idle();
        EXPECT_EQ(begun.size(), wanted);
        go_on.release();
    }
    go_on.release();
    EXPECT_TRUE(server.stop(coir::deadline()));
    EXPECT_EQ(most, 2u);
}

TEST(datagram_server, handlers_answer_after_the_close) {
    coir::event begun, go_on;
    datagram_server server{"127.0.0.1:0", [&](bytes what, address const& from) {
                               begun.set();
                               go_on.wait();
                               server.send_to(from, what);
                           }};
    server.start();
    datagram_socket client{"127.0.0.1:0"};
    client.send_to(server.address(), "x");
    begun.wait();
    auto stopping = coir::spawn([&] { return server.stop(coir::deadline()); });
    coir::yield();
    EXPECT_FALSE(server.accepting());
    go_on.set();
    EXPECT_EQ(received(client), "x");
    EXPECT_TRUE(stopping.get());
    datagram_socket next{server.address()}; // the port is free
    next.close();
    server.start();
    client.send_to(server.address(), "again");
    EXPECT_EQ(received(client), "again");
}

TEST(datagram_server, stop_kills_those_that_are_late) {
    int begun = 0, ended = 0;
    datagram_server server{"127.0.0.1:0", [&](bytes, address const&) {
                               struct note {
                                   int& of;
                                   ~note() { ++of; }
                               } const at_end{ended};
                               ++begun;
                               coir::event().wait(1h);
                           }};
    server.start();
    datagram_socket client{"127.0.0.1:0"};
    client.send_to(server.address(), "x");
    client.send_to(server.address(), "y");
    while (begun < 2) coir::yield();
    EXPECT_TRUE(server.stop(0s));
    EXPECT_EQ(ended, 2);
}

TEST(datagram_server, handlers_that_send_at_once_take_turns) {
    datagram_server server{"unix:", [&](bytes what, address const& from) { server.send_to(from, what); }};
    server.start();
    datagram_socket client{"unix:"};
    std::multiset<std::string> sent, back;
    for (int i = 0; i < 300; ++i) { // more than fit the client's queue: some handlers wait for room
        sent.insert(std::to_string(i));
        client.send_to(server.address(), std::to_string(i));
    }
    while (back.size() < sent.size()) back.insert(received(client));
    EXPECT_EQ(back, sent);
}

TEST(datagram_server, exceptions_of_a_handler_disturb_nobody) {
    std::vector<std::string> names;
    auto const before = coir::on_unhandled_exception([&](auto const& what) { names.push_back(what.name); });
    datagram_server server{"127.0.0.1:0",
                           [&](bytes what, address const& from) {
                               if (text_of(what) == "!") throw std::runtime_error("handler");
                               server.send_to(from, what);
                           },
                           {.name = "echo"}};
    server.start();
    datagram_socket client{"127.0.0.1:0"};
    client.send_to(server.address(), "!");
    client.send_to(server.address(), "x");
    EXPECT_EQ(received(client), "x");
    while (names.empty()) coir::yield();
    coir::on_unhandled_exception(before);
    EXPECT_EQ(names, std::vector<std::string>{"echo, peer " + client.local_address().to_string()});
}

TEST(datagram_server, takes_over_a_socket) {
    datagram_socket own{"127.0.0.1:0"}, client{"127.0.0.1:0"};
    address const where = own.local_address();
    datagram_server server{std::move(own), [&](bytes what, address const& from) { server.send_to(from, what); }};
    EXPECT_EQ(server.address(), where);
    server.start();
    client.send_to(where, "x");
    EXPECT_EQ(received(client), "x");
    server.close();
    EXPECT_EQ(failure_of([&] { server.start(); }).code, EBADF);
}

TEST(datagram_server, drops_what_is_too_large) {
    testing::internal::CaptureStderr();
    int handled = 0;
    datagram_server server{"unix:", [&](bytes what, address const& from) {
                               ++handled;
                               server.send_to(from, what);
                           }};
    server.start();
    datagram_socket client{"unix:"};
    for (int i = 0; i < 2; ++i) client.send_to(server.address(), std::string(datagram_server::largest + 1, 'x'));
    client.send_to(server.address(), "y");
    EXPECT_EQ(received(client), "y");
    EXPECT_EQ(handled, 1);
    std::string const said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(said, "coir: server " + server.address().to_string() + ": a datagram of " +
                        client.local_address().to_string() +
                        " had more than 65536 bytes and was dropped, as all such are\n");
}
