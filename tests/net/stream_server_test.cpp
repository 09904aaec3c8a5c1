#include "fiber/sanitizer.h"
#include "tests/net/connection.h"
#include "tests/rerun.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;
using coir::net::address;
using coir::net::server_options;
using coir::net::stream_server;
using coir::net::tcp_stream;
using coir::net::unix_stream;

namespace {

std::deque<int> accept_errors; // what the next calls of accept4 fail with

} // namespace

// libcoir's calls come here: errors that loopback does not produce.
extern "C" int accept4(int fd, sockaddr* peer, socklen_t* size, int flags) {
    if (accept_errors.empty()) return int(syscall(SYS_accept4, fd, peer, size, flags));
    errno = accept_errors.front();
    accept_errors.pop_front();
    return -1;
}

namespace {

void echo(tcp_stream peer) {
    std::array<char, 100> buffer;
    while (auto const n = peer.read_some(buffer)) peer.write_all({buffer.data(), n});
}

template <class Stream>
std::string text_of(Stream& from, std::size_t size) {
    std::string text(size, ' ');
    from.read_exactly(std::span<char>(text));
    return text;
}

template <class Stream>
std::string to_the_end(Stream& from) {
    std::string text;
    std::array<char, 100> buffer;
    while (auto const n = from.read_some(buffer)) text.append(buffer.data(), n);
    return text;
}

tcp_stream connect_to(stream_server const& server) { return tcp_stream::connect(server.address()); }

// A handler that has begun, and ends when it is told to.
struct gate {
    coir::event open;
    int begun = 0, ended = 0, killed = 0;

    void wait() {
        ++begun;
        struct counted {
            int& of;
            ~counted() { ++of; }
        } const at_end{ended};
        try {
            open.wait();
        } catch (coir::fiber_exit const&) {
            ++killed;
            throw;
        }
    }
    // Connects, and returns when that many handlers have begun.
    tcp_stream connect(stream_server const& to, int count) {
        auto made = connect_to(to);
        while (begun < count) coir::yield();
        return made;
    }
};

// What fibers ended with that nobody fetched, while one of these exists.
struct unhandled {
    std::vector<std::string> names, where;
    std::function<void(coir::unhandled_exception const&)> before;
    unhandled()
        : before(coir::on_unhandled_exception([this](auto const& what) {
              names.push_back(what.name);
              where.push_back(what.where);
          })) {}
    ~unhandled() { coir::on_unhandled_exception(before); }
};

void reset(tcp_stream& one) {
    linger const at_once{1, 0};
    ASSERT_EQ(setsockopt(one.native(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    one.close();
}

} // namespace

TEST(stream_server, serves_until_it_is_stopped) {
    stream_server server{"127.0.0.1:0", echo};
    EXPECT_NE(server.address().port(), 0);
    auto client = coir::spawn([&] {
        auto one = connect_to(server), other = connect_to(server);
        one.write_all("one");
        other.write_all("other");
        EXPECT_EQ(text_of(other, 5) + text_of(one, 3), "otherone");
        EXPECT_TRUE(server.accepting());
        EXPECT_EQ(server.handlers(), 2u);
        one.close();
        other.close();
        EXPECT_TRUE(server.stop(coir::deadline()));
        EXPECT_FALSE(server.accepting());
    });
    server.serve_forever();
    EXPECT_EQ(server.handlers(), 0u);
    EXPECT_EQ(failure_of([&] { connect_to(server); }).code, ECONNREFUSED);
    client.get();
}

TEST(stream_server, handlers_begin_in_the_order_of_connecting) {
    std::vector<address> begun;
    stream_server server{"127.0.0.1:0", [&](tcp_stream peer) { begun.push_back(peer.peer_address()); }};
    std::vector<tcp_stream> clients;
    std::vector<address> wanted;
    for (int i = 0; i < 100; ++i) {
        clients.push_back(connect_to(server));
        wanted.push_back(clients.back().local_address());
    }
    EXPECT_TRUE(begun.empty());
    server.start();
    while (begun.size() < wanted.size()) coir::yield();
    EXPECT_EQ(begun, wanted);
}

TEST(stream_server, never_more_handlers_than_allowed) {
    std::size_t at_work = 0, most = 0, all = 0;
    stream_server server{"127.0.0.1:0",
                         [&](tcp_stream peer) {
                             most = std::max(most, ++at_work);
                             ++all;
                             to_the_end(peer);
                             --at_work;
                         },
                         {.max_handlers = 3}};
    server.start();
    std::deque<tcp_stream> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(connect_to(server));
    while (all < 3) coir::yield();
    for (std::size_t next = 4; !clients.empty(); ++next) {
        coir::idle(); // if another one could begin, it has
        EXPECT_EQ(all, std::min<std::size_t>(next - 1, 10));
        clients.pop_front(); // the first that was accepted ends, and the next begins
        while (all < std::min<std::size_t>(next, 10)) coir::yield();
    }
    EXPECT_TRUE(server.stop(coir::deadline()));
    EXPECT_EQ(most, 3u);
    EXPECT_EQ(all, 10u);
}

TEST(stream_server, out_of_descriptors_it_waits_for_a_handler_to_end) {
    gate first;
    int begun = 0;
    std::vector<std::string> said;
    stream_server server{"127.0.0.1:0",
                         [&](tcp_stream) {
                             if (++begun == 1) first.wait();
                         },
                         {.on_shortage = [&](std::system_error const& what) {
                             said.push_back(what.what());
                             first.open.set();
                         }}};
    server.start();
    auto one = first.connect(server, 1);
    auto other = connect_to(server);
    rlimit original{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &original), 0);
    int const next = dup(0);
    close(next);
    rlimit lowered = original;
    lowered.rlim_cur = rlim_t(next);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
    while (begun < 2) coir::sleep(1ms); // the first one's descriptor is free then
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &original), 0);
    ASSERT_GE(said.size(), 1u);
    EXPECT_NE(said[0].find("may have " + std::to_string(next) + " descriptors (ulimit -n)"), std::string::npos)
        << said[0];
    EXPECT_EQ(to_the_end(other), "");
}

TEST(stream_server, shortages_are_waited_out) {
    int begun = 0, said = 0;
    stream_server server{"127.0.0.1:0", [&](tcp_stream) { ++begun; }, {.on_shortage = [&](auto&) { ++said; }}};
    server.start();
    accept_errors = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    auto one = connect_to(server);
    EXPECT_EQ(to_the_end(one), "");
    accept_errors = {ENOMEM};
    auto other = connect_to(server);
    EXPECT_EQ(to_the_end(other), "");
    EXPECT_EQ(said, 2);
    EXPECT_EQ(begun, 2);
}

TEST(stream_server, shortage_is_said_once) {
    auto const child = rerun("stream_server.DISABLED_shortage");
    ASSERT_TRUE(child.passed()) << child.output << child.error;
    EXPECT_EQ(child.error, "coir: echo: accept on unix:@coir-shortage, the system is out of open files (sysctl "
                           "fs.file-max): Too many open files in system; it serves on, new connections wait\n");
}
TEST(stream_server, DISABLED_shortage) {
    stream_server server{"unix:@coir-shortage", [](unix_stream) {}, {.name = "echo"}};
    server.start();
    for (int i = 0; i < 2; ++i) {
        accept_errors = {ENFILE};
        auto one = unix_stream::connect(server.address());
        EXPECT_EQ(to_the_end(one), "");
    }
}

#if !defined(COIR_ASAN) && !defined(COIR_TSAN)
TEST_ALONE(stream_server, without_a_stack_the_connection_is_kept) {
    rlimit before{};
    getrlimit(RLIMIT_AS, &before);
    int served = 0, said = 0;
    auto const end_shortage = [&](std::system_error const& what) {
        ++said;
        EXPECT_EQ(what.code().value(), ENOMEM);
        setrlimit(RLIMIT_AS, &before);
    };
    stream_server server{"127.0.0.1:0",
                         [&](tcp_stream peer) {
                             ++served;
                             peer.write_all("x");
                         },
                         {.stack_size = 64 << 20, .on_shortage = end_shortage}};
    server.start();
    std::size_t pages = 0; // that this process has
    std::ifstream("/proc/self/statm") >> pages;
    rlimit const none{pages * std::size_t(getpagesize()) + (16 << 20), before.rlim_max};
    setrlimit(RLIMIT_AS, &none);
    auto client = connect_to(server);
    while (said == 0) coir::yield();
    EXPECT_EQ(text_of(client, 1), "x");
    EXPECT_EQ(served, 1);
}
#endif

TEST(stream_server, what_ends_accepting_is_thrown_by_serve_forever) {
    stream_server server{"127.0.0.1:0", echo};
    auto client = coir::spawn([&] {
        accept_errors = {EINVAL};
        failure_of([&] { connect_to(server); }); // which may be reset before it is told that it is connected
    });
    EXPECT_EQ(failure_of([&] { server.serve_forever(); }).text,
              "accept on " + server.address().to_string() + ": Invalid argument");
    EXPECT_FALSE(server.accepting());
    client.join();
}

TEST(stream_server, what_ends_accepting_is_reported_where_nobody_serves_forever) {
    unhandled reports;
    stream_server server{"127.0.0.1:0", echo, {.name = "echo"}};
    server.start();
    accept_errors = {EINVAL};
    failure_of([&] { connect_to(server); }); // which may be reset before it is told that it is connected
    while (reports.names.empty()) coir::yield();
    EXPECT_EQ(reports.names, std::vector<std::string>{"echo"});
    EXPECT_FALSE(server.accepting());
    EXPECT_TRUE(server.stop());
}

TEST(stream_server, stop_waits_for_handlers_until_its_deadline) {
    gate held;
    stream_server server{"127.0.0.1:0", [&](tcp_stream) { held.wait(); }};
    server.start();
    auto one = held.connect(server, 1);
    auto stopping = coir::spawn([&] { return server.stop(coir::deadline()); });
    coir::yield();
    EXPECT_FALSE(server.accepting());
    EXPECT_EQ(failure_of([&] { connect_to(server); }).code, ECONNREFUSED);
    EXPECT_FALSE(stopping.ready());
    held.open.set();
    EXPECT_TRUE(stopping.get());
    EXPECT_EQ(held.ended, 1);
    EXPECT_EQ(held.killed, 0);
}

TEST(stream_server, stop_kills_those_that_are_late) {
    gate held;
    stream_server server{"127.0.0.1:0", [&](tcp_stream) { held.wait(); }};
    server.start();
    auto one = held.connect(server, 1), other = held.connect(server, 2);
    EXPECT_TRUE(server.stop(1ms));
    EXPECT_EQ(held.killed, 2);
    EXPECT_EQ(to_the_end(one) + to_the_end(other), "");
    EXPECT_TRUE(server.stop(0s)); // again
}

TEST(stream_server, the_earliest_of_several_stops_counts) {
    gate held;
    stream_server server{"127.0.0.1:0", [&](tcp_stream) { held.wait(); }};
    auto stopping = coir::spawn([&] {
        auto one = held.connect(server, 1);
        auto patient = coir::spawn([&] { return server.stop(coir::deadline()); });
        coir::yield();
        EXPECT_TRUE(server.stop(0s));
        EXPECT_TRUE(patient.get());
    });
    server.serve_forever();
    stopping.get();
    EXPECT_EQ(held.killed, 1);
}

TEST(stream_server, handlers_that_ignore_their_kill_are_given_up) {
    coir::event open;
    bool begun = false, ended = false;
    std::optional<stream_server> server(std::in_place, "127.0.0.1:0", [&](tcp_stream) {
        begun = true;
        for (;;) try {
                open.wait();
                break;
            } catch (coir::fiber_exit const&) {}
        ended = true;
    });
    auto ending = coir::spawn([&] {
        auto one = connect_to(*server);
        while (!begun) coir::yield();
        EXPECT_FALSE(server->stop(0s));
        return one;
    });
    server->serve_forever(); // returns all the same
    EXPECT_EQ(server->handlers(), 1u);
    EXPECT_FALSE(ended);
    auto opening = coir::spawn([&] { open.set(); });
    server.reset(); // waits: what the handler refers to is about to go
    EXPECT_TRUE(ended);
}

TEST(stream_server, a_handler_stops_its_server) {
    stream_server* all = nullptr;
    stream_server server{"127.0.0.1:0", [&](tcp_stream peer) {
                             bool const quits = text_of(peer, 1) == "q";
                             EXPECT_TRUE(!quits || all->stop(0s));
                             peer.write_all("bye");
                         }};
    all = &server;
    server.start();
    auto idle = connect_to(server), quits = connect_to(server), quits_too = connect_to(server);
    quits.write_all("q");
    quits_too.write_all("q");
    server.serve_forever();
    EXPECT_EQ(to_the_end(quits), "bye");
    EXPECT_EQ(to_the_end(quits_too), "bye");
    EXPECT_EQ(to_the_end(idle), "");
}

TEST(stream_server, a_handler_destroys_its_server) {
    std::unique_ptr<stream_server> server;
    bool unwound = false;
    auto const handler = [&](tcp_stream peer) {
        struct note {
            bool& of;
            ~note() { of = true; }
        };
        note const at_end{unwound};
        while (text_of(peer, 1) != "q") {}
        server.reset();
        peer.write_all(unwound ? "bye" : "?");
    };
    server = std::make_unique<stream_server>("127.0.0.1:0", handler);
    server->start();
    auto other = connect_to(*server), quits = connect_to(*server);
    other.write_all("o");
    quits.write_all("q");
    EXPECT_EQ(to_the_end(quits), "bye");
}

TEST(stream_server, the_destructor_ends_all) {
    gate held;
    tcp_stream one;
    {
        stream_server server{"127.0.0.1:0", [&](tcp_stream) { held.wait(); }};
        server.start();
        one = held.connect(server, 1);
    }
    EXPECT_EQ(held.ended, 1);
    EXPECT_EQ(to_the_end(one), "");
    stream_server never_started{"127.0.0.1:0", echo};
}

TEST(stream_server, the_destructor_waits_whatever_interrupts) {
    coir::event begun;
    bool ended = false;
    coir::any_fiber owner;
    owner = coir::spawn([&] {
        stream_server server{"127.0.0.1:0", [&](tcp_stream) {
                                 try {
                                     begun.set();
                                     coir::event().wait(1h);
                                 } catch (coir::fiber_exit const&) {
                                     for (int i = 0; i < 10; ++i) coir::yield();
                                     ended = true;
                                     throw;
                                 }
                             }};
        server.start();
        auto client = connect_to(server);
        begun.wait();
        coir::spawn([&] { owner.kill({.block = false}); });
    });
    owner.join();
    EXPECT_TRUE(ended);
}

TEST(stream_server, start_twice_and_after_a_stop) {
    stream_server server{"127.0.0.1:0", echo};
    server.start();
    server.start();
    address const where = server.address();
    EXPECT_TRUE(server.stop());
    EXPECT_TRUE(server.stop());
    server.serve_forever(); // it was stopped, so this is over
    server.start();
    EXPECT_EQ(server.address(), where);
    auto client = connect_to(server);
    client.write_all("again");
    EXPECT_EQ(text_of(client, 5), "again");
    server.close();
    server.close();
    client.write_all("and");
    EXPECT_EQ(text_of(client, 3), "and"); // handlers go on
    server.start();
    auto other = connect_to(server);
    other.write_all("more");
    EXPECT_EQ(text_of(other, 4), "more");
}

TEST(stream_server, takes_over_a_listener) {
    coir::net::tcp_listener listening("127.0.0.1:0");
    auto client = tcp_stream::connect(listening.local_address());
    stream_server server{std::move(listening), echo};
    server.start();
    client.write_all("x");
    EXPECT_EQ(text_of(client, 1), "x");
    server.close();
    EXPECT_EQ(failure_of([&] { server.start(); }).code, EBADF);
    EXPECT_EQ(failure_of([&] { stream_server(coir::net::listener(), echo); }).code, EBADF);
}

TEST(stream_server, one_handler_never_disturbs_another) {
    unhandled reports;
    stream_server server{"127.0.0.1:0",
                         [&](tcp_stream peer) {
                             if (text_of(peer, 1) == "!") throw std::runtime_error("handler");
                             echo(std::move(peer));
                         },
                         {.name = "echo"}};
    server.start();
    auto good = connect_to(server), bad = connect_to(server), gone = connect_to(server), half = connect_to(server);
    good.write_all("1abc");
    EXPECT_EQ(text_of(good, 3), "abc");
    address const culprit = bad.local_address();
    bad.write_all("!");
    EXPECT_EQ(to_the_end(bad), "");
    gone.write_all("1");
    reset(gone);
    half.close(); // an end_of_stream
    while (server.handlers() > 1) coir::yield();
    good.write_all("def");
    EXPECT_EQ(text_of(good, 3), "def");
    auto late = connect_to(server);
    late.write_all("1g");
    EXPECT_EQ(text_of(late, 1), "g");
    ASSERT_EQ(reports.names, std::vector<std::string>{"echo, peer " + culprit.to_string()});
    std::string const first_frame = reports.where[0].substr(0, reports.where[0].find('\n')); // the handler itself
    EXPECT_EQ(first_frame.find("net::detail"), std::string::npos) << reports.where[0];
}

TEST(stream_server, only_what_is_said_of_the_peer_is_ignored) {
    auto const run = [](server_options options) {
        unhandled reports;
        coir::net::tcp_listener backend("127.0.0.1:0");
        stream_server server{"127.0.0.1:0",
                             [&](tcp_stream peer) {
                                 if (text_of(peer, 1) == "p") return void(to_the_end(peer)); // reset
                                 auto behind = tcp_stream::connect(backend.local_address());
                                 auto accepted = backend.accept();
                                 reset(accepted);
                                 to_the_end(behind);
                             },
                             std::move(options)};
        server.start();
        auto one = connect_to(server), other = connect_to(server);
        one.write_all("p");
        other.write_all("b");
        EXPECT_EQ(to_the_end(other), "");
        reset(one);
        while (server.handlers() > 0) coir::yield();
        coir::idle();
        return reports.names.size();
    };
    EXPECT_EQ(run({}), 1u);
    EXPECT_EQ(run({.ignore = nullptr}), 2u);
    EXPECT_EQ(run({.ignore = [](auto&, auto&) { return true; }}), 0u);
}

TEST(stream_server, unix_sockets_and_any_kind) {
    stream_server at_unix{"unix:",
                          [](unix_stream peer) { peer.write_all(std::to_string(peer.credentials().process)); }};
    at_unix.start();
    auto local = unix_stream::connect(at_unix.address());
    EXPECT_EQ(to_the_end(local), std::to_string(getpid()));

    auto const any = [](auto peer) { peer.write_all(peer.peer_address().is_ip() ? "ip" : "unix"); };
    stream_server one{"unix:", any}, other{"127.0.0.1:0", any};
    stream_server bare{"127.0.0.1:0", [](coir::net::socket peer) { tcp_stream(std::move(peer)).write_all("bare"); }};
    stream_server virtual_one{"127.0.0.1:0", [](coir::net::stream&& peer) { peer.write_all("stream"); }};
    for (auto* each : {&one, &other, &bare, &virtual_one}) each->start();
    auto to_one = unix_stream::connect(one.address());
    EXPECT_EQ(to_the_end(to_one), "unix");
    for (auto [server, wanted] : {std::pair{&other, "ip"}, {&bare, "bare"}, {&virtual_one, "stream"}}) {
        auto client = connect_to(*server);
        EXPECT_EQ(to_the_end(client), wanted);
    }
    static_assert(!std::is_constructible_v<stream_server, address, void (*)(int)>);
}

TEST(stream_server, a_handler_of_another_kind_is_refused) {
    try {
        stream_server wrong{"unix:@coir-wrong", echo};
        FAIL() << "a TCP handler for Unix connections";
    } catch (std::invalid_argument const& error) {
        EXPECT_STREQ(error.what(), "stream_server at unix:@coir-wrong: its handler takes connections of TCP only");
    }
    EXPECT_THROW((stream_server{"127.0.0.1:0", [](unix_stream) {}}), std::invalid_argument);
    EXPECT_EQ(failure_of([] {
                  stream_server first{"127.0.0.1:0", echo}, second{first.address(), echo};
              }).code,
              EADDRINUSE);
}

TEST(stream_server, an_interrupted_serve_forever_stops_it) {
    gate held;
    stream_server server{"127.0.0.1:0", [&](tcp_stream) { held.wait(); }};
    auto serving = coir::spawn([&] { server.serve_forever(); });
    auto one = held.connect(server, 1);
    auto killing = coir::spawn([&] { serving.kill(); });
    while (server.accepting()) coir::yield();
    held.open.set(); // in its second of grace
    killing.join();
    EXPECT_EQ(held.killed, 0);
    EXPECT_EQ(held.ended, 1);
    EXPECT_FALSE(coir::with_timeout(1ms, [&] {
        server.start();
        server.serve_forever();
    }));
    EXPECT_FALSE(server.accepting());
}

TEST(stream_server, is_its_thread_s) {
    stream_server server{"127.0.0.1:0", echo};
    server.start();
    std::thread([&] { EXPECT_THROW(server.stop(), std::logic_error); }).join();
    EXPECT_TRUE(server.accepting());
}

TEST(stream_server, two_threads_share_a_port) {
    stream_server first{"127.0.0.1:0", echo, {.reuse_port = true}};
    coir::event ready;
    coir::async_result<coir::hub*> other_hub;
    coir::event stop, stopped;
    std::atomic<int> there{0};
    int here = 0;
    stream_server mine{first.address(), [&](tcp_stream peer) { ++here, echo(std::move(peer)); }, {.reuse_port = true}};
    first.close();
    std::thread other([&] {
        stream_server server{
            mine.address(), [&](tcp_stream peer) { ++there, echo(std::move(peer)); }, {.reuse_port = true}};
        server.start();
        ready.set();
        stop.wait();
        EXPECT_TRUE(server.stop(coir::deadline()));
        stopped.set();
    });
    ready.wait();
    mine.start();
    while (here == 0 || there == 0) {
        auto client = connect_to(mine);
        client.write_all("x");
        EXPECT_EQ(text_of(client, 1), "x");
    }
    stop.set();
    stopped.wait();
    other.join();
    EXPECT_TRUE(mine.stop(coir::deadline()));
}

TEST_ALONE(stream_server, a_forked_child_has_no_handlers_to_wait_for) {
    gate held;
    stream_server server{"127.0.0.1:0", [&](tcp_stream) { held.wait(); }};
    server.start();
    auto one = held.connect(server, 1);
    pid_t const child = fork();
    if (child == 0) {
        EXPECT_TRUE(server.stop(coir::deadline()));
        server.~stream_server();
        _exit(::testing::Test::HasFailure());
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    held.open.set();
    EXPECT_EQ(to_the_end(one), "");
}
