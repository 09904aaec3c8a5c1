#include "tests/net/connection.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <gtest/gtest.h>
#include <ostream>
#include <string>
#include <sys/resource.h>
#include <system_error>

using coir::net::address;

namespace {

struct good {
    char const* text;
    int family;
    unsigned port;
    char const* shown;
};

struct bad {
    std::string text;
    char const* why;
};

// For GoogleTest, which would show the bytes, padding and all.
void PrintTo(good const& row, std::ostream* out) { *out << row.text; }
void PrintTo(bad const& row, std::ostream* out) { *out << row.text; }

std::string name_of(testing::TestParamInfo<good> const& info) { return "row" + std::to_string(info.index); }
std::string name_of_bad(testing::TestParamInfo<bad> const& info) { return "row" + std::to_string(info.index); }

using address_text = testing::TestWithParam<good>;
using address_nonsense = testing::TestWithParam<bad>;

TEST_P(address_text, is_read_and_written) {
    auto const& row = GetParam();
    address const read(row.text);
    EXPECT_EQ(read.family(), row.family);
    EXPECT_EQ(read.port(), row.port);
    EXPECT_EQ(read.to_string(), row.shown);
    EXPECT_EQ(address(read.to_string()), read);
}

INSTANTIATE_TEST_SUITE_P(
    , address_text,
    testing::Values(good{"127.0.0.1:8001", AF_INET, 8001, "127.0.0.1:8001"}, good{"0.0.0.0:0", AF_INET, 0, "0.0.0.0:0"},
                    good{"255.255.255.255:65535", AF_INET, 65535, "255.255.255.255:65535"},
                    good{"*:80", AF_INET, 80, "0.0.0.0:80"}, good{":80", AF_INET, 80, "0.0.0.0:80"},
                    good{"10.0.0.1:00080", AF_INET, 80, "10.0.0.1:80"}, good{"[::1]:80", AF_INET6, 80, "[::1]:80"},
                    good{"[::]:0", AF_INET6, 0, "[::]:0"},
                    good{"[2001:DB8:0:0::1]:443", AF_INET6, 443, "[2001:db8::1]:443"},
                    good{"[::ffff:1.2.3.4]:1", AF_INET6, 1, "[::ffff:1.2.3.4]:1"},
                    good{"[fe80::1%1]:22", AF_INET6, 22, "[fe80::1%1]:22"},
                    good{"[fe80::1%lo]:22", AF_INET6, 22, "[fe80::1%1]:22"}),
    name_of);

TEST_P(address_nonsense, is_quoted_and_refused) {
    auto const& row = GetParam();
    try {
        address const read(row.text);
        FAIL() << "read as " << read.to_string();
    } catch (std::system_error const& error) {
        EXPECT_EQ(error.code(), std::error_code(EINVAL, std::generic_category()));
        EXPECT_NE(std::string(error.what()).find(row.why), std::string::npos) << error.what();
    }
}

INSTANTIATE_TEST_SUITE_P(
    , address_nonsense,
    testing::Values(
        bad{"", "address \"\", there is no port"}, bad{"127.0.0.1", "address \"127.0.0.1\", there is no port"},
        bad{"127.0.0.1:", "address \"127.0.0.1:\", the port"}, bad{"127.0.0.1:65536", "the port"},
        bad{"127.0.0.1:-1", "the port"}, bad{"127.0.0.1:+1", "the port"}, bad{"127.0.0.1: 1", "the port"},
        bad{"127.0.0.1:80x", "the port"}, bad{"127.0.0.1:http", "the port"},
        bad{"127.0.0.1:99999999999999999999", "the port"}, bad{"localhost:80", "\"localhost:80\", it is no numeric"},
        bad{"127.1:80", "no numeric"}, bad{"256.0.0.1:80", "no numeric"}, bad{" 127.0.0.1:80", "no numeric"},
        bad{"::1:80", "stands in brackets"}, bad{"[127.0.0.1]:80", "stands in brackets"},
        bad{"[::1:80", "stands in brackets"}, bad{"[]:80", "no numeric"}, bad{"[:::]:80", "no numeric"},
        bad{"[fe80::1%no-such-interface]:80", "\"[fe80::1%no-such-interface]:80\", there is no such interface"},
        bad{"127.0.0.1%lo:80", "no numeric"}, bad{std::string("127.0.0.1\0:80", 13), "\"127.0.0.1\\x00:80\""},
        bad{"1.2.3.4\n:80", "\"1.2.3.4\\x0a:80\""}, bad{"::", "the port"}, bad{"[::1]80", "the port"}),
    name_of_bad);

TEST(address, an_interface_that_cannot_be_looked_up_is_not_said_to_be_missing) {
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit const none{0, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    int error = 0;
    try {
        address("[fe80::1%lo]:80");
    } catch (std::system_error const& thrown) {
        error = thrown.code().value();
    }
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(error, EMFILE);
}

TEST(address, from_an_ip_and_a_port) {
    EXPECT_EQ(address::ip("127.0.0.1", 80), address("127.0.0.1:80"));
    EXPECT_EQ(address::ip("::1", 80), address("[::1]:80"));
    EXPECT_THROW(address::ip("127.0.0.1:80", 80), std::system_error);
    EXPECT_THROW(address::ip("[::1]", 80), std::system_error);
    EXPECT_THROW(address::ip("", 80), std::system_error);
}

TEST(address, differs_by_family_host_port_and_interface) {
    EXPECT_NE(address("127.0.0.1:80"), address("127.0.0.1:81"));
    EXPECT_NE(address("127.0.0.1:80"), address("127.0.0.2:80"));
    EXPECT_NE(address("0.0.0.0:80"), address("[::]:80"));
    EXPECT_NE(address("[::1]:80"), address("[::2]:80"));
    EXPECT_NE(address("[fe80::1%1]:80"), address("[fe80::1%2]:80"));
    EXPECT_EQ(address("[::1]:80").with_port(81), address("[::1]:81"));
}

TEST(address, goes_to_the_kernel_and_back) {
    for (char const* text : {"127.0.0.1:8001", "[fe80::1%1]:80"}) {
        address const there(text);
        EXPECT_EQ(address::from_native(there.native(), there.native_size()), there);
    }
    sockaddr_in const plain = [] {
        sockaddr_in made{};
        made.sin_family = AF_INET;
        made.sin_port = htons(8001);
        made.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return made;
    }();
    auto const* native = reinterpret_cast<sockaddr const*>(&plain);
    EXPECT_EQ(address::from_native(native, sizeof plain), address("127.0.0.1:8001"));
    EXPECT_THROW(address::from_native(native, sizeof plain - 9), std::system_error);
    EXPECT_THROW(address::from_native(native, 1), std::system_error);
    sockaddr other{};
    other.sa_family = AF_NETLINK;
    EXPECT_THROW(address::from_native(&other, sizeof other), std::system_error);
}

TEST(address, of_a_unix_socket) {
    address const path("unix:/run/x.socket"), abstract("unix:@x"), unnamed("unix:");
    EXPECT_EQ(path.family(), AF_UNIX);
    EXPECT_EQ(path.unix_name(), "/run/x.socket");
    EXPECT_EQ(abstract.unix_name(), "@x");
    EXPECT_EQ(unnamed.unix_name(), "");
    EXPECT_EQ(path.port(), 0);
    EXPECT_EQ(path.with_port(80), path);
    EXPECT_FALSE(path.is_ip());
    for (address const& each : {path, abstract, unnamed}) {
        EXPECT_EQ(address(each.to_string()), each);
        EXPECT_EQ(address::from_native(each.native(), each.native_size()), each);
    }
    EXPECT_NE(path, abstract);
    EXPECT_NE(path, unnamed);
    EXPECT_NE(abstract, address("unix:@xy"));
    EXPECT_EQ(abstract.native_size(), offsetof(sockaddr_un, sun_path) + 2) << "a NUL more would be another name";
    EXPECT_EQ(address::unix_socket(std::string("@a\0b\n", 5)).to_string(), "unix:@a\\x00b\\x0a");
}

TEST(address, of_a_unix_socket_is_not_cut) {
    std::string const longest(107, 'x');
    EXPECT_EQ(address::unix_socket(longest).unix_name(), longest);
    EXPECT_EQ(failure_of([&] { address::unix_socket(longest + "y"); }).code, ENAMETOOLONG);
    EXPECT_EQ(failure_of([] { address::unix_socket({"/a\0b", 4}); }).code, EINVAL);
    sockaddr_un without_nul{};
    without_nul.sun_family = AF_UNIX;
    std::fill(std::begin(without_nul.sun_path), std::end(without_nul.sun_path), 'x');
    address const full = address::from_native(reinterpret_cast<sockaddr*>(&without_nul), sizeof without_nul);
    EXPECT_EQ(full.unix_name(), std::string(108, 'x'));
    EXPECT_EQ(full.native_size(), sizeof without_nul);
    EXPECT_EQ(failure_of([&] {
                  address::from_native(reinterpret_cast<sockaddr*>(&without_nul), sizeof without_nul + 1);
              }).code,
              EINVAL);
}

TEST(address, none) {
    address const none;
    EXPECT_EQ(none.family(), AF_UNSPEC);
    EXPECT_EQ(none.to_string(), "nowhere");
    EXPECT_EQ(none, address());
    EXPECT_NE(none, address("0.0.0.0:0"));
}

} // namespace
