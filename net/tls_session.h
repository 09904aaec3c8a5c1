// A session: OpenSSL's SSL, the stream that it goes over, and the bytes between the two. OpenSSL reads from and writes
// to memory only, so that no call of it waits for the network: who needs bytes, or has some to send, does that outside,
// between two calls. Internal.
//
// It is kept alive by the tls_stream and by the fibers that wait in it, and is for their thread only.
#pragma once

#include "hub/deadline.h"
#include "hub/mutex.h"
#include "net/stream.h"
#include "net/tls_context.h"
#include "net/tls_state.h"

#include <cstddef>
#include <memory>
#include <openssl/ssl.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <system_error>
#include <vector>

namespace coir::net {

class tls_session : public std::enable_shared_from_this<tls_session> {
public:
    /// Nothing has been sent yet. `host` is empty on a server's side. Throws std::system_error.
    tls_session(tls_context const& with, std::unique_ptr<stream> below, std::string_view host);
    tls_session(tls_session const&) = delete;
    tls_session& operator=(tls_session const&) = delete;
    ~tls_session();

    /// **Parks.** Until both sides trust each other. Throws std::system_error.
    void shake_hands(deadline until);

    /// **Parks.** As stream::receive, send and shutdown_write.
    std::size_t receive(std::span<iovec const> into, deadline until);
    std::size_t send(std::span<iovec const> what, deadline until);
    void end_writing(deadline until);

    stream& below() const noexcept { return *below_; }
    SSL* native() const noexcept { return ssl_.get(); }

private:
    friend struct tls_transport; // what OpenSSL reads from and writes to

    // What a call of OpenSSL came to.
    enum class outcome {
        done,
        wants_input, // nothing is here that it could go on with
        ended,       // by the peer's close_notify
        failed,      // for good: failed_ says why
    };

    template <class Call>
    outcome enter(Call call);
    outcome judge(int result) noexcept;

    void complete_handshake(deadline until);
    void await_input(unsigned seen, deadline until);
    void flush(deadline until);
    void see_to_output();
    bool has_input() const noexcept { return input_begin_ < input_end_ || SSL_has_pending(ssl_.get()); }
    bool has_output() const noexcept { return !output_.empty() || sent_ < sending_.size(); }

    [[noreturn]] void fail(std::string const& what, std::error_code why) const;
    void check_open(char const* words) const;
    void lock(mutex& which, char const* words, deadline until);
    std::string with(char const* words) const;

    class turn;

    tls_context const context_; // its callbacks are called for the SSL: it goes later
    std::unique_ptr<stream> below_;
    std::string whom_; // "example.org:443", for messages and for sessions to be resumed; of a server the address
    std::unique_ptr<SSL, freed_by<SSL_free>> ssl_;

    mutex inside_;           // held around each call of OpenSSL, which may park under the shim: files, its own locks
    std::error_code failed_; // OpenSSL must not be called any more
    bool has_ended_writing_ = false;
    context* reader_ = nullptr; // who reads, and who writes: one each
    context* writer_ = nullptr;

    // From the peer. Empty while a fiber waits for more, with the lock held.
    mutex filling_;
    std::vector<std::byte> input_;
    std::size_t input_begin_ = 0, input_end_ = 0;
    bool input_ended_ = false;
    unsigned fills_ = 0; // how often more came

    // To the peer, in the order in which it was encrypted: first what is left of `sending_`, then `output_`, to which
    // OpenSSL may add while a fiber, with the lock held, waits until some of `sending_` is gone.
    mutex flushing_;
    std::vector<std::byte> sending_;
    std::size_t sent_ = 0; // of it
    std::vector<std::byte> output_;
    bool flushes_aside_ = false; // a fiber of the session's own does, or will
    bool out_of_memory_ = false; // output_ could not grow
};

} // namespace coir::net
