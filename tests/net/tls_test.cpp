// What a session does as a stream. What it believes is tls_trust_test's, what breaks it tls_broken_test's.

#include "tests/net/tls_world.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/resource.h>
#include <sys/socket.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

using namespace std::chrono_literals;
using namespace tls_world;
using coir::net::tcp_listener;
using coir::net::tcp_stream;
using coir::net::tls_version;

namespace {

// Of both versions that are spoken.
class tls : public testing::TestWithParam<char const*> {
protected:
    tls() {
        if (GetParam() == std::string("TLSv1.2")) only_tls_1_2(server);
    }
    session begun() const {
        session made = secured(client, server);
        EXPECT_EQ(made.near.version(), GetParam());
        return made;
    }
    tls_context const client = tls_context::client(trusting()), server = server_with();
};

INSTANTIATE_TEST_SUITE_P(versions, tls, testing::Values("TLSv1.2", "TLSv1.3"),
                         [](auto const& each) { return each.param == std::string("TLSv1.2") ? "tls_1_2" : "tls_1_3"; });

void set(int fd, int option, int value) { ASSERT_EQ(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value), 0); }

// A session over sockets that hold little, so that writing waits.
session narrow(tls_context const& client, tls_context const& server) {
    auto [near, far] = coir::net::unix_stream::pair();
    for (int fd : {near.native(), far.native()}) set(fd, SO_SNDBUF, 4096);
    return secured(client, server, "localhost", std::move(near), std::move(far));
}

// Until all others wait for what does not come by itself.
void let_wait() { coir::idle(); }

} // namespace

TEST_P(tls, there_and_back) {
    auto [near, far] = begun();
    EXPECT_EQ(far.version(), GetParam());
    EXPECT_EQ(far.server_name(), "localhost");
    EXPECT_EQ(near.peer_subject(), "CN=local");
    EXPECT_EQ(near.peer_certificate(), local().certificate_pem());
    EXPECT_EQ(far.peer_certificate(), "");
    EXPECT_EQ(far.peer_subject(), "");
    near.write_all("hello");
    EXPECT_EQ(read(far, 5), "hello");
    far.write_all("to you");
    EXPECT_EQ(read(near, 6), "to you");
    EXPECT_EQ(near.plain(), nullptr);
}

TEST_P(tls, much_in_both_directions_at_once) {
    auto [near, far] = narrow(client, server);
    std::size_t const size = RUNNING_ON_VALGRIND ? 300'000 : 3'000'000;
    std::string const there = noise(size, 1), back = noise(size, 2);
    auto const write = [](tls_stream& to, std::string const& what, std::size_t at_once) {
        for (std::size_t done = 0; done < what.size(); done += at_once)
            to.write_all(std::string_view(what).substr(done, at_once));
        to.shutdown_write();
    };
    auto first = coir::spawn(write, std::ref(near), there, 100'000);
    auto second = coir::spawn(write, std::ref(far), back, 777);
    auto third = coir::spawn([&far = far] { return read_to_end(far, 3000); });
    EXPECT_TRUE(read_to_end(near, 200'000) == back);
    EXPECT_TRUE(third.get() == there);
    coir::joinall({first, second});
    EXPECT_TRUE(first.successful() && second.successful());
}

TEST_P(tls, byte_by_byte) {
    auto [near, far] = begun();
    std::string const sent = noise(2000);
    near.write_all(sent);
    near.shutdown_write();
    EXPECT_EQ(read_to_end(far, 1), sent);
    for (char const each : sent) far.write_all({&each, 1});
    far.shutdown_write();
    EXPECT_EQ(read_to_end(near, 1), sent);
}

TEST_P(tls, parts_and_nothing) {
    auto [near, far] = begun();
    std::string const large = noise(100'000);
    std::array<std::string_view, 5> const parts{"a", "", "bc", large, "d"};
    auto writer = coir::spawn([&, &near = near] {
        near.write_all(parts);
        near.write_all("");
        EXPECT_EQ(near.write_some(""), 0u);
        near.shutdown_write();
    });
    EXPECT_EQ(far.read_some(std::span<char>{}), 0u); // something is there
    EXPECT_EQ(read_to_end(far), "abc" + large + "d");
    EXPECT_EQ(far.read_some(std::span<char>{}), 0u);
    writer.get();
}

TEST_P(tls, what_was_said_to_be_the_end_is_one_and_what_was_not_is_none) {
    auto [near, far] = begun();
    near.write_all("question");
    near.shutdown_write();
    near.shutdown_write();
    EXPECT_EQ(read_to_end(far), "question");
    char one;
    EXPECT_EQ(far.read_some({&one, 1}), 0u); // the end stays the end
    failure const late = failure_of([&near = near] { near.write_all("more"); });
    EXPECT_EQ(late.code, EPIPE);
    EXPECT_EQ(late.text, "write to " + near.peer_address().to_string() + ": Broken pipe");
    far.write_all("answer"); // the other way goes on
    far.close();
    EXPECT_EQ(read(near, 6), "answer");
    for (int times = 0; times < 2; ++times) {
        failure const cut = failure_of([&, &near = near] { near.read_some({&one, 1}); });
        EXPECT_EQ(cut.code, int(tls_error::truncated));
        EXPECT_EQ(cut.text, "read from " + near.peer_address().to_string() +
                                ": the connection ended without the peer's close_notify");
    }
    try {
        near.read_some({&one, 1});
        ADD_FAILURE();
    } catch (std::system_error const& error) {
        EXPECT_EQ(error.code(), tls_error::truncated);
    }
    EXPECT_EQ(ERR_peek_error(), 0ul);
}

TEST_P(tls, a_session_is_resumed) {
    tcp_listener listener("127.0.0.1:0"), other_port("127.0.0.1:0");
    auto const resumes = [&](tls_context const& who, tcp_listener& where, char const* host) {
        auto plain = tcp_stream::connect(where.local_address());
        auto made = secured(who, server, host, std::move(plain), where.accept());
        EXPECT_EQ(made.near.resumed(), made.far.resumed());
        EXPECT_EQ(made.near.version(), GetParam());
        made.far.write_all("x"); // TLS 1.3: the ticket comes before it
        EXPECT_EQ(read(made.near, 1), "x");
        EXPECT_EQ(made.near.peer_subject(), "CN=local") << "also of one that was resumed";
        return made.near.resumed();
    }; // closed without a word, and resumed all the same
    EXPECT_FALSE(resumes(client, listener, "localhost"));
    for (int times = 0; times < 4; ++times) EXPECT_TRUE(resumes(client, listener, "localhost"));
    EXPECT_FALSE(resumes(client, listener, "127.0.0.1")) << "of another host";
    EXPECT_FALSE(resumes(client, other_port, "localhost")) << "of another port";
    EXPECT_FALSE(resumes(tls_context::client(trusting()), listener, "localhost")) << "by another client";
    EXPECT_TRUE(resumes(client, other_port, "localhost"));
}

TEST_P(tls, the_deadline_of_a_read_leaves_the_session) {
    auto [near, far] = begun();
    char one;
    failure const late = failure_of([&, &near = near] { near.read_some({&one, 1}, 5ms); });
    EXPECT_EQ(late.code, ETIMEDOUT);
    EXPECT_EQ(late.text, "read from " + near.peer_address().to_string() + ": Connection timed out");
    far.write_all("x");
    EXPECT_EQ(read(near, 1), "x");
}

// What was encrypted goes out before what comes next, and the peer reads one stream.
TEST_P(tls, writes_that_are_interrupted_tear_no_record) {
    auto [near, far] = narrow(client, server);
    std::string const piece(10'000, 'x');
    std::size_t begun = 0;
    auto const write_until_stuck = [&, &near = near](coir::deadline until) {
        for (;;) {
            begun += piece.size();
            near.write_all(piece, until);
        }
    };
    failure const late = failure_of([&] { write_until_stuck(20ms); });
    EXPECT_EQ(late.code, ETIMEDOUT);
    EXPECT_EQ(late.text, "write to " + near.peer_address().to_string() + ": Connection timed out");
    auto killed = coir::spawn([&] { write_until_stuck({}); });
    coir::yield();
    EXPECT_TRUE(killed.kill());
    EXPECT_FALSE(coir::with_timeout(5ms, [&] { write_until_stuck({}); }));
    auto reader = coir::spawn([&far = far] { return read_to_end(far, 100'000); });
    near.write_all("end");
    near.shutdown_write();
    std::string const got = reader.get();
    EXPECT_EQ(got.substr(got.size() - 3), "end");
    EXPECT_EQ(got.find_first_not_of('x'), got.size() - 3);
    EXPECT_LE(got.size(), begun + 3);
}

// Nobody writes any more, but what was left goes out because somebody reads.
TEST_P(tls, what_an_interrupted_write_left_goes_out_while_reading) {
    auto [near, far] = narrow(client, server);
    std::string const piece(16384, 'x');
    std::size_t begun = 0;
    auto writer = coir::spawn([&, &near = near] {
        for (;;) {
            begun += piece.size();
            near.write_some(piece);
        }
    });
    let_wait();
    writer.kill();
    auto reader = coir::spawn([&near = near] { return read(near, 2); });
    EXPECT_EQ(read(far, begun), std::string(begun, 'x'));
    far.write_all("ok");
    EXPECT_EQ(reader.get(), "ok");
}

TEST_P(tls, a_killed_reader_leaves_the_session_to_others) {
    auto made = begun();
    auto reading = coir::spawn([&] { read(made.near, 1); });
    coir::yield();
    EXPECT_TRUE(reading.kill());
    made.far.write_all("hello");
    EXPECT_EQ(read(made.near, 5), "hello");
    made.near.write_all("hello");
    EXPECT_EQ(read(made.far, 5), "hello");
}

TEST_P(tls, closing_wakes_reader_and_writer) {
    for (bool by_destruction : {false, true}) {
        auto made = narrow(client, server);
        auto owned = std::make_unique<tls_stream>(std::move(made.near));
        std::string const where = owned->peer_address().to_string();
        auto reader = coir::spawn([&] { return failure_of([&] { read(*owned, 1); }); });
        auto writer = coir::spawn([&] {
            std::string const much(3'000'000, 'x');
            return failure_of([&] { owned->write_all(much); });
        });
        let_wait();
        EXPECT_FALSE(writer.ready());
        if (by_destruction)
            owned.reset();
        else
            owned->close();
        EXPECT_EQ(reader.get().text, "read from " + where + ": Bad file descriptor");
        EXPECT_EQ(writer.get().text, "write to " + where + ": Bad file descriptor");
        if (owned) {
            EXPECT_FALSE(owned->is_open());
            owned->close();
            EXPECT_EQ(failure_of([&] { owned->shutdown_write(); }).code, EBADF);
        }
    }
}

TEST_P(tls, a_second_reader_or_writer_is_refused) {
    auto made = narrow(client, server);
    auto first = coir::spawn({.name = "first"}, [&] { return read(made.near, 1); });
    auto writer = coir::spawn([&] { made.near.write_all(std::string(1'000'000, 'x')); });
    let_wait();
    auto second = coir::spawn({.name = "second"}, [&] { return read(made.near, 1); });
    try {
        second.get();
        ADD_FAILURE() << "two readers";
    } catch (std::logic_error const& error) {
        EXPECT_EQ(std::string(error.what()),
                  "read from " + made.near.peer_address().to_string() + ": second may not, while first does the same");
    }
    EXPECT_THROW(made.near.write_all("x"), std::logic_error);
    writer.kill();
    made.far.write_all("y");
    EXPECT_EQ(first.get(), "y");
}

TEST_P(tls, a_session_may_be_moved_while_it_is_waited_for) {
    auto made = begun();
    auto owned = std::make_unique<tls_stream>(std::move(made.near));
    auto reader = coir::spawn([&] { return read(*owned, 1); });
    coir::yield();
    tls_stream elsewhere = std::move(*owned);
    made.far.write_all("x");
    EXPECT_EQ(reader.get(), "x");
    EXPECT_FALSE(owned->is_open());
    elsewhere.write_all("y");
    EXPECT_EQ(read(made.far, 1), "y");
    elsewhere = std::move(made.far); // closes what it had
    EXPECT_EQ(failure_of([&] { elsewhere.write_all("more"), read(elsewhere, 1); }).code, int(tls_error::truncated));
}

TEST_P(tls, one_session_within_another) {
    auto outer = begun();
    auto accepting = coir::spawn([&] { return tls_stream::accept(server, std::move(outer.far)); });
    auto inner = tls_stream::connect(client, std::move(outer.near), "localhost");
    auto far = std::move(accepting).get();
    std::string const much = noise(300'000);
    auto writer = coir::spawn([&] {
        inner.write_all(much);
        inner.shutdown_write();
    });
    EXPECT_TRUE(read_to_end(far, 5000) == much);
}

TEST_P(tls, what_others_left_in_the_queue_of_errors_is_no_error_of_ours) {
    auto [near, far] = begun();
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    EXPECT_EQ(failure_of([&near = near] { near.write_all("x"); }).code, 0);
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    EXPECT_EQ(read(far, 1), "x");
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    char one;
    EXPECT_EQ(failure_of([&, &far = far] { far.read_some({&one, 1}, 1ms); }).code, ETIMEDOUT);
}

TEST_P(tls, reset_by_the_peer) {
    auto [plain, far] = connected();
    int const fd = plain.native();
    auto accepting =
        coir::spawn([&, far = std::move(far)]() mutable { return tls_stream::accept(server, std::move(far)); });
    auto near = tls_stream::connect(client, std::move(plain), "localhost");
    auto other = std::move(accepting).get();
    linger const at_once{1, 0};
    ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    near.close();
    failure const reset = failure_of([&] { read(other, 1); });
    EXPECT_EQ(reset.code, ECONNRESET);
    EXPECT_EQ(reset.text, "read from " + other.peer_address().to_string() + ": Connection reset by peer");
    EXPECT_EQ(failure_of([&] { other.write_all("x"); }).code, EPIPE); // and no SIGPIPE
}

// The side that reads has to answer, and the other side reads only what it could write.
TEST_P(tls, new_keys_in_the_middle_of_much) {
    if (GetParam() == std::string("TLSv1.2")) GTEST_SKIP() << "there are none";
    auto [near, far] = narrow(client, server);
    auto const write = [](tls_stream& to) {
        for (int i = 0; i < 200; ++i) {
            if (i % 10 == 5) SSL_key_update(to.native(), SSL_KEY_UPDATE_REQUESTED);
            to.write_all(noise(5000, std::uint32_t(i)));
        }
        to.shutdown_write();
    };
    auto const check = [](tls_stream& from) {
        for (int i = 0; i < 200; ++i) ASSERT_TRUE(read(from, 5000) == noise(5000, std::uint32_t(i))) << i;
        EXPECT_EQ(read_to_end(from), "");
    };
    std::array const all{coir::spawn(write, std::ref(near)), coir::spawn(write, std::ref(far)),
                         coir::spawn(check, std::ref(near)), coir::spawn(check, std::ref(far))};
    coir::joinall(all);
    for (auto const& each : all) EXPECT_TRUE(each.successful());
}

// New keys, asked for by one that only writes, of one that only reads: the answer goes out all the same.
TEST_P(tls, one_that_only_reads_answers) {
    if (GetParam() == std::string("TLSv1.2")) GTEST_SKIP() << "there are no new keys";
    auto [near, far] = begun();
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(SSL_key_update(far.native(), SSL_KEY_UPDATE_REQUESTED), 1);
        far.write_all("x");
        EXPECT_EQ(read(near, 1), "x");
    }
    near.write_all("y");
    EXPECT_EQ(read(far, 1), "y");
}

TEST(tls_1_2, renegotiation_while_one_reads_and_one_writes) {
    tls_context const client = tls_context::client(trusting()), server = server_with();
    only_tls_1_2(server);
    auto made = secured(client, server);
    for (int round = 0; round < 3; ++round) {
        ASSERT_EQ(SSL_renegotiate(made.far.native()), 1);
        made.far.write_all("x"); // behind the request
        auto asking = coir::spawn([&] { return read(made.far, 4); });
        EXPECT_EQ(read(made.near, 1), "x");
        auto reader = coir::spawn([&] { return read(made.near, 1); }); // which shakes hands
        coir::yield();
        made.near.write_all("ping");
        EXPECT_EQ(asking.get(), "ping");
        made.far.write_all("y");
        EXPECT_EQ(reader.get(), "y");
    }
}

// A part of a message of TLS 1.3 has come: who writes has to wait for the rest of it.
TEST(tls_1_3, who_writes_waits_for_input_that_another_gets) {
    auto [plain, relay_near] = connected();
    auto [relay_far, other] = connected();
    tls_context const client = tls_context::client(trusting()), server = server_with();
    auto accepting =
        coir::spawn([&, other = std::move(other)]() mutable { return tls_stream::accept(server, std::move(other)); });
    bool slowly = false;
    auto const relay = [&](tcp_stream& from, tcp_stream& to) {
        std::array<char, 4096> buffer;
        while (auto const n = from.read_some(buffer))
            for (std::size_t i = 0; i < n; slowly ? ++i : i = n) {
                to.write_all({buffer.data() + i, slowly ? 1 : n});
                if (slowly) coir::idle();
            }
    };
    auto there = coir::spawn([&, &a = relay_near, &b = relay_far] { relay(a, b); });
    auto back = coir::spawn([&, &a = relay_near, &b = relay_far] { relay(b, a); });
    auto near = tls_stream::connect(client, std::move(plain), "localhost");
    auto far = std::move(accepting).get();
    slowly = true;
    ASSERT_EQ(SSL_new_session_ticket(far.native()), 1);
    far.write_all("x");
    auto reader = coir::spawn([&] { return read(near, 1); });
    auto writer = coir::spawn([&] {
        for (int i = 0; i < 300; ++i) {
            near.write_all("y");
            coir::yield();
        }
    });
    EXPECT_EQ(reader.get(), "x");
    EXPECT_EQ(read(far, 300), std::string(300, 'y'));
    writer.get();
    near.close();
    far.close();
    coir::joinall({there, back});
}

TEST(tls_protocols, are_agreed_on) {
    auto const agreed = [](std::vector<std::string> offered, std::vector<std::string> spoken) {
        tls_client_options asks = trusting();
        asks.protocols = std::move(offered);
        auto made = secured(tls_context::client(asks),
                            tls_context::server({.identities = {local().identity()}, .protocols = std::move(spoken)}));
        EXPECT_EQ(made.near.protocol(), made.far.protocol());
        return std::string(made.near.protocol());
    };
    EXPECT_EQ(agreed({"http/1.1", "h2"}, {"h2", "http/1.1"}), "h2") << "the server's order counts";
    EXPECT_EQ(agreed({"h2", "http/1.1"}, {"http/1.1"}), "http/1.1");
    EXPECT_EQ(agreed({}, {"h2"}), "");
    EXPECT_EQ(agreed({"h2"}, {}), "");
    EXPECT_EQ(failure_of([&] { agreed({"h2"}, {"http/1.1"}); }).text.find(": the peer says: no application protocol") !=
                  std::string::npos,
              true);
    EXPECT_EQ(failure_of([&] { agreed({""}, {}); }).code, EINVAL);
    EXPECT_EQ(failure_of([&] { agreed({}, {std::string(256, 'x')}); }).code, EINVAL);
}

TEST(tls_protocols, none_in_common_is_the_servers_error) {
    auto [near, far] = connected();
    auto const server = tls_context::server({.identities = {local().identity()}, .protocols = {"h2"}});
    tls_client_options asks = trusting();
    asks.protocols = {"x"};
    auto client = coir::spawn([&, near = std::move(near)]() mutable {
        return failure_of([&] { tls_stream::connect(tls_context::client(asks), std::move(near), "localhost"); }).code;
    });
    try {
        tls_stream::accept(server, std::move(far));
        ADD_FAILURE();
    } catch (std::system_error const& error) {
        EXPECT_EQ(error.code(), tls_error::no_protocol_in_common) << error.what();
        EXPECT_EQ(std::string(error.what()).find("TLS with 127.0.0.1:"), 0u) << error.what();
    }
    EXPECT_NE(client.get(), 0);
}

TEST(tls_versions, the_oldest_can_be_chosen) {
    tls_client_options asks = trusting();
    asks.least = tls_version::tls_1_3;
    tls_context const old = server_with();
    only_tls_1_2(old);
    EXPECT_NE(failure_of([&] { secured(tls_context::client(asks), old); }).code, 0);
    EXPECT_EQ(secured(tls_context::client(asks), server_with()).near.version(), "TLSv1.3");
    tls_context const ancient = tls_context::client(trusting());
    good(SSL_CTX_set_min_proto_version(ancient.native(), TLS1_VERSION));
    good(SSL_CTX_set_max_proto_version(ancient.native(), TLS1_1_VERSION));
    EXPECT_NE(failure_of([&] { secured(ancient, server_with()); }).code, 0);
}

TEST(tls_stream, empty_ones_fail_with_ebadf) {
    tls_stream none;
    char one;
    EXPECT_EQ(failure_of([&] { none.read_some({&one, 1}); }).text, "read from nowhere: Bad file descriptor");
    EXPECT_EQ(failure_of([&] { none.write_all("x"); }).text, "write to nowhere: Bad file descriptor");
    EXPECT_EQ(failure_of([&] { none.shutdown_write(); }).code, EBADF);
    none.close();
    EXPECT_FALSE(none.is_open());
    EXPECT_EQ(none.native(), nullptr);
    EXPECT_EQ(none.peer_address().to_string(), "nowhere");
    EXPECT_EQ(none.protocol(), "");
    EXPECT_EQ(none.server_name(), "");
    EXPECT_EQ(none.version(), "");
    EXPECT_FALSE(none.resumed());
    EXPECT_EQ(none.peer_subject(), "");
    EXPECT_EQ(failure_of([] { tls_stream::accept(server_with(), tcp_stream()); }).text,
              "TLS with nowhere: Bad file descriptor");
}

TEST(tls_stream, a_thousand_sessions_on_one_thread) {
    std::size_t const count = RUNNING_ON_VALGRIND ? 20 : 1000;
    rlimit files{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur < 2 * count + 50) GTEST_SKIP() << "not enough descriptors";
    tls_context const client = tls_context::client(trusting()), server = server_with();
    tcp_listener listener("127.0.0.1:0");
    coir::semaphore connecting(100); // the backlog has room for them
    coir::latch all(count);
    auto serving = coir::spawn([&] {
        for (std::size_t i = 0; i < count; ++i)
            coir::spawn([&, plain = listener.accept()]() mutable {
                auto peer = tls_stream::accept(server, std::move(plain));
                std::array<char, 100> buffer;
                while (auto const n = peer.read_some(buffer)) peer.write_all({buffer.data(), n});
                peer.shutdown_write();
            });
    });
    std::vector<coir::fiber<std::string>> clients;
    for (std::size_t i = 0; i < count; ++i)
        clients.push_back(coir::spawn([&, i] {
            connecting.acquire();
            auto plain = tcp_stream::connect(listener.local_address());
            auto peer = tls_stream::connect(client, std::move(plain), "localhost");
            connecting.release();
            all.count_down();
            all.wait(); // they are there at the same time
            peer.write_all(std::to_string(i));
            peer.shutdown_write();
            return read_to_end(peer);
        }));
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(clients[i].get(), std::to_string(i));
    serving.get();
}
