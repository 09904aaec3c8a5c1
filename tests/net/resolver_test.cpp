#include "tests/net/connection.h"
#include "tests/rerun.h"

#include <atomic>
#include <cerrno>
#include <dlfcn.h>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using coir::net::address;
using coir::net::lookup;
using coir::net::resolve;
using coir::net::resolver;

namespace {

std::atomic<int> calls{0};          // of getaddrinfo
std::atomic<std::thread::id> by{};  // the last one's thread
std::atomic<bool> held_up{false};   // they wait until this is false
std::atomic<int> answer_instead{0}; // of those for nowhere.example
std::atomic<int> errno_with_it{0};

} // namespace

// libcoir's calls come here: a name server that does not answer, and errors that there are only with one.
extern "C" int getaddrinfo(char const* host, char const* service, addrinfo const* hints, addrinfo** found) {
    static auto const real = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
    ++calls;
    by = std::this_thread::get_id();
    held_up.wait(true);
    if (std::string_view(host) == "nowhere.example" && answer_instead) {
        errno = errno_with_it;
        return answer_instead;
    }
    return real(host, service, hints, found);
}

namespace {

std::string text_of(std::vector<address> const& all) {
    std::string text;
    for (address const& each : all) text += (text.empty() ? "" : " ") + each.to_string();
    return text;
}

void let_go() {
    held_up = false;
    held_up.notify_all();
}

failure failing(int code, int error = 0) {
    answer_instead = code;
    errno_with_it = error;
    return failure_of([] { resolve("nowhere.example", 80); });
}

// What was asked of it, in the order of asking.
struct recording final : resolver {
    std::vector<lookup> asked;
    std::vector<address> answer{"192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.1:80"};
    std::vector<address> look_up(lookup const& what, coir::deadline) override {
        asked.push_back(what);
        return answer;
    }
};

TEST(resolver, numbers_need_nobody) {
    calls = 0;
    EXPECT_EQ(text_of(resolve("127.0.0.1", 80)), "127.0.0.1:80");
    EXPECT_EQ(text_of(resolve("127.0.0.1", "80")), "127.0.0.1:80");
    EXPECT_EQ(text_of(resolve("::1", 0)), "[::1]:0");
    EXPECT_EQ(text_of(resolve("[::1]", "65535")), "[::1]:65535");
    EXPECT_EQ(text_of(resolve("fe80::1%1", 80)), "[fe80::1%1]:80");
    EXPECT_EQ(text_of(resolve("*", 80)), "0.0.0.0:80");
    EXPECT_EQ(text_of(resolve("unix:/run/x.socket", "")), "unix:/run/x.socket");
    EXPECT_EQ(text_of(resolve("unix:@x:y")), "unix:@x:y");
    EXPECT_EQ(text_of(resolve("[::1]:80")), "[::1]:80");
    EXPECT_EQ(text_of(resolve("127.0.0.1:80")), "127.0.0.1:80");
    EXPECT_EQ(text_of(resolve(":80")), "0.0.0.0:80");
    EXPECT_EQ(calls, 0);
}

TEST(resolver, texts_that_are_none) {
    for (char const* wrong : {"", "example.org", "example.org:", "::1:80", "[::1]", "a:b:80", "[::1]x:80"}) {
        failure const error = failure_of([&] { resolve(wrong); });
        EXPECT_EQ(error.code, EINVAL) << wrong << ": " << error.text;
        EXPECT_NE(error.text.find('"' + std::string(wrong) + '"'), std::string::npos) << error.text;
    }
    EXPECT_EQ(failure_of([] { resolve(std::string_view("127.0.0.1\0.example", 18), 80); }).text,
              "look up 127.0.0.1\\x00.example: Name or service not known");
}

TEST(resolver, in_the_order_of_getaddrinfo_on_another_thread) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    ASSERT_EQ(getaddrinfo("localhost", "http", &hints, &list), 0);
    std::vector<address> expected;
    for (addrinfo* each = list; each; each = each->ai_next) {
        address const next = address::from_native(each->ai_addr, each->ai_addrlen);
        if (std::find(expected.begin(), expected.end(), next) == expected.end()) expected.push_back(next);
    }
    freeaddrinfo(list);
    EXPECT_EQ(expected.front().port(), 80);
    EXPECT_EQ(text_of(resolve("localhost", "http")), text_of(expected));
    EXPECT_NE(by.load(), std::this_thread::get_id());
    EXPECT_EQ(text_of(resolve("localhost:http")), text_of(expected));
    EXPECT_EQ(text_of(resolve("localhost", 80, {}, {.family = AF_INET})), "127.0.0.1:80");
}

TEST(resolver, others_run_meanwhile) {
    held_up = true;
    auto looking = coir::spawn([] { return text_of(resolve("localhost", 80, {}, {.family = AF_INET})); });
    coir::yield();
    EXPECT_FALSE(looking.ready());
    let_go();
    EXPECT_EQ(looking.get(), "127.0.0.1:80");
}

TEST(resolver, who_is_late_or_killed_leaves_at_once_and_the_call_goes_on) {
    held_up = true;
    failure const late = failure_of([] { resolve("localhost", 80, 5ms); });
    EXPECT_EQ(late.code, ETIMEDOUT);
    EXPECT_EQ(late.text, "look up localhost: Connection timed out");
    bool unwound = false;
    auto looking = coir::spawn([&] {
        try {
            resolve("localhost", 80);
        } catch (coir::fiber_exit const&) {
            unwound = true;
            throw;
        }
    });
    coir::yield();
    EXPECT_TRUE(looking.kill());
    EXPECT_TRUE(unwound);
    EXPECT_FALSE(coir::with_timeout(5ms, [] { resolve("localhost", 80); })) << "the fiber's own limit, not resolve's";
    let_go();
    EXPECT_FALSE(resolve("localhost", 80).empty());
}

TEST(resolver, errors_say_what_was_looked_up) {
    failure const unknown = failing(EAI_NONAME);
    EXPECT_EQ(unknown.code, EAI_NONAME);
    EXPECT_EQ(unknown.text, "look up nowhere.example: Name or service not known");
    EXPECT_EQ(failing(EAI_AGAIN).text, "look up nowhere.example: Temporary failure in name resolution");
    EXPECT_EQ(failing(EAI_SERVICE).text, "look up nowhere.example, service 80: Servname not supported for ai_socktype");
    failure const system = failing(EAI_SYSTEM, EMFILE);
    EXPECT_EQ(system.code, EMFILE);
    EXPECT_EQ(system.text, "look up nowhere.example: Too many open files");
    answer_instead = 0;
    try {
        resolve("localhost", "no-such-service");
        FAIL();
    } catch (std::system_error const& error) {
        EXPECT_EQ(error.code().category(), coir::net::lookup_category());
        EXPECT_STREQ(error.code().category().name(), "getaddrinfo");
    }
}

TEST(resolver, another_per_call_or_for_all) {
    recording mine;
    EXPECT_EQ(text_of(resolve("[a:b]", "x", {}, {.family = AF_INET6, .configured_only = false, .with = &mine})),
              "192.0.2.1:80 [2001:db8::1]:80")
        << "each once";
    ASSERT_EQ(mine.asked.size(), 1u);
    EXPECT_EQ(mine.asked[0].host + " " + mine.asked[0].service, "a:b x");
    EXPECT_EQ(mine.asked[0].family, AF_INET6);
    EXPECT_FALSE(mine.asked[0].configured_only);

    auto const for_all = std::make_shared<recording>();
    auto const before = resolver::set_default(for_all);
    EXPECT_EQ(before, resolver::system());
    EXPECT_EQ(resolve("b", 7).size(), 2u);
    EXPECT_EQ(for_all->asked.at(0).service, "7");
    EXPECT_EQ(resolver::set_default(nullptr), for_all);
    EXPECT_EQ(for_all.use_count(), 1);
    EXPECT_EQ(text_of(resolve("localhost", 80, {}, {.family = AF_INET})), "127.0.0.1:80");
    EXPECT_EQ(for_all->asked.size(), 1u);
}

// glibc's own files count: with a file of the test's own in the place of /etc/hosts.
TEST_ALONE(resolver, etc_hosts_counts) {
    std::string name = "/tmp/coir-hosts-XXXXXX";
    ASSERT_GE(mkstemp(name.data()), 0);
    std::ofstream(name) << "192.0.2.7 one.coir.test\n192.0.2.9 two.coir.test\n2001:db8::9 two.coir.test\n";
    bool const own = unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                     mount(name.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) == 0;
    if (own) {
        coir::net::resolve_options const any{.configured_only = false};
        EXPECT_EQ(text_of(resolve("one.coir.test", 80, {}, any)), "192.0.2.7:80");
        auto const both = resolve("two.coir.test", "https", {}, any);
        EXPECT_EQ(both.size(), 2u) << text_of(both);
        EXPECT_EQ(text_of(resolve("two.coir.test", 1, {}, {.family = AF_INET6, .configured_only = false})),
                  "[2001:db8::9]:1");
    }
    unlink(name.c_str());
    if (!own) GTEST_SKIP() << "no namespace of its own";
}

} // namespace
