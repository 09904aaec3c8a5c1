// What breaks a session: silence, garbage, peers that go away, bits that fall over.

#include "tests/net/tls_world.h"

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <optional>
#include <random>
#include <sys/socket.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

using namespace std::chrono_literals;
using namespace tls_world;
using coir::net::stream;
using coir::net::tcp_stream;
using coir::net::unix_stream;

namespace {

tls_context const& client() {
    static tls_context const made = tls_context::client(trusting());
    return made;
}

tls_context const& server() {
    static tls_context const made = server_with();
    return made;
}

// A stream like another, whose bytes arrive with some bits the other way round, and are written down.
struct damaged final : stream {
    unix_stream of;
    std::vector<std::size_t> bits{}; // of what is received, ascending
    std::string* received = nullptr;
    std::size_t size = 0;

    explicit damaged(unix_stream whole) : of(std::move(whole)) {}
    void shutdown_write(coir::deadline until) override { of.shutdown_write(until); }
    void close() noexcept override { of.close(); }
    bool is_open() const noexcept override { return of.is_open(); }
    coir::net::address const& peer_address() const noexcept override { return of.peer_address(); }

private:
    std::size_t receive(std::span<iovec const> into, coir::deadline until) override {
        std::span<char> const part(static_cast<char*>(into[0].iov_base), into[0].iov_len);
        std::size_t const got = of.read_some(part, until);
        for (std::size_t const bit : bits)
            if (bit / 8 >= size && bit / 8 < size + got) part[bit / 8 - size] ^= char(1 << bit % 8);
        if (received) received->append(part.data(), got);
        size += got;
        return got;
    }
    std::size_t send(std::span<iovec const> what, coir::deadline until) override {
        return of.write_some({static_cast<char const*>(what[0].iov_base), what[0].iov_len}, until);
    }
};

std::string const question = noise(30'000, 1), answer = noise(20'000, 2);

// Runs `what`, which may fail as a stream may. True if it did not.
template <class Call>
bool tried(Call what) {
    try {
        what();
        return true;
    } catch (std::system_error const& error) {
        EXPECT_EQ(ERR_peek_error(), 0ul) << error.what();
    } catch (coir::net::end_of_stream const&) {}
    return false;
}

std::string read_what_comes(stream& from, std::size_t size) {
    std::string got(size, ' ');
    std::size_t all = 0;
    tried([&] {
        while (all < size) {
            auto const more = from.read_some(std::span(got).subspan(all));
            if (more == 0) return;
            all += more;
        }
    });
    got.resize(all);
    return got;
}

struct outcome {
    std::string at_server, at_client; // what arrived
};

// A question and an answer over damaged connections. Bytes that are taken for the length of something make one side
// wait for what never comes: when nothing goes on any more both are closed.
outcome converse(std::unique_ptr<damaged> near, std::unique_ptr<damaged> far) {
    outcome what;
    unix_stream* const ends[] = {&near->of, &far->of};
    auto asking = coir::spawn([&, near = std::move(near)]() mutable {
        tls_stream session;
        if (!tried([&] { session = tls_stream::connect(client(), std::move(near), "localhost"); })) return;
        if (tried([&] { session.write_all(question); })) what.at_client = read_what_comes(session, answer.size());
        tried([&] { session.shutdown_write(); });
        read_what_comes(session, 1);
    });
    auto answering = coir::spawn([&, far = std::move(far)]() mutable {
        tls_stream session;
        if (!tried([&] { session = tls_stream::accept(server(), std::move(far)); })) return;
        what.at_server = read_what_comes(session, question.size());
        if (what.at_server.size() == question.size()) tried([&] { session.write_all(answer); });
        tried([&] { session.shutdown_write(); });
        read_what_comes(session, 1);
    });
    coir::idle();
    while (!asking.ready() || !answering.ready()) {
        if (!asking.ready()) shutdown(ends[0]->native(), SHUT_RDWR);
        if (!answering.ready()) shutdown(ends[1]->native(), SHUT_RDWR);
        coir::idle();
    }
    EXPECT_TRUE(asking.successful() && answering.successful());
    return what;
}

std::pair<std::unique_ptr<damaged>, std::unique_ptr<damaged>> damaged_pair() {
    auto [near, far] = unix_stream::pair();
    return {std::make_unique<damaged>(std::move(near)), std::make_unique<damaged>(std::move(far))};
}

// What each side sent in a conversation.
struct recording {
    std::string by_client, by_server;
};

recording const& recorded() {
    static recording const made = [] {
        recording all;
        auto [near, far] = damaged_pair();
        near->received = &all.by_server;
        far->received = &all.by_client;
        converse(std::move(near), std::move(far));
        return all;
    }();
    return made;
}

} // namespace

TEST(broken, a_silent_peer_is_waited_for_until_the_deadline) {
    auto [near, far] = connected();
    std::string const where = near.peer_address().to_string(), from = far.peer_address().to_string();
    failure const late =
        failure_of([&, &near = near] { tls_stream::connect(client(), std::move(near), "localhost", 5ms); });
    EXPECT_EQ(late.code, ETIMEDOUT);
    EXPECT_EQ(late.text,
              "TLS with localhost:" + where.substr(where.find(':') + 1) + " (" + where + "): Connection timed out");
    EXPECT_NE(read_to_end(far), "") << "it had begun, and has closed its connection";
    auto [silent, waiting] = connected();
    std::string const whom = waiting.peer_address().to_string();
    EXPECT_EQ(failure_of([&, &waiting = waiting] { tls_stream::accept(server(), std::move(waiting), 5ms); }).text,
              "TLS with " + whom + ": Connection timed out");
}

// Each byte comes in time, and all of them would take too long.
TEST(broken, the_deadline_is_for_the_whole_handshake) {
    std::string_view const begin = recorded().by_client;
    auto [near, far] = connected();
    auto slow = coir::spawn([&, &near = near] {
        for (std::size_t i = 0; tried([&] { near.write_all(begin.substr(i % 50, 1)); }); ++i) coir::sleep(1ms);
    });
    EXPECT_EQ(failure_of([&, &far = far] { tls_stream::accept(server(), std::move(far), 20ms); }).code, ETIMEDOUT);
    slow.kill();
}

TEST(broken, garbage_instead_of_a_handshake) {
    for (std::string const& garbage :
         {std::string("GET / HTTP/1.0\r\n\r\n"), noise(10'000), std::string(1000, '\0'), std::string(1000, '\x16'),
          std::string("\x16\x03\x01\xff\xff") + noise(70'000)}) {
        for (bool at_server : {true, false}) {
            auto [near, far] = unix_stream::pair();
            auto peer = coir::spawn([&, &far = far] {
                tried([&] { far.write_all(garbage); });
                tried([&] { far.shutdown_write(); });
                tried([&] { read_to_end(far); });
            });
            failure const why = failure_of([&, &near = near] {
                if (at_server)
                    tls_stream::accept(server(), std::move(near));
                else
                    tls_stream::connect(client(), std::move(near), "localhost");
            });
            EXPECT_NE(why.code, 0);
            EXPECT_EQ(why.text.find(at_server ? "TLS with unix:: " : "TLS with localhost (unix:): "), 0u) << why.text;
            peer.get();
        }
    }
}

TEST(broken, a_peer_that_goes_in_the_middle_of_the_handshake) {
    for (std::size_t const after : {0, 1, 4, 5, 6, 50, 100, 200}) {
        for (bool at_server : {true, false}) {
            auto [near, far] = unix_stream::pair();
            std::string const& all = at_server ? recorded().by_client : recorded().by_server;
            far.write_all(all.substr(0, after));
            far.shutdown_write();
            failure const why = failure_of([&, &near = near] {
                if (at_server)
                    tls_stream::accept(server(), std::move(near));
                else
                    tls_stream::connect(client(), std::move(near), "localhost");
            });
            bool const whole_hello = !at_server && after >= 200; // of another conversation: it is wrong, not cut
            EXPECT_EQ(why.code == int(tls_error::truncated), !whole_hello) << after << why.text;
            EXPECT_NE(why.code, 0) << after;
        }
    }
}

TEST(broken, a_reset_in_the_handshake) {
    auto [near, far] = connected();
    auto connecting = coir::spawn(
        [&near = near] { return failure_of([&] { tls_stream::connect(client(), std::move(near), "localhost"); }); });
    coir::yield();
    linger const at_once{1, 0};
    ASSERT_EQ(setsockopt(far.native(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    far.close();
    EXPECT_EQ(connecting.get().code, ECONNRESET);
    EXPECT_EQ(connecting.get().text.find("TLS with localhost:"), 0u) << connecting.get().text;
}

TEST(broken, a_close_notify_in_the_handshake) {
    auto [near, far] = unix_stream::pair();
    far.write_all(std::string_view("\x15\x03\x03\x00\x02\x01\x00", 7));
    failure const why = failure_of([&, &near = near] { tls_stream::connect(client(), std::move(near), "localhost"); });
    EXPECT_EQ(why.text, "TLS with localhost (unix:): the peer says: close notify");
}

TEST(broken, a_killed_handshake_closes_its_connection) {
    for (bool at_server : {true, false}) {
        auto [near, far] = unix_stream::pair();
        auto shaking = coir::spawn([&, &near = near] {
            if (at_server)
                tls_stream::accept(server(), std::move(near));
            else
                tls_stream::connect(client(), std::move(near), "localhost");
        });
        coir::idle();
        EXPECT_TRUE(shaking.kill());
        EXPECT_EQ(read_to_end(far).empty(), at_server);
        auto [again, other] = unix_stream::pair();
        EXPECT_FALSE(coir::with_timeout(
            1ms, [&, &again = again] { tls_stream::connect(client(), std::move(again), "localhost"); }));
        EXPECT_NE(read_to_end(other), "");
    }
}

// Whatever arrives, arrived as it was sent.
TEST(broken, flipped_bits_are_noticed) {
    ASSERT_GT(recorded().by_client.size(), question.size());
    int whole = 0;
    for (unsigned seed = 0; seed < (RUNNING_ON_VALGRIND ? 20u : 400u); ++seed) {
        std::mt19937 random(seed);
        auto [near, far] = damaged_pair();
        auto const flip = [&](damaged& which, std::size_t size) {
            if (random() % 2) size = std::min<std::size_t>(size, 1500); // the handshake
            for (auto count = random() % 3; count > 0; --count) which.bits.push_back(random() % (size * 8));
        };
        flip(*near, recorded().by_server.size());
        flip(*far, recorded().by_client.size());
        bool const untouched = near->bits.empty() && far->bits.empty();
        outcome const what = converse(std::move(near), std::move(far));
        EXPECT_EQ(what.at_server, question.substr(0, what.at_server.size())) << "seed " << seed;
        EXPECT_EQ(what.at_client, answer.substr(0, what.at_client.size())) << "seed " << seed;
        EXPECT_TRUE(!untouched || what.at_client == answer) << "seed " << seed;
        if (what.at_client == answer) ++whole;
    }
    EXPECT_GT(whole, 0);
}

// One side hears what was said to another, in pieces and with bits flipped.
TEST(broken, a_recording_is_no_conversation) {
    for (unsigned seed = 0; seed < (RUNNING_ON_VALGRIND ? 20u : 600u); ++seed) {
        std::mt19937 random(seed);
        bool const to_server = random() % 2;
        std::string said = to_server ? recorded().by_client : recorded().by_server;
        said.resize(std::min<std::size_t>(said.size(), 4000));
        for (auto count = random() % 4; count > 0; --count) {
            auto const bit = random() % (std::min<std::size_t>(said.size(), 800) * 8);
            said[bit / 8] ^= char(1 << bit % 8);
        }
        auto [near, far] = unix_stream::pair();
        auto peer = coir::spawn([&, &far = far] {
            tried([&] {
                for (std::size_t done = 0; done < said.size();) {
                    std::size_t const part = 1 + random() % 700;
                    far.write_all(std::string_view(said).substr(done, part));
                    done += part;
                    coir::yield();
                }
                far.shutdown_write();
                read_to_end(far);
            });
        });
        bool const believed = tried([&, &near = near] {
            auto session = to_server ? tls_stream::accept(server(), std::move(near))
                                     : tls_stream::connect(client(), std::move(near), "localhost");
        });
        EXPECT_FALSE(believed) << "seed " << seed;
        peer.get();
    }
}
