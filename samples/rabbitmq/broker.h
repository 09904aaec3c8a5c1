// A RabbitMQ broker as any program uses it: librabbitmq's blocking calls, a connection with one channel. Nothing here
// knows of fibers. That a call of one lets the others run is the doing of the shim.
//
// For one fiber at a time: librabbitmq's connections are not to be shared by threads, and no more by fibers. So each
// that waits has one of its own. SIGPIPE is no matter: the library sends with MSG_NOSIGNAL.
#pragma once

#include <amqp.h>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

/// The broker refused, or the way to it broke: "declare queue tasks: 406 PRECONDITION_FAILED - …",
/// "receive from queue tasks at 127.0.0.1:5672: connection closed unexpectedly". Where the kernel has a word for it, it
/// is thrown as std::system_error instead: "connect 127.0.0.1:5672: Connection refused".
struct broker_error : std::runtime_error {
    broker_error(int reply, std::string const& what) : std::runtime_error(what), code(reply) {}
    /// The queue does not exist, or was deleted while it was consumed from.
    bool no_queue() const noexcept { return code == 404 || code == 312; }
    int code; ///< AMQP's reply code, 0 if the broker said nothing
};

/// Where it is, and who asks.
struct broker_address {
    std::string host = "127.0.0.1";
    int port = 5672;
    std::string user = "guest", password = "guest", vhost = "/";

    /// Reads `host:port`, and amqp://USER:PASSWORD@HOST:PORT/VHOST, of which everything but the host may be missing.
    /// Throws std::invalid_argument.
    static broker_address parse(std::string const& text);
    std::string to_string() const;
};

/// Whether a queue or a message survives the end of the broker.
enum class kept { in_memory, on_disk };

struct delivery {
    std::string body;
    std::string key; ///< the routing key it was published with
    std::uint64_t tag;
    bool redelivered; ///< somebody may have had it before, and did not acknowledge it
};

/// A connection. All members but the inline ones **block**, and throw broker_error and std::system_error; after that
/// the connection is good for nothing but its destructor.
class broker {
public:
    /// Connects and logs in. `heartbeat`: seconds, after two of which without a sign of life each side gives up the
    /// other; 0 is never. If the broker suggests less (60 as it comes) that counts. Signs are sent by calls of this
    /// class only, so the work between two of them must not take longer than one.
    explicit broker(broker_address const& where, int heartbeat = 0);
    /// Says goodbye unless a call has failed. What was received and not acknowledged goes back to its queue.
    ~broker();
    broker(broker const&) = delete;
    broker& operator=(broker const&) = delete;

    void declare_queue(std::string const& name, kept how = kept::in_memory);
    /// One that the broker names, for this connection only, and as long as that. Returns the name.
    std::string declare_own_queue();
    struct queue_state {
        unsigned messages, consumers; ///< messages that wait; those that consumers hold are not counted
    };
    /// That of a queue which exists.
    queue_state look_at(std::string const& name);
    void delete_queue(std::string const& name);
    /// `type`: "fanout", "direct", "topic".
    void declare_exchange(std::string const& name, std::string const& type);
    void bind(std::string const& queue, std::string const& exchange, std::string const& key);

    /// Sends a message, and does not wait for the broker's word that it has it: flush() does.
    void publish(std::string const& exchange, std::string const& key, std::string_view body,
                 kept how = kept::in_memory);
    /// The same, straight to a queue, which must exist: else flush() says so.
    void publish_to_queue(std::string const& name, std::string_view body, kept how = kept::in_memory);
    /// Until the broker has taken charge of everything that was published: what is kept on disk is there. Where this
    /// connection consumes, too, no message may be on its way meanwhile: one ahead, and that one not acknowledged.
    void flush();

    /// From now on the broker sends messages, at most `ahead` before they are acknowledged; 0 is no limit. With
    /// `exclusive` there must be no other consumer, now or later. Once.
    void consume(std::string const& queue, unsigned ahead, bool exclusive = false);
    /// The next message. That of a queue that is deleted never comes: that is a broker_error with no_queue().
    delivery receive();
    /// The same if it is there already.
    std::optional<delivery> receive_now();
    void acknowledge(delivery const& done);

private:
    void log_in(broker_address const& where, int heartbeat);
    void send(std::string const& exchange, std::string const& key, bool to_queue, std::string_view body, kept how);
    std::optional<delivery> take(timeval const* patience);
    [[noreturn]] void unexpected(amqp_frame_t const& frame);

    // `doing` and `object` make the error's text.
    void check(int status, std::string_view doing, std::string_view object);
    void check(amqp_rpc_reply_t const& reply, std::string_view doing, std::string_view object);
    void check_last(std::string_view doing, std::string_view object);
    [[noreturn]] void fail(int code, std::string const& what);
    [[noreturn]] void closed(amqp_method_t const& by, std::string_view doing, std::string_view object);

    std::string where_;
    std::unique_ptr<amqp_connection_state_t_, int (*)(amqp_connection_state_t)> connection_;
    std::string source_; // the queue that is consumed from
    bool failed_ = false;
    bool cancelled_ = false; // it is gone
    std::uint64_t published_ = 0;
    std::set<std::uint64_t> unconfirmed_; // of the published
};
