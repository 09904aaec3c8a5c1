#include "net/tls_session.h"

#include "fiber/context.h"
#include "hub/fiber.h"
#include "net/socket.h"
#include "net/tls_error.h"
#include "net/tls_queue.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <netinet/tcp.h>
#include <new>
#include <numeric>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <utility>

namespace coir::net {

// The BIO of a session: what OpenSSL takes for its connection. Never waits; without input it says "again".
struct tls_transport {
    static tls_session& of(BIO* bio) noexcept { return *static_cast<tls_session*>(BIO_get_data(bio)); }

    static int read(BIO* bio, char* into, std::size_t room, std::size_t* got) noexcept {
        tls_session& its = of(bio);
        BIO_clear_retry_flags(bio);
        *got = std::min(room, its.input_end_ - its.input_begin_);
        if (*got == 0) {
            if (!its.input_ended_) BIO_set_retry_read(bio);
            return 0;
        }
        std::memcpy(into, its.input_.data() + its.input_begin_, *got);
        its.input_begin_ += *got;
        return 1;
    }

    static int write(BIO* bio, char const* what, std::size_t size, std::size_t* taken) noexcept {
        tls_session& its = of(bio);
        BIO_clear_retry_flags(bio);
        auto const* const bytes = reinterpret_cast<std::byte const*>(what);
        try {
            its.output_.insert(its.output_.end(), bytes, bytes + size);
        } catch (std::bad_alloc const&) {
            its.out_of_memory_ = true;
            return 0;
        }
        *taken = size;
        return 1;
    }

    static long control(BIO* bio, int what, long, void*) noexcept {
        tls_session const& its = of(bio);
        if (what == BIO_CTRL_EOF) return its.input_ended_ && its.input_begin_ == its.input_end_;
        return what == BIO_CTRL_FLUSH;
    }

    static BIO_METHOD const* method() {
        static BIO_METHOD const* const made = [] {
            BIO_METHOD* const fresh =
                BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coir::net::tls_session");
            if (!fresh || !BIO_meth_set_read_ex(fresh, read) || !BIO_meth_set_write_ex(fresh, write) ||
                !BIO_meth_set_ctrl(fresh, control))
                throw std::bad_alloc();
            return fresh;
        }();
        return made;
    }
};

namespace {

constexpr std::size_t least_input = 4096, most_input = 65536; // bytes that are asked for at once: more if they came
constexpr std::size_t at_once = 65536;      // bytes that are encrypted before they are sent; a record holds 16384
constexpr std::size_t kept = 16384;         // bytes of memory for output that a session keeps while it has none
constexpr std::size_t most_output = 262144; // bytes that may be unsent when more is read: a peer that only asks

bool is_ip(std::string const& host) noexcept {
    in6_addr any;
    return inet_pton(AF_INET, host.c_str(), &any) == 1 || inet_pton(AF_INET6, host.c_str(), &any) == 1;
}

// "[::1]" is how URLs spell it, "example.org." how DNS does.
std::string plain_name(std::string_view host) {
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (host.size() > 1 && host.back() == '.') host.remove_suffix(1);
    return std::string(host);
}

std::string name_with_port(std::string const& host, address const& where) {
    if (!where.is_ip()) return host;
    bool const bare_ipv6 = host.find(':') != std::string::npos;
    return (bare_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(where.port());
}

// What OpenSSL would have queued, had it been another alert.
constexpr auto closed_early = tls_error(ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + SSL_AD_CLOSE_NOTIFY));

std::size_t bytes_in(std::span<iovec const> parts) noexcept {
    return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                           [](std::size_t sum, iovec const& each) { return sum + each.iov_len; });
}

// Several small parts are worth a copy: a record each would cost more.
std::string joined(std::span<iovec const> parts, std::size_t most) {
    std::string all;
    for (iovec const& each : parts)
        all.append(static_cast<char const*>(each.iov_base), std::min(each.iov_len, most - all.size()));
    return all;
}

} // namespace

// One fiber reads and one writes.
class tls_session::turn {
public:
    turn(context*& whose, tls_session const& of, char const* words) : whose_(whose) {
        context& self = context::current();
        if (whose_)
            throw std::logic_error(of.with(words) + ": " + self.name() + " may not, while " + whose_->name() +
                                   " does the same");
        whose_ = &self;
    }
    turn(turn const&) = delete;
    turn& operator=(turn const&) = delete;
    ~turn() { whose_ = nullptr; }

private:
    context*& whose_;
};

tls_session::tls_session(tls_context const& with, std::unique_ptr<stream> below, std::string_view host)
    : context_(with), below_(std::move(below)), ssl_(nullptr) {
    bool const is_server = context_.its_state().is_server();
    std::string const name = plain_name(host);
    address const& peer = below_->peer_address();
    whom_ = is_server ? peer.to_string() : name_with_port(name, peer);
    auto const attempted = [&] { return "TLS with " + whom_; };
    if (!is_server && (host.find('\0') != host.npos || (name.empty() && context_.its_state().checks_name())))
        throw std::system_error(EINVAL, std::generic_category(), attempted() + ": host \"" + name + "\"");

    ERR_clear_error();
    ssl_.reset(SSL_new(context_.native()));
    BIO* const transport = ssl_ ? BIO_new(tls_transport::method()) : nullptr;
    if (!transport) throw_tls_error(attempted());
    BIO_set_data(transport, this);
    BIO_set_init(transport, 1);
    SSL_set_bio(ssl_.get(), transport, transport);
    if (is_server) {
        SSL_set_accept_state(ssl_.get());
        return;
    }

    SSL_set_connect_state(ssl_.get());
    X509_VERIFY_PARAM* const checks = SSL_get0_param(ssl_.get());
    bool good = true;
    if (is_ip(name)) {
        good = X509_VERIFY_PARAM_set1_ip_asc(checks, name.c_str());
    } else if (!name.empty()) {
        X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        good = X509_VERIFY_PARAM_set1_host(checks, name.data(), name.size()) &&
               SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
    }
    if (!good) throw_tls_error(attempted());
    tls_state::keep_sessions_of(ssl_.get(), whom_);
    if (owned_session const earlier = context_.its_state().session_for(whom_))
        SSL_set_session(ssl_.get(), earlier.get()); // if it does not fit any more, a new one is made
}

// A session that was not ended by close_notify may be resumed all the same (RFC 5246, 7.2.1); one that failed may not.
tls_session::~tls_session() {
    if (ssl_ && !failed_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

// The one way into OpenSSL. Its queue of errors is the thread's, so it is empty before and after.
template <class Call>
tls_session::outcome tls_session::enter(Call call) {
    std::lock_guard inside(inside_);
    if (failed_) return outcome::failed;
    ERR_clear_error();
    outcome const how = judge(call(ssl_.get()));
    ERR_clear_error();
    return how;
}

tls_session::outcome tls_session::judge(int result) noexcept {
    if (result > 0) return outcome::done;
    switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return outcome::wants_input;
    case SSL_ERROR_ZERO_RETURN: return outcome::ended;
    default: break;
    }
    bool const about_certificate = ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    long const verdict = SSL_get_verify_result(ssl_.get());
    failed_ = take_tls_error();
    if (about_certificate && verdict != X509_V_OK) failed_ = {int(verdict), tls_category()};
    if (out_of_memory_) failed_ = std::make_error_code(std::errc::not_enough_memory);
    return outcome::failed;
}

// What is sent here is whole, and small where it is the protocol's own: to hold it back until the peer has confirmed
// the last (Nagle) costs 40 ms for nothing.
void tls_session::shake_hands(deadline until) {
    try {
        socket* const plain = below_->plain();
        if (plain && below_->peer_address().is_ip())
            plain->set_option(IPPROTO_TCP, TCP_NODELAY, 1, "set TCP_NODELAY with");
        complete_handshake(until);
    } catch (std::system_error const& error) {
        fail("TLS with " + whom_ + (whom_ == below_->peer_address().to_string() ? "" : with(" (") + ")"), error.code());
    }
}

// Also the handshakes that come later: renegotiation, new keys, a message of TLS 1.3 of which a part has come.
void tls_session::complete_handshake(deadline until) {
    for (;;) {
        check_open("TLS with ");
        unsigned const seen = fills_;
        outcome const how = enter(SSL_do_handshake);
        try {
            flush(until);
        } catch (std::system_error const&) {
            if (how != outcome::failed) throw; // else it was only the alert that tells the peer why
        }
        if (how == outcome::done) return;
        if (how == outcome::ended) fail(with("TLS with "), closed_early);
        if (how == outcome::failed) fail(with("TLS with "), failed_);
        await_input(seen, until);
    }
}

std::size_t tls_session::receive(std::span<iovec const> into, deadline until) {
    turn const mine(reader_, *this, "read from ");
    bool const wants_nothing = bytes_in(into) == 0;
    for (;;) {
        check_open("read from ");
        if (output_.size() > most_output) flush(until);
        unsigned const seen = fills_;
        std::size_t all = 0;
        outcome how = outcome::done;
        if (wants_nothing)
            how = enter([](SSL* ssl) {
                char next;
                return SSL_peek(ssl, &next, 1);
            });
        for (iovec const& part : into)
            for (std::size_t got = 0; how == outcome::done && got < part.iov_len && (all == 0 || has_input());) {
                std::size_t more = 0;
                how = enter([&](SSL* ssl) {
                    return SSL_read_ex(ssl, static_cast<char*>(part.iov_base) + got, part.iov_len - got, &more);
                });
                got += more;
                all += more;
            }
        see_to_output();
        if (all > 0 || how == outcome::done || how == outcome::ended) return all;
        if (how == outcome::failed) fail(with("read from "), failed_);
        await_input(seen, until);
    }
}

// What earlier calls have left goes first: a deadline that passes then means that nothing of `what` was taken.
std::size_t tls_session::send(std::span<iovec const> what, deadline until) {
    turn const mine(writer_, *this, "write to ");
    check_open("write to ");
    if (has_ended_writing_) fail(with("write to "), std::make_error_code(std::errc::broken_pipe));
    while (!what.empty() && what.front().iov_len == 0) what = what.subspan(1);
    if (what.empty()) return 0;
    bool const joins = what.size() > 1 && what.front().iov_len < kept;
    std::string const together = joins ? joined(what, kept) : std::string();
    auto const* const bytes = joins ? together.data() : static_cast<char const*>(what.front().iov_base);
    std::size_t const size = joins ? together.size() : std::min(what.front().iov_len, at_once);

    flush(until);
    output_.reserve(size + size / 64 + kept / 16); // of the ciphertext, which is a little longer
    for (;;) {
        check_open("write to ");
        unsigned const seen = fills_;
        std::size_t taken = 0;
        outcome how = outcome::done;
        while (how == outcome::done && taken < size) {
            std::size_t more = 0;
            how = enter([&](SSL* ssl) { return SSL_write_ex(ssl, bytes + taken, size - taken, &more); });
            taken += more;
        }
        if (how == outcome::failed && taken == 0) {
            see_to_output();
            fail(with("write to "), failed_);
        }
        flush(until);
        if (taken > 0) return taken;
        await_input(seen, until); // a handshake is under way, and nothing of the program's may go between
    }
}

void tls_session::end_writing(deadline until) {
    check_open("end the stream to ");
    if (!has_ended_writing_) {
        if (SSL_in_init(ssl_.get())) complete_handshake(until);
        // It returns 0 as long as the peer has not answered.
        if (enter([](SSL* ssl) { return SSL_shutdown(ssl) >= 0 ? 1 : -1; }) == outcome::failed)
            fail(with("end the stream to "), failed_);
        has_ended_writing_ = true;
    }
    flush(until);
}

// **Parks.** Until something, or the end, has come since `seen` was read, which was before OpenSSL said that it wants
// that. One fiber at a time asks the stream; the other, which writes and cannot without, waits for what that one gets.
void tls_session::await_input(unsigned seen, deadline until) {
    lock(filling_, "read from ", until);
    std::lock_guard const held(filling_, std::adopt_lock);
    if (fills_ != seen) return;
    if (input_.empty() || (input_end_ == input_.size() && input_.size() < most_input))
        input_.resize(std::max(least_input, input_.size() * 2));
    input_begin_ = input_end_ = 0;
    std::size_t const got = below_->read_some(std::span(input_), until);
    ++fills_;
    input_end_ = got;
    if (got == 0) input_ended_ = true;
}

// **Parks.** Until all that was encrypted before the call is sent. Whoever is interrupted here leaves the rest to the
// next: no record is torn.
void tls_session::flush(deadline until) {
    if (!has_output()) return;
    lock(flushing_, "write to ", until);
    std::lock_guard const held(flushing_, std::adopt_lock);
    while (has_output()) {
        if (sent_ == sending_.size()) {
            sending_.clear();
            sending_.swap(output_);
            sent_ = 0;
        }
        sent_ += below_->write_some(std::span<std::byte const>(sending_).subspan(sent_), until);
    }
    sending_.clear();
    sent_ = 0;
    if (sending_.capacity() > kept) std::vector<std::byte>().swap(sending_);
}

// Reading has something to send, or a write was interrupted. That must not keep it from reading: the peer may send only
// what is read, and read only what it could send. So another fiber does it. Never parks: what was read is on its way to
// the caller.
void tls_session::see_to_output() {
    if (!has_output() || flushes_aside_ || flushing_.locked()) return;
    try {
        spawn({.name = "TLS, answers"}, [self = shared_from_this()] {
            try {
                self->flush({});
            } catch (std::system_error const&) {} // the next write is told
            self->flushes_aside_ = false;
        });
        flushes_aside_ = true;
    } catch (std::exception const&) {} // no memory for a fiber: the next call tries again
}

void tls_session::fail(std::string const& what, std::error_code why) const { throw std::system_error(why, what); }

void tls_session::check_open(char const* words) const {
    if (!below_->is_open()) fail(with(words), std::make_error_code(std::errc::bad_file_descriptor));
}

void tls_session::lock(mutex& which, char const* words, deadline until) {
    if (!which.lock(until)) fail(with(words), std::make_error_code(std::errc::timed_out));
}

std::string tls_session::with(char const* words) const { return words + below_->peer_address().to_string(); }

} // namespace coir::net
