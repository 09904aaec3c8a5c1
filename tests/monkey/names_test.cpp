#include "tests/monkey/fixture.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string>

namespace {

struct answer {
    int status;
    std::string addresses;
};

answer ask(char const* node, char const* service, int flags = 0) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* found = nullptr;
    int const status = getaddrinfo(node, service, &hints, &found);
    std::string addresses;
    for (addrinfo* each = found; each; each = each->ai_next) {
        char host[100], port[100];
        EXPECT_EQ(getnameinfo(each->ai_addr, each->ai_addrlen, host, sizeof host, port, sizeof port,
                              NI_NUMERICHOST | NI_NUMERICSERV),
                  0);
        addresses += std::string(host) + " " + port + "\n";
    }
    if (found) freeaddrinfo(found);
    return {status, addresses};
}

} // namespace

TEST(names, a_lookup_in_a_fiber_answers_as_one_on_a_plain_thread_and_lets_others_run) {
    for (char const* name : {"localhost", "no-such-host.invalid", "127.0.0.1", "::1"}) {
        answer const plain = coir::offload([&] { return ask(name, "http"); });
        answer const fiber = ask(name, "http");
        EXPECT_EQ(fiber.status, plain.status) << name;
        EXPECT_EQ(fiber.addresses, plain.addresses) << name;
    }
    bool other_ran = false;
    auto other = coir::spawn([&] { other_ran = true; });
    ask("localhost", "80");
    EXPECT_TRUE(other_ran);
}

TEST(names, numbers_are_answered_at_once) {
    bool other_ran = false;
    auto other = coir::spawn([&] { other_ran = true; });
    EXPECT_EQ(ask("127.0.0.1", "80").addresses, "127.0.0.1 80\n");
    EXPECT_EQ(ask(nullptr, "80", AI_PASSIVE).status, 0);
    EXPECT_EQ(ask("host", "80", AI_NUMERICHOST).status, EAI_NONAME);
    EXPECT_FALSE(other_ran);
    other.join();
}

TEST(names, no_room_is_left_alone) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char host[] = "h", service[] = "s";
    coir::spawn([&] {
        EXPECT_EQ(getnameinfo(reinterpret_cast<sockaddr*>(&address), sizeof address, host, 0, service, 0, 0), 0);
    }).join();
    EXPECT_STREQ(host, "h");
    EXPECT_STREQ(service, "s");
}

TEST(names, the_reverse_lookup_lets_others_run) {
    bool other_ran = false;
    auto other = coir::spawn([&] { other_ran = true; });
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char host[NI_MAXHOST];
    EXPECT_EQ(getnameinfo(reinterpret_cast<sockaddr*>(&address), sizeof address, host, sizeof host, nullptr, 0, 0), 0);
    EXPECT_TRUE(other_ran);
    other.join();
}
