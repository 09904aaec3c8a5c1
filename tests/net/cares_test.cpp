#include "net/cares.h"
#include "tests/net/connection.h"

#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <netdb.h>
#include <string>
#include <sys/socket.h>
#include <vector>

using namespace std::chrono_literals;
using coir::net::address;
using coir::net::cares_options;
using coir::net::cares_resolver;
using coir::net::datagram;
using coir::net::datagram_socket;
using coir::net::resolve;

namespace {

enum rcode : unsigned char { none = 0, formerr = 1, servfail = 2, nxdomain = 3, refused = 5 };

std::string bytes(std::initializer_list<int> all) {
    std::string made;
    for (int each : all) made += char(each);
    return made;
}

// An answer to `question`: its header and the question again, then a record for each address (RFC 1035, 4.1).
std::string answer_to(std::string const& question, std::vector<address> const& all, rcode code = none) {
    std::string made = question.substr(0, 2) + bytes({0x81, 0x80 | code, 0, 1, 0, int(all.size()), 0, 0, 0, 0});
    auto const end = question.find('\0', 12);
    made += question.substr(12, end + 5 - 12);
    for (address const& each : all) {
        bool const v4 = each.family() == AF_INET;
        made += bytes({0xc0, 12, 0, v4 ? 1 : 28, 0, 1, 0, 0, 0, 60, 0, v4 ? 4 : 16});
        if (v4)
            made.append(reinterpret_cast<char const*>(&reinterpret_cast<sockaddr_in const*>(each.native())->sin_addr),
                        4);
        else
            made.append(reinterpret_cast<char const*>(&reinterpret_cast<sockaddr_in6 const*>(each.native())->sin6_addr),
                        16);
    }
    return made;
}

bool asks_for_ipv4(std::string const& question) { return question[question.find('\0', 12) + 2] == 1; }

// "one.test." of a question.
std::string name_in(std::string const& question) {
    std::string name;
    for (std::size_t at = 12; question[at]; at += std::size_t(question[at]) + 1)
        name += question.substr(at + 1, std::size_t(question[at])) + ".";
    return name;
}

// A name server on loopback: what `answers` returns is sent, nothing if it is empty.
class name_server {
public:
    explicit name_server(std::function<std::string(std::string const& question)> answers)
        : serving_(coir::spawn([this, answers] {
              std::array<char, 1500> buffer;
              for (;;) {
                  datagram const got = socket_.receive(std::span<char>(buffer));
                  std::string const question(buffer.data(), got.size), answer = answers(question);
                  asked.push_back(name_in(question));
                  if (!answer.empty()) socket_.send_to(got.from, answer);
              }
          })) {}
    ~name_server() { serving_.kill(); }

    cares_options options() const {
        return {.servers = socket_.local_address().to_string(), .timeout = 50ms, .tries = 1, .hosts_file = false};
    }
    std::vector<std::string> asked;

private:
    datagram_socket socket_{"127.0.0.1:0"};
    coir::fiber<void> serving_;
};

std::string text_of(std::vector<address> const& all) {
    std::string text;
    for (address const& each : all) text += (text.empty() ? "" : " ") + each.to_string();
    return text;
}

std::string found(cares_resolver& by, std::string_view name, int family = AF_INET) {
    return text_of(resolve(name, 80, 1h, {.family = family, .configured_only = false, .with = &by}));
}

failure failing(name_server& server) {
    cares_resolver by(server.options());
    return failure_of([&] { found(by, "name.coir.test."); });
}

std::size_t descriptors() {
    auto const all = std::filesystem::directory_iterator("/proc/self/fd");
    return std::size_t(std::distance(begin(all), end(all)));
}

std::size_t threads() {
    auto const all = std::filesystem::directory_iterator("/proc/self/task");
    return std::size_t(std::distance(begin(all), end(all)));
}

TEST(cares, asks_a_name_server_without_a_thread) {
    name_server server([](std::string const& question) {
        bool const v4 = asks_for_ipv4(question);
        return answer_to(question, v4 ? std::vector<address>{"192.0.2.1:0", "192.0.2.2:0"}
                                      : std::vector<address>{"[2001:db8::1]:0"});
    });
    cares_resolver by(server.options());
    auto const before = descriptors();
    EXPECT_EQ(found(by, "name.coir.test."), "192.0.2.1:80 192.0.2.2:80");
    EXPECT_EQ(found(by, "name.coir.test.", AF_INET6), "[2001:db8::1]:80");
    EXPECT_EQ(resolve("name.coir.test.", "http", {}, {.configured_only = false, .with = &by}).size(), 3u);
    EXPECT_EQ(server.asked.front(), "name.coir.test.");
    EXPECT_EQ(server.asked.size(), 4u);
    EXPECT_EQ(threads(), 1u);
    EXPECT_EQ(descriptors(), before);
}

TEST(cares, many_at_once) {
    constexpr std::size_t count = 100;
    std::vector<std::string> held;
    name_server server([](std::string const& question) {
        std::string const name = name_in(question);
        return answer_to(question, {address::ip("192.0.2." + name.substr(0, name.find('.')), 0)});
    });
    cares_resolver by([&] {
        auto patient = server.options();
        patient.timeout = 10s; // a busy machine is not what is tested
        return patient;
    }());
    std::vector<coir::fiber<std::string>> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(coir::spawn([&by, i] { return found(by, std::to_string(i) + ".coir.test."); }));
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(all[i].get(), "192.0.2." + std::to_string(i) + ":80");
}

TEST(cares, errors_are_those_of_glibc_with_a_word_of_its_own) {
    struct {
        rcode code;
        int eai;
    } const all[] = {{nxdomain, EAI_NONAME}, {none, EAI_NODATA}, {servfail, EAI_AGAIN}, {refused, EAI_AGAIN}, {formerr, EAI_FAIL}};
    for (auto const& [code, eai] : all) {
        name_server server([wanted = code](std::string const& question) { return answer_to(question, {}, wanted); });
        failure const error = failing(server);
        EXPECT_EQ(error.code, eai) << error.text;
        EXPECT_TRUE(error.text.starts_with("look up name.coir.test. (")) << error.text;
        EXPECT_TRUE(error.text.ends_with(gai_strerror(eai))) << error.text;
    }
}

TEST(cares, a_server_that_says_nothing_or_nonsense) {
    name_server silent([](std::string const&) { return std::string(); });
    EXPECT_EQ(failing(silent).code, EAI_AGAIN);
    name_server garbage([](std::string const& question) { return question.substr(0, 2) + std::string(30, '\xff'); });
    int const code = failing(garbage).code;
    EXPECT_TRUE(code == EAI_AGAIN || code == EAI_FAIL) << code;
    name_server strange([](std::string const&) { return std::string("no answer of the question's"); });
    EXPECT_EQ(failing(strange).code, EAI_AGAIN);
    cares_options nobody{.servers = datagram_socket("127.0.0.1:0").local_address().to_string(), .timeout = 50ms};
    nobody.tries = 1;
    nobody.hosts_file = false;
    cares_resolver by(nobody);
    EXPECT_EQ(failure_of([&] { found(by, "name.coir.test."); }).code, EAI_AGAIN);
}

TEST(cares, who_is_late_or_killed_leaves_nothing) {
    name_server silent([](std::string const&) { return std::string(); });
    auto patient = silent.options();
    patient.timeout = 1h;
    cares_resolver by(patient);
    coir::yield();
    auto const before = descriptors();
    failure const late =
        failure_of([&] { resolve("name.coir.test.", 80, 5ms, {.configured_only = false, .with = &by}); });
    EXPECT_EQ(late.code, ETIMEDOUT);
    EXPECT_EQ(late.text, "look up name.coir.test.: Connection timed out");
    EXPECT_EQ(descriptors(), before);
    auto looking = coir::spawn([&] { found(by, "killed.coir.test."); });
    while (silent.asked.back() != "killed.coir.test.") coir::yield();
    EXPECT_GT(descriptors(), before);
    EXPECT_TRUE(looking.kill());
    EXPECT_EQ(descriptors(), before);
    EXPECT_FALSE(coir::with_timeout(5ms, [&] { found(by, "name.coir.test."); }));
    EXPECT_EQ(descriptors(), before);
}

TEST(cares, a_late_answer_of_the_second_try_counts) {
    int asked = 0;
    name_server second([&](std::string const& question) {
        return ++asked == 1 ? std::string() : answer_to(question, {"192.0.2.9:0"});
    });
    auto options = second.options();
    options.tries = 10;
    options.timeout = 5ms;
    cares_resolver by(options);
    EXPECT_EQ(found(by, "name.coir.test."), "192.0.2.9:80");
}

TEST(cares, goes_on_over_tcp_where_an_answer_was_cut) {
    coir::net::tcp_listener listener("127.0.0.1:0");
    datagram_socket udp{listener.local_address()};
    auto cutting = coir::spawn([&] {
        std::array<char, 1500> buffer;
        datagram const got = udp.receive(std::span<char>(buffer));
        std::string cut = answer_to({buffer.data(), got.size}, {});
        cut[2] |= 2; // TC
        udp.send_to(got.from, cut);
    });
    auto serving = coir::spawn([&] {
        coir::net::tcp_stream peer = listener.accept();
        std::array<char, 2> size;
        peer.read_exactly(size);
        std::string question(std::size_t(static_cast<unsigned char>(size[1])), ' ');
        peer.read_exactly(question);
        std::string const answer = answer_to(question, {"192.0.2.4:0"});
        peer.write_all(bytes({0, int(answer.size())}));
        coir::yield(); // in two pieces
        peer.write_all(answer);
    });
    cares_options options{.servers = listener.local_address().to_string(), .timeout = 10s, .tries = 2};
    options.hosts_file = false;
    cares_resolver by(options);
    EXPECT_EQ(found(by, "name.coir.test."), "192.0.2.4:80");
    cutting.get();
    serving.get();
}

TEST(cares, as_the_resolver_of_a_connection) {
    name_server server([](std::string const& question) { return answer_to(question, {"127.0.0.1:0"}); });
    coir::net::tcp_listener listener("127.0.0.1:0");
    auto const by = std::make_shared<cares_resolver>(server.options());
    coir::net::resolver::set_default(by);
    auto const peer = coir::net::connect("name.coir.test.", listener.local_address().port(),
                                         {.lookup = {.family = AF_INET, .configured_only = false}});
    coir::net::resolver::set_default(nullptr);
    EXPECT_EQ(peer.peer_address(), listener.local_address());
}

TEST(cares, options_that_are_none) {
    failure const error = failure_of([] { cares_resolver({.servers = "no server"}); });
    EXPECT_EQ(error.code, EINVAL);
    EXPECT_NE(error.text.find("\"no server\""), std::string::npos) << error.text;
    cares_resolver files;
    EXPECT_EQ(found(files, "localhost"), "127.0.0.1:80");
    EXPECT_EQ(failure_of([&] { resolve("localhost", "no-such-service", {}, {.with = &files}); }).code, EAI_SERVICE);
}

} // namespace
