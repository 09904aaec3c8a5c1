#include "broker.h"

#include <amqp_tcp_socket.h>
#include <cerrno>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace {

constexpr amqp_channel_t channel = 1; // the only one

amqp_bytes_t bytes(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }
std::string text(amqp_bytes_t const& of) { return of.len ? std::string(static_cast<char*>(of.bytes), of.len) : ""; }

// amqp_socket_open keeps the kernel's reason to itself: whoever asks again is told. 0 if it works now.
int reason_of_refusal(broker_address const& where) {
    addrinfo hint{};
    hint.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hint, &found) != 0) return 0;
    int reason = 0;
    for (addrinfo const* each = found; each; each = each->ai_next) {
        int const fd = ::socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, each->ai_protocol);
        reason = fd < 0 || ::connect(fd, each->ai_addr, each->ai_addrlen) != 0 ? errno : 0;
        if (fd >= 0) ::close(fd);
        if (reason == 0) break;
    }
    ::freeaddrinfo(found);
    return reason;
}

} // namespace

broker_address broker_address::parse(std::string const& text) {
    std::string url = text.find("://") == text.npos ? "amqp://" + text : text;
    amqp_connection_info parts;
    if (text.empty() || amqp_parse_url(url.data(), &parts) != AMQP_STATUS_OK || parts.ssl)
        throw std::invalid_argument(fmt::format("'{}' is neither HOST:PORT nor amqp://…", text));
    return {parts.host, parts.port, parts.user, parts.password, parts.vhost};
}

std::string broker_address::to_string() const { return fmt::format("{}:{}", host, port); }

broker::broker(broker_address const& where, int heartbeat)
    : where_(where.to_string()), connection_(amqp_new_connection(), amqp_destroy_connection) {
    amqp_socket_t* const socket = connection_ ? amqp_tcp_socket_new(connection_.get()) : nullptr;
    if (!socket) throw std::bad_alloc();
    int const status = amqp_socket_open(socket, where.host.c_str(), where.port);
    if (status == AMQP_STATUS_SOCKET_ERROR)
        if (int const reason = reason_of_refusal(where))
            throw std::system_error(reason, std::generic_category(), "connect " + where_);
    if (status != AMQP_STATUS_OK) fail(0, fmt::format("connect {}: {}", where_, amqp_error_string2(status)));
    log_in(where, heartbeat);
    amqp_channel_open(connection_.get(), channel);
    check_last("open", "a channel");
    amqp_confirm_select(connection_.get(), channel);
    check_last("turn on", "confirmations");
}

// The broker tells that a queue was deleted only to those that have said that they understand it.
void broker::log_in(broker_address const& where, int heartbeat) {
    amqp_table_entry_t told{};
    told.key = amqp_cstring_bytes("consumer_cancel_notify");
    told.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    told.value.value.boolean = 1;
    amqp_table_entry_t capabilities{};
    capabilities.key = amqp_cstring_bytes("capabilities");
    capabilities.value.kind = AMQP_FIELD_KIND_TABLE;
    capabilities.value.value.table = {1, &told};
    amqp_table_t const properties{1, &capabilities};
    check(amqp_login_with_properties(connection_.get(), where.vhost.c_str(), 0, AMQP_DEFAULT_FRAME_SIZE, heartbeat,
                                     &properties, AMQP_SASL_METHOD_PLAIN, where.user.c_str(), where.password.c_str()),
          "log in as", where.user);
}

broker::~broker() {
    if (!failed_) amqp_connection_close(connection_.get(), AMQP_REPLY_SUCCESS);
}

void broker::declare_queue(std::string const& name, kept how) {
    amqp_queue_declare(connection_.get(), channel, bytes(name), 0, how == kept::on_disk, 0, 0, amqp_empty_table);
    check_last("declare queue", name);
}

std::string broker::declare_own_queue() {
    auto const* const made =
        amqp_queue_declare(connection_.get(), channel, amqp_empty_bytes, 0, 0, 1, 1, amqp_empty_table);
    check_last("declare a queue", "of its own");
    return text(made->queue);
}

broker::queue_state broker::look_at(std::string const& name) {
    auto const* const seen = amqp_queue_declare(connection_.get(), channel, bytes(name), 1, 0, 0, 0, amqp_empty_table);
    check_last("look at queue", name);
    return {seen->message_count, seen->consumer_count};
}

void broker::delete_queue(std::string const& name) {
    amqp_queue_delete(connection_.get(), channel, bytes(name), 0, 0);
    check_last("delete queue", name);
}

void broker::declare_exchange(std::string const& name, std::string const& type) {
    amqp_exchange_declare(connection_.get(), channel, bytes(name), bytes(type), 0, 0, 0, 0, amqp_empty_table);
    check_last("declare exchange", name);
}

void broker::bind(std::string const& queue, std::string const& exchange, std::string const& key) {
    amqp_queue_bind(connection_.get(), channel, bytes(queue), bytes(exchange), bytes(key), amqp_empty_table);
    check_last("bind a queue to exchange", exchange);
}

void broker::publish(std::string const& exchange, std::string const& key, std::string_view body, kept how) {
    send(exchange, key, false, body, how);
}

void broker::publish_to_queue(std::string const& name, std::string_view body, kept how) {
    send("", name, true, body, how);
}

void broker::send(std::string const& exchange, std::string const& key, bool to_queue, std::string_view body, kept how) {
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties.delivery_mode = how == kept::on_disk ? AMQP_DELIVERY_PERSISTENT : AMQP_DELIVERY_NONPERSISTENT;
    check(amqp_basic_publish(connection_.get(), channel, bytes(exchange), bytes(key), to_queue, 0, &properties,
                             bytes(body)),
          "publish to", to_queue ? key : exchange);
    unconfirmed_.insert(++published_);
}

void broker::flush() {
    std::string returned;
    while (!unconfirmed_.empty()) {
        amqp_maybe_release_buffers(connection_.get());
        amqp_frame_t frame;
        check(amqp_simple_wait_frame(connection_.get(), &frame), "wait for", "confirmations");
        if (frame.frame_type != AMQP_FRAME_METHOD) unexpected(frame);
        auto const& method = frame.payload.method;
        if (method.id == AMQP_BASIC_ACK_METHOD) {
            auto const* const ack = static_cast<amqp_basic_ack_t*>(method.decoded);
            if (ack->multiple)
                unconfirmed_.erase(unconfirmed_.begin(), unconfirmed_.upper_bound(ack->delivery_tag));
            else
                unconfirmed_.erase(ack->delivery_tag);
        } else if (method.id == AMQP_BASIC_RETURN_METHOD) { // comes before the confirmation
            auto const* const back = static_cast<amqp_basic_return_t*>(method.decoded);
            returned = fmt::format("publish to queue {}: {} {}", text(back->routing_key), back->reply_code,
                                   text(back->reply_text));
            amqp_message_t message;
            check(amqp_read_message(connection_.get(), channel, &message, 0), "read", "what came back");
            amqp_destroy_message(&message);
        } else if (method.id == AMQP_BASIC_CANCEL_METHOD) {
            cancelled_ = true;
        } else {
            unexpected(frame);
        }
    }
    if (!returned.empty()) fail(AMQP_NO_ROUTE, returned);
}

void broker::consume(std::string const& queue, unsigned ahead, bool exclusive) {
    amqp_basic_qos(connection_.get(), channel, 0, std::uint16_t(ahead), 0);
    check_last("limit what comes from queue", queue);
    amqp_basic_consume(connection_.get(), channel, bytes(queue), amqp_empty_bytes, 0, 0, exclusive, amqp_empty_table);
    check_last("consume from queue", queue);
    source_ = queue;
}

delivery broker::receive() { return *take(nullptr); }

std::optional<delivery> broker::receive_now() {
    timeval const now{};
    return take(&now);
}

std::optional<delivery> broker::take(timeval const* patience) {
    if (cancelled_) fail(AMQP_NOT_FOUND, fmt::format("receive from queue {}: it was deleted", source_));
    amqp_maybe_release_buffers(connection_.get());
    amqp_envelope_t envelope;
    auto const reply = amqp_consume_message(connection_.get(), &envelope, patience, 0);
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        if (patience && reply.library_error == AMQP_STATUS_TIMEOUT) return {};
        if (reply.library_error == AMQP_STATUS_UNEXPECTED_STATE) { // it is no message, and was put back
            amqp_frame_t frame;
            check(amqp_simple_wait_frame(connection_.get(), &frame), "receive from queue", source_);
            unexpected(frame);
        }
    }
    check(reply, "receive from queue", source_);
    delivery came{text(envelope.message.body), text(envelope.routing_key), envelope.delivery_tag,
                  envelope.redelivered != 0};
    amqp_destroy_envelope(&envelope);
    return came;
}

void broker::acknowledge(delivery const& done) {
    check(amqp_basic_ack(connection_.get(), channel, done.tag, 0), "acknowledge to queue", source_);
}

// What the broker sends unasked.
void broker::unexpected(amqp_frame_t const& frame) {
    if (frame.frame_type == AMQP_FRAME_METHOD) {
        auto const& method = frame.payload.method;
        switch (method.id) {
        case AMQP_BASIC_CANCEL_METHOD:
            fail(AMQP_NOT_FOUND, fmt::format("receive from queue {}: it was deleted", source_));
        case AMQP_BASIC_NACK_METHOD: fail(0, fmt::format("publish: {} could not take a message", where_));
        case AMQP_CHANNEL_CLOSE_METHOD:
        case AMQP_CONNECTION_CLOSE_METHOD: closed(method, "wait for", where_);
        default: fail(0, fmt::format("{} sent {}", where_, amqp_method_name(method.id)));
        }
    }
    fail(0, fmt::format("{} sent a frame of type {}", where_, frame.frame_type));
}

void broker::check(int status, std::string_view doing, std::string_view object) {
    if (status == AMQP_STATUS_OK) return;
    std::string const what = fmt::format("{} {} at {}", doing, object, where_);
    failed_ = true;
    // The library's last call was the one that failed.
    if (status == AMQP_STATUS_SOCKET_ERROR && errno) throw std::system_error(errno, std::generic_category(), what);
    throw broker_error(0, fmt::format("{}: {}", what, amqp_error_string2(status)));
}

void broker::check(amqp_rpc_reply_t const& reply, std::string_view doing, std::string_view object) {
    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL: return;
    case AMQP_RESPONSE_SERVER_EXCEPTION: closed(reply.reply, doing, object);
    case AMQP_RESPONSE_LIBRARY_EXCEPTION: return check(reply.library_error, doing, object);
    default: fail(0, fmt::format("{} {} at {}: no reply", doing, object, where_));
    }
}

void broker::check_last(std::string_view doing, std::string_view object) {
    check(amqp_get_rpc_reply(connection_.get()), doing, object);
}

void broker::closed(amqp_method_t const& by, std::string_view doing, std::string_view object) {
    auto const said = [&](auto const* why) { return std::pair(int(why->reply_code), text(why->reply_text)); };
    auto const [code, reason] = by.id == AMQP_CHANNEL_CLOSE_METHOD
                                    ? said(static_cast<amqp_channel_close_t*>(by.decoded))
                                    : said(static_cast<amqp_connection_close_t*>(by.decoded));
    fail(code, fmt::format("{} {}: {} {}", doing, object, code, reason));
}

void broker::fail(int code, std::string const& what) {
    failed_ = true;
    throw broker_error(code, what);
}
