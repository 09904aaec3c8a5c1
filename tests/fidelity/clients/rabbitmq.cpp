// librabbitmq. A message that nobody takes from a queue dies there in the time that it was given, and is moved to a
// second queue, from which it is consumed.
#include "client.h"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <optional>
#include <sys/time.h>

namespace clients {
namespace {

constexpr amqp_channel_t channel = 1;

class rabbitmq_client final : public client {
public:
    rabbitmq_client(std::string const& where, int limit) {
        if (limit) limit_ = timeval{limit, 0};
        auto const [host, port] = host_and_port(where);
        amqp_socket_t* const socket = amqp_tcp_socket_new(connection_.get());
        if (!socket) throw failure("amqp_tcp_socket_new");
        check(amqp_socket_open(socket, host.c_str(), port));
        check(amqp_login(connection_.get(), "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"));
        amqp_channel_open(connection_.get(), channel);
        check(amqp_get_rpc_reply(connection_.get()));

        std::string const alive = declare(amqp_empty_table);
        amqp_table_entry_t of_dead[2] = {text_entry("x-dead-letter-exchange", ""),
                                         text_entry("x-dead-letter-routing-key", alive.c_str())};
        waiting_ = declare({2, of_dead});
        amqp_basic_consume(connection_.get(), channel, amqp_cstring_bytes(alive.c_str()), amqp_empty_bytes, 0, 1, 1,
                           amqp_empty_table);
        check(amqp_get_rpc_reply(connection_.get()));
    }

    void operation(double wait) override {
        std::string const life = std::to_string(int(wait * 1000)); // ms
        amqp_basic_properties_t properties{};
        properties._flags = AMQP_BASIC_EXPIRATION_FLAG;
        properties.expiration = amqp_cstring_bytes(life.c_str());
        check(amqp_basic_publish(connection_.get(), channel, amqp_empty_bytes, amqp_cstring_bytes(waiting_.c_str()), 0,
                                 0, &properties, amqp_cstring_bytes("waited")));

        amqp_envelope_t envelope;
        check(amqp_consume_message(connection_.get(), &envelope, limit_ ? &*limit_ : nullptr, 0));
        std::string const body(static_cast<char const*>(envelope.message.body.bytes), envelope.message.body.len);
        amqp_destroy_envelope(&envelope);
        expect_answer(body, "waited");
    }

private:
    static amqp_table_entry_t text_entry(char const* key, char const* value) {
        amqp_table_entry_t entry{};
        entry.key = amqp_cstring_bytes(key);
        entry.value.kind = AMQP_FIELD_KIND_UTF8;
        entry.value.value.bytes = amqp_cstring_bytes(value);
        return entry;
    }

    // A queue of this connection alone; the server names it.
    std::string declare(amqp_table_t options) {
        auto const* const queue = amqp_queue_declare(connection_.get(), channel, amqp_empty_bytes, 0, 0, 1, 1, options);
        check(amqp_get_rpc_reply(connection_.get()));
        return std::string(static_cast<char const*>(queue->queue.bytes), queue->queue.len);
    }

    static void check(int status) {
        if (status != AMQP_STATUS_OK) throw failure(amqp_error_string2(status));
    }

    static void check(amqp_rpc_reply_t const& reply) {
        if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
        if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) check(reply.library_error);
        throw failure(reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION ? amqp_method_name(reply.reply.id)
                                                                         : "no reply");
    }

    // The server ends what belongs to the connection when its socket is closed.
    owned<amqp_connection_state_t_, amqp_destroy_connection> connection_{amqp_new_connection()};
    std::optional<timeval> limit_;
    std::string waiting_;
};

known_kind<rabbitmq_client> const rabbitmq{"rabbitmq"};

} // namespace
} // namespace clients
