// Whom a session believes, and what it says of those it does not.

#include "tests/net/tls_world.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <openssl/err.h>

using namespace tls_world;
using coir::net::tls_client_certificate;
using coir::net::tls_server_check;

namespace {

// What a client that trusts the root says of a server that is `who`.
failure refusal(tls_identity const& who, std::string_view host = "localhost") {
    auto const server = tls_context::server({.identities = {who}});
    failure const why = failure_of([&] { secured(tls_context::client(trusting()), server, host); });
    EXPECT_EQ(ERR_peek_error(), 0ul);
    return why;
}

failure refusal(wanted const& certificate, std::string_view host = "localhost") {
    return refusal(issue(certificate).identity(), host);
}

bool believes(std::string_view host, issued const& who = local()) {
    failure const why = refusal(who.identity(), host);
    EXPECT_TRUE(why.code == 0 || why.code == int(tls_error::certificate_of_another_host) ||
                why.code == int(tls_error::certificate_of_another_ip))
        << why.text;
    return why.code == 0;
}

bool ends_with(std::string const& text, std::string const& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

struct directory {
    std::string name = "/tmp/coir-tls-XXXXXX";
    directory() {
        if (!mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
    }
    ~directory() { std::filesystem::remove_all(name); }
    std::string write(std::string const& file, std::string const& text) const {
        std::ofstream(name + "/" + file) << text;
        return name + "/" + file;
    }
};

} // namespace

TEST(trust, expired) {
    failure const why =
        refusal({.subject = "old", .names = "DNS:localhost", .issuer = &root(), .from = -7200, .until = -3600});
    EXPECT_EQ(why.code, int(tls_error::certificate_expired));
    EXPECT_EQ(why.text.find("TLS with localhost:"), 0u) << why.text;
    EXPECT_TRUE(ends_with(why.text, "): certificate verify failed: certificate has expired")) << why.text;
    EXPECT_NE(why.text.find(" (127.0.0.1:"), std::string::npos) << why.text;
}

TEST(trust, not_yet_valid) {
    failure const why = refusal({.subject = "new", .names = "DNS:localhost", .issuer = &root(), .from = 3600});
    EXPECT_EQ(why.code, int(tls_error::certificate_not_yet_valid));
    EXPECT_TRUE(ends_with(why.text, "): certificate verify failed: certificate is not yet valid")) << why.text;
}

TEST(trust, self_signed) {
    EXPECT_EQ(refusal({.subject = "myself", .names = "DNS:localhost"}).code, int(tls_error::certificate_self_signed));
}

TEST(trust, of_an_unknown_issuer) {
    issued const stranger = issue({.subject = "stranger", .is_authority = true});
    issued const theirs = issue({.subject = "theirs", .names = "DNS:localhost", .issuer = &stranger});
    EXPECT_EQ(refusal(theirs.identity()).code, int(tls_error::certificate_unknown_issuer));
    EXPECT_EQ(refusal(theirs.identity(stranger.certificate_pem())).code, int(tls_error::certificate_unknown_root));
    // The name of one that is trusted is not its key.
    issued const impostor = issue({.subject = "root of the test", .is_authority = true});
    issued const false_one = issue({.subject = "false", .names = "DNS:localhost", .issuer = &impostor});
    EXPECT_NE(refusal(false_one.identity()).code, 0);
    // One that is no authority issues nothing.
    issued const below_local = issue({.subject = "below", .names = "DNS:localhost", .issuer = &local()});
    EXPECT_NE(refusal(below_local.identity(local().certificate_pem())).code, 0);
}

TEST(trust, chains_of_several) {
    issued const middle = issue({.subject = "middle", .issuer = &root(), .is_authority = true});
    issued const leaf = issue({.subject = "leaf", .names = "DNS:localhost", .issuer = &middle});
    EXPECT_EQ(refusal(leaf.identity(middle.certificate_pem())).text, "");
    EXPECT_EQ(refusal(leaf.identity()).code, int(tls_error::certificate_unknown_issuer));
}

TEST(trust, the_name_of_the_host) {
    EXPECT_TRUE(believes("localhost"));
    EXPECT_TRUE(believes("LOCALHOST"));
    EXPECT_TRUE(believes("localhost."));
    EXPECT_TRUE(believes("a.wild.test"));
    EXPECT_FALSE(believes("wild.test"));
    EXPECT_FALSE(believes("a.b.wild.test"));
    EXPECT_FALSE(believes("localhost.example"));
    EXPECT_FALSE(believes("example.org"));
    EXPECT_TRUE(believes("127.0.0.1"));
    EXPECT_FALSE(believes("127.0.0.2"));
    EXPECT_TRUE(believes("::1"));
    EXPECT_TRUE(believes("[::1]"));
    EXPECT_FALSE(believes("::2"));
    issued const partial = issue({.subject = "partial", .names = "DNS:w*.wild.test", .issuer = &root()});
    EXPECT_FALSE(believes("www.wild.test", partial));
    failure const name = refusal(local().identity(), "example.org");
    EXPECT_EQ(name.code, int(tls_error::certificate_of_another_host)) << name.text;
    EXPECT_TRUE(ends_with(name.text, "certificate verify failed: hostname mismatch")) << name.text;
    failure const ip = refusal(local().identity(), "::2");
    EXPECT_EQ(ip.code, int(tls_error::certificate_of_another_ip)) << ip.text;
    EXPECT_EQ(ip.text.find("TLS with [::2]:"), 0u) << ip.text;
}

TEST(trust, a_host_is_needed) {
    EXPECT_EQ(refusal(local().identity(), "").code, EINVAL);
    EXPECT_EQ(refusal(local().identity(), std::string_view("localhost\0.example", 18)).code, EINVAL);
    EXPECT_NE(refusal(local().identity(), std::string(300, 'x')).code, 0);
}

TEST(trust, is_the_systems_if_nothing_is_said) {
    EXPECT_EQ(failure_of([] { secured(tls_context::client(), server_with()); }).code,
              int(tls_error::certificate_unknown_issuer));
    directory const here;
    setenv("SSL_CERT_FILE", here.write("roots.pem", root().certificate_pem()).c_str(), 1);
    auto const client = tls_context::client();
    unsetenv("SSL_CERT_FILE");
    EXPECT_EQ(secured(client, server_with()).near.peer_subject(), "CN=local");
}

TEST(trust, can_be_dangerously_none) {
    auto const client = tls_context::client({.check = tls_server_check::dangerously_none});
    issued const anyone = issue({.subject = "anyone", .from = -7200, .until = -3600});
    EXPECT_EQ(secured(client, server_with(anyone), "example.org").near.peer_subject(), "CN=anyone");
    EXPECT_EQ(secured(client, server_with(anyone), "").near.peer_subject(), "CN=anyone");
}

TEST(trust, each_side_needs_its_own_context) {
    auto [near, far] = connected();
    EXPECT_THROW(tls_stream::connect(server_with(), std::move(near), "localhost"), std::logic_error);
    EXPECT_THROW(tls_stream::accept(tls_context::client(trusting()), std::move(far)), std::logic_error);
}

TEST(trust, a_refused_server_is_told) {
    auto [near, far] = connected();
    auto client = coir::spawn([near = std::move(near)]() mutable {
        failure_of([&] { tls_stream::connect(tls_context::client(trusting()), std::move(near), "example.org"); });
    });
    auto const server = server_with(issue({.subject = "self", .names = "DNS:localhost"}));
    failure const why = failure_of([&, &far = far] {
        auto session = tls_stream::accept(server, std::move(far));
        read(session, 1);
    });
    EXPECT_NE(why.text.find(": the peer says: unknown CA"), std::string::npos) << why.text;
}

TEST(server_names, choose_the_certificate) {
    issued const first = issue({.subject = "first", .names = "DNS:first.test", .issuer = &root()});
    issued const second = issue({.subject = "second", .names = "DNS:second.test,DNS:*.second.test", .issuer = &root()});
    issued const second_rsa =
        issue({.subject = "second, RSA", .names = "DNS:second.test", .issuer = &root(), .rsa = true});
    auto const server = tls_context::server(
        {.identities = {first.identity(), second.identity(), second_rsa.identity(), local().identity()}});
    auto const shown = [&](std::string_view host, char const* kinds = nullptr) {
        auto const client = tls_context::client(trusting());
        if (kinds) good(SSL_CTX_set1_sigalgs_list(client.native(), kinds));
        auto const made = secured(client, server, host);
        EXPECT_EQ(made.far.server_name(), host);
        return made.near.peer_subject();
    };
    EXPECT_EQ(shown("first.test"), "CN=first");
    EXPECT_EQ(shown("second.test"), "CN=second");
    EXPECT_EQ(shown("second.test", "ECDSA+SHA256:RSA-PSS+SHA256"), "CN=second");
    EXPECT_EQ(shown("second.test", "RSA-PSS+SHA256:ECDSA+SHA256"), "CN=second\\, RSA");
    EXPECT_EQ(shown("a.second.test"), "CN=second");
    EXPECT_EQ(shown("localhost"), "CN=local");
    EXPECT_EQ(failure_of([&] { shown("third.test"); }).code, int(tls_error::certificate_of_another_host))
        << "the first";
    EXPECT_EQ(failure_of([&] { shown("127.0.0.1"); }).code, int(tls_error::certificate_of_another_ip))
        << "no name is sent";
    auto const any = tls_context::client({.check = tls_server_check::dangerously_none});
    EXPECT_EQ(secured(any, server, "third.test").near.peer_subject(), "CN=first");
}

namespace {

issued const& clients_root() {
    static issued const made = issue({.subject = "root of clients", .is_authority = true});
    return made;
}

tls_context asking_server(tls_client_certificate how) {
    return tls_context::server({.identities = {local().identity()},
                                .client_certificate = how,
                                .client_authorities = {clients_root().as_authority()}});
}

// What the server knows of the client, or how it refuses it.
std::string client_seen(tls_context const& server, std::optional<tls_identity> who) {
    tls_client_options options = trusting();
    options.identity = std::move(who);
    auto [near, far] = connected();
    auto client = coir::spawn([client = tls_context::client(options), near = std::move(near)]() mutable {
        return failure_of([&] {
            auto session = tls_stream::connect(client, std::move(near), "localhost");
            session.write_all("x");
            read(session, 1); // TLS 1.3 tells it now
        });
    });
    std::string seen;
    failure const refused = failure_of([&, &far = far] {
        auto session = tls_stream::accept(server, std::move(far));
        read(session, 1);
        session.write_all("y");
        seen = session.peer_subject();
    });
    EXPECT_EQ(client.get().code == 0, refused.code == 0) << client.get().text;
    EXPECT_EQ(client.get().text.find("the peer says: ") != std::string::npos, refused.code != 0) << client.get().text;
    return refused.code ? std::to_string(refused.code) : seen;
}

} // namespace

TEST(client_certificates, are_required_welcome_or_not_wanted) {
    issued const known = issue({.subject = "known", .issuer = &clients_root()});
    issued const unknown = issue({.subject = "unknown", .issuer = &root()});
    std::string const none = std::to_string(int(tls_error::no_client_certificate)),
                      refused = std::to_string(int(tls_error::certificate_unknown_issuer));
    auto const required = asking_server(tls_client_certificate::required);
    EXPECT_EQ(client_seen(required, known.identity()), "CN=known");
    EXPECT_EQ(client_seen(required, std::nullopt), none);
    EXPECT_EQ(client_seen(required, unknown.identity()), refused);
    auto const welcome = asking_server(tls_client_certificate::welcome);
    EXPECT_EQ(client_seen(welcome, known.identity()), "CN=known");
    EXPECT_EQ(client_seen(welcome, std::nullopt), "");
    EXPECT_EQ(client_seen(welcome, unknown.identity()), refused);
    auto const not_wanted = asking_server(tls_client_certificate::not_wanted);
    EXPECT_EQ(client_seen(not_wanted, known.identity()), "");
    only_tls_1_2(required);
    EXPECT_EQ(failure_of([&] { secured(tls_context::client(trusting()), required); }).code != 0, true);
}

TEST(client_certificates, are_known_of_a_session_that_is_resumed) {
    tls_client_options options = trusting();
    options.identity = issue({.subject = "known", .issuer = &clients_root()}).identity();
    auto const client = tls_context::client(options);
    auto const server = asking_server(tls_client_certificate::required);
    coir::net::tcp_listener listener("127.0.0.1:0");
    for (bool again : {false, true}) {
        auto near = coir::net::tcp_stream::connect(listener.local_address());
        auto made = secured(client, server, "localhost", std::move(near), listener.accept());
        EXPECT_EQ(made.far.resumed(), again);
        EXPECT_EQ(made.far.peer_subject(), "CN=known");
        made.far.write_all("x");
        EXPECT_EQ(read(made.near, 1), "x");
    }
}

TEST(pem, of_files_and_of_text) {
    directory const here;
    std::string const chain = here.write("chain.pem", local().certificate_pem());
    std::string const key = here.write("key.pem", local().key_pem("secret"));
    std::string const roots =
        here.write("roots.pem", "some words\n" + clients_root().certificate_pem() + root().certificate_pem());
    auto const server = tls_context::server({.identities = {{tls_pem::file(chain), tls_pem::file(key), "secret"}}});
    auto const client = tls_context::client({.system_authorities = false, .authorities = {tls_pem::file(roots)}});
    EXPECT_EQ(secured(client, server).near.peer_subject(), "CN=local");
}

TEST(pem, what_is_wrong_with_it_is_said) {
    directory const here;
    std::string const chain = here.write("chain.pem", local().certificate_pem()),
                      key = here.write("key.pem", local().key_pem());
    auto const server = [&](std::string const& chain, std::string const& key, std::string const& password = "") {
        return failure_of([&] {
            tls_context::server({.identities = {{tls_pem::file(chain), tls_pem::file(key), password}}});
        });
    };
    EXPECT_EQ(server(chain, key).text, "");
    EXPECT_EQ(server(here.name + "/none", key).text,
              "TLS, certificate in " + here.name + "/none: No such file or directory");
    EXPECT_EQ(server(here.name + "/none", key).code, ENOENT);
    EXPECT_EQ(server(here.name, key).code, EISDIR);
    EXPECT_EQ(server(chain, here.name + "/none").text, "TLS, key in " + here.name + "/none: No such file or directory");
    std::string const empty = here.write("empty.pem", "");
    EXPECT_EQ(server(empty, key).text, "TLS, certificate in " + empty + ": no start line");
    EXPECT_EQ(server(chain, empty).text.find("TLS, key in " + empty + ": "), 0u) << server(chain, empty).text;
    std::string damaged = local().certificate_pem();
    damaged.resize(damaged.size() / 2);
    std::string const half = here.write("half.pem", damaged);
    EXPECT_EQ(server(half, key).text.find("TLS, certificate in " + half + ": "), 0u) << server(half, key).text;
    std::string const one_and_a_half = here.write("more.pem", local().certificate_pem() + damaged);
    EXPECT_NE(server(one_and_a_half, key).code, 0);
    std::string const other = here.write("other.pem", root().key_pem());
    EXPECT_EQ(server(chain, other).text, "TLS, key in " + other + ": key values mismatch");
    std::string const locked = here.write("locked.pem", local().key_pem("secret"));
    EXPECT_EQ(server(chain, locked, "secret").text, "");
    for (auto const* password : {"", "wrong"}) { // and nobody is asked at the terminal
        failure const why = server(chain, locked, password);
        EXPECT_EQ(why.text.find("TLS, key in " + locked + ": "), 0u) << why.text;
    }
    EXPECT_EQ(failure_of([] { tls_context::client({.authorities = {tls_pem::text("x")}}); }).text,
              "TLS, authorities given as text: no start line");
    EXPECT_EQ(failure_of([] { tls_context::server({}); }).code, EINVAL);
    EXPECT_EQ(ERR_peek_error(), 0ul);
}

TEST(errors, have_words) {
    auto const& category = coir::net::tls_category();
    EXPECT_EQ(std::string(category.name()), "tls");
    EXPECT_EQ(category.message(int(tls_error::no_protocol_in_common)), "no application protocol");
    EXPECT_EQ(category.message(int(tls_error::no_client_certificate)), "peer did not return a certificate");
    EXPECT_EQ(category.message(0x7fffffff), "OpenSSL's error 2147483647");
    std::error_code const as_code = tls_error::truncated;
    EXPECT_EQ(as_code.category(), category);
}
