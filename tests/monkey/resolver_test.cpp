#include "tests/monkey/fixture.h"

#include <arpa/inet.h>
#include <cstring>
#include <deque>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <resolv.h>
#include <string>
#include <syslog.h>
#include <vector>

namespace {

using bytes = std::vector<unsigned char>;

// A name server on loopback, which this thread's resolver is told to ask. It keeps the questions until it is to answer.
class name_server {
public:
    name_server() : fd_(checked(socket(AF_INET, SOCK_DGRAM, 0), "socket")) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        checked(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), "bind");
        checked(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
        checked(res_init(), "res_init");
        _res.nscount = 1;
        _res.nsaddr_list[0] = address;
        _res.retrans = 30; // seconds
    }
    ~name_server() {
        close(fd_);
        res_init();
    }
    name_server(name_server const&) = delete;

    void take_question() {
        question one{bytes(512), {}};
        socklen_t size = sizeof one.from;
        auto const length =
            recvfrom(fd_, one.text.data(), one.text.size(), 0, reinterpret_cast<sockaddr*>(&one.from), &size);
        one.text.resize(std::size_t(checked(int(length), "recvfrom")));
        questions_.push_back(one);
    }

    /// To each the address that its number says: hostN.example has 127.0.0.N.
    void answer_all() {
        for (question& each : questions_) {
            auto const number = (unsigned char)std::atoi(reinterpret_cast<char const*>(&each.text[12 + 1 + 4]));
            HEADER header;
            std::memcpy(&header, each.text.data(), sizeof header);
            header.qr = 1;
            header.ra = 1;
            header.ancount = htons(1);
            header.arcount = 0;
            std::memcpy(each.text.data(), &header, sizeof header);
            for (unsigned char byte : {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, int(number)})
                each.text.push_back(byte);
            sendto(fd_, each.text.data(), each.text.size(), 0, reinterpret_cast<sockaddr*>(&each.from),
                   sizeof each.from);
        }
        questions_.clear();
    }

private:
    struct question {
        bytes text;
        sockaddr_in from;
    };
    int fd_;
    std::vector<question> questions_;
};

std::string host(int number) { return "host" + std::to_string(number) + ".example"; }

using ask_it = int (*)(char const* name, unsigned char* answer, int room);

int query(char const* name, unsigned char* answer, int room) { return res_query(name, C_IN, T_A, answer, room); }
int search(char const* name, unsigned char* answer, int room) { return res_search(name, C_IN, T_A, answer, room); }
int query_domain(char const* name, unsigned char* answer, int room) {
    std::string const first(name, std::strchr(name, '.'));
    return res_querydomain(first.c_str(), "example", C_IN, T_A, answer, room);
}
int query_with_own_state(char const* name, unsigned char* answer, int room) {
    struct __res_state own {};
    EXPECT_EQ(res_ninit(&own), 0);
    own.nscount = 1;
    own.nsaddr_list[0] = _res.nsaddr_list[0];
    int const size = res_nquery(&own, name, C_IN, T_A, answer, room);
    EXPECT_EQ(own.res_h_errno, 0);
    res_nclose(&own);
    return size;
}
int send(char const* name, unsigned char* answer, int room) {
    unsigned char question[512];
    int const length = res_mkquery(QUERY, name, C_IN, T_A, nullptr, 0, nullptr, question, sizeof question);
    return res_send(question, length, answer, room);
}

} // namespace

TEST(resolver, many_fibers_ask_at_once_with_the_settings_of_their_thread) {
    name_server server;
    for (ask_it ask : {query, search, query_domain, query_with_own_state, send}) {
        constexpr int asking = 20; // no more than there are workers
        std::vector<coir::fiber<void>> fibers;
        for (int i = 1; i <= asking; ++i)
            fibers.push_back(coir::spawn([i, ask] {
                unsigned char answer[512];
                int const size = ask(host(i).c_str(), answer, sizeof answer);
                ASSERT_GT(size, 4) << hstrerror(h_errno);
                EXPECT_EQ(answer[size - 1], i);
            }));
        for (int i = 0; i < asking; ++i) server.take_question(); // all are under way
        server.answer_all();
        coir::joinall(fibers);
    }
}

TEST(resolver, an_error_is_told_by_h_errno) {
    unsigned char answer[512];
    struct __res_state own {};
    ASSERT_EQ(res_ninit(&own), 0);
    own.nscount = 1;
    own.nsaddr_list[0] = {};
    own.nsaddr_list[0].sin_family = AF_INET;
    own.nsaddr_list[0].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    own.nsaddr_list[0].sin_port = htons(1);
    own.retry = 1;
    h_errno = 0;
    EXPECT_EQ(res_nquery(&own, "host.example", C_IN, T_A, answer, sizeof answer), -1);
    EXPECT_EQ(h_errno, TRY_AGAIN);
    EXPECT_EQ(own.res_h_errno, TRY_AGAIN);
    res_nclose(&own);
}

TEST(resolver, a_killed_fiber_leaves_its_question) {
    name_server server;
    int result = 0, error = 0;
    auto asking = coir::spawn([&] {
        unsigned char answer[512];
        result = query("host1.example", answer, sizeof answer);
        error = errno;
    });
    server.take_question();
    asking.kill();
    EXPECT_EQ(result, -1);
    EXPECT_EQ(error, ECANCELED);
    server.answer_all(); // the worker is not to go on asking when the program ends
}

TEST(entries, each_fiber_has_the_result_of_its_own_call) {
    std::vector<coir::fiber<void>> fibers;
    for (int i = 1; i <= 60; ++i)
        fibers.push_back(coir::spawn([i] {
            std::string const name = "127.0.0." + std::to_string(i);
            hostent const* const found = gethostbyname(name.c_str());
            ASSERT_NE(found, nullptr);
            EXPECT_EQ(found->h_name, name);
            char text[INET_ADDRSTRLEN];
            EXPECT_EQ(inet_ntop(AF_INET, found->h_addr_list[0], text, sizeof text), name);
        }));
    coir::joinall(fibers);
}

TEST(entries, what_is_found_is_what_a_plain_thread_finds_and_others_run) {
    auto const root = [] {
        passwd const* const user = getpwuid(0);
        passwd const* const same = getpwnam("root");
        struct group const* const group = getgrgid(0);
        if (!user || !same || !group) return std::string("not found");
        struct group const* const same_group = getgrnam(group->gr_name);
        return std::string(user->pw_dir) + " " + same->pw_shell + " " + group->gr_name + " " +
               (same_group ? same_group->gr_name : "?");
    };
    EXPECT_EQ(root(), coir::offload(root));
    EXPECT_TRUE(lets_others_run(root));
    sockaddr_in loopback{};
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto const reverse = [&] {
        hostent const* const found = gethostbyaddr(&loopback.sin_addr, sizeof loopback.sin_addr, AF_INET);
        return std::string(found ? found->h_name : hstrerror(h_errno));
    };
    EXPECT_EQ(reverse(), coir::offload(reverse));
}

TEST(entries, what_is_not_there_is_null_and_says_why) {
    errno = 0;
    EXPECT_EQ(getpwnam("no-such-user-here"), nullptr);
    EXPECT_EQ(getgrnam("no-such-group-here"), nullptr);
    EXPECT_EQ(errno, 0);
    h_errno = 0;
    EXPECT_EQ(gethostbyname("no-such-host.invalid"), nullptr);
    int const in_fiber = h_errno;
    EXPECT_NE(in_fiber, 0);
    EXPECT_EQ(coir::offload([] {
                  gethostbyname("no-such-host.invalid");
                  return h_errno;
              }),
              in_fiber);
}

TEST(entries, the_forms_with_room_of_the_caller_let_others_run) {
    hostent entry, *found = nullptr;
    char room[1024];
    int error = 0;
    EXPECT_TRUE(lets_others_run(
        [&] { EXPECT_EQ(gethostbyname_r("localhost", &entry, room, sizeof room, &found, &error), 0); }));
    EXPECT_EQ(found, &entry);
    EXPECT_EQ(gethostbyname_r("localhost", &entry, room, 1, &found, &error), ERANGE);
    EXPECT_EQ(error, NETDB_INTERNAL);
}

// The two are not used again: glibc's thread tells of the first lookup after gai_error() does, and would take the
// second for it.
TEST(background_lookups, suspending_waits_for_one_and_GAI_WAIT_for_all) {
    gaicb one{}, two{}, three{};
    one.ar_name = two.ar_name = "localhost";
    three.ar_name = "127.0.0.1";
    gaicb *first[] = {&one}, *others[] = {&two, &three};
    ASSERT_EQ(getaddrinfo_a(GAI_NOWAIT, first, 1, nullptr), 0);
    while (gai_error(&one) == EAI_INPROGRESS) {
        gaicb const* waited[] = {&one};
        int const result = gai_suspend(waited, 1, nullptr);
        EXPECT_TRUE(result == 0 || result == EAI_ALLDONE) << gai_strerror(result);
    }
    ASSERT_EQ(getaddrinfo_a(GAI_WAIT, others, 2, nullptr), 0);
    for (gaicb* each : {&one, &two, &three}) {
        EXPECT_EQ(gai_error(each), 0);
        freeaddrinfo(each->ar_result);
    }
}

// None is used again, for the same reason.
TEST(background_lookups, suspending_lets_others_run_and_has_a_limit) {
    static std::deque<gaicb> all;
    auto const begin = [] {
        all.emplace_back().ar_name = "localhost";
        gaicb* list[] = {&all.back()};
        EXPECT_EQ(getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr), 0);
        return &all.back();
    };
    auto const end = [](gaicb* one) {
        gaicb const* waited[] = {one};
        while (gai_error(one) == EAI_INPROGRESS) gai_suspend(waited, 1, nullptr);
        freeaddrinfo(one->ar_result);
    };
    EXPECT_TRUE(lets_others_run([&] { end(begin()); }));
    bool over = false;
    for (int attempt = 0; attempt < 1000 && !over; ++attempt) {
        gaicb* const one = begin();
        gaicb const* waited[] = {one};
        timespec const soon{0, 1000};
        int const result = gai_suspend(waited, 1, &soon);
        over = result == EAI_AGAIN || result == EAI_SYSTEM; // which of them: monkey/resolver.cpp
        EXPECT_TRUE(over || result == 0 || result == EAI_ALLDONE) << result;
        end(one);
    }
    EXPECT_TRUE(over);
}

namespace {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat" // %m is no ISO C++
void log_something() { syslog(LOG_DEBUG, "%d and %s: %m", 7, "text"); }
#pragma GCC diagnostic pop
} // namespace

TEST(system_log, writing_lets_others_run) {
    auto log = fd_pair::pipe();
    int const error_output = checked(dup(2), "dup");
    openlog("coir-test", LOG_PERROR, LOG_USER);
    std::string const expected = "coir-test: 7 and text: No such file or directory\n";
    EXPECT_TRUE(lets_others_run([&] {
        checked(dup2(log.second, 2), "dup2");
        errno = ENOENT;
        log_something();
        checked(dup2(error_output, 2), "dup2");
        char text[100]{};
        EXPECT_GT(read(log.first, text, sizeof text - 1), 0);
        EXPECT_EQ(text, expected);
    }));
    closelog();
    close(error_output);
}
