// hiredis.
#include "client.h"

#include <hiredis/hiredis.h>

namespace clients {
namespace {

class redis_client final : public client {
public:
    redis_client(std::string const& where, int limit) {
        auto const [host, port] = host_and_port(where);
        connection_.reset(redisConnect(host.c_str(), port));
        check();
        if (limit && redisSetTimeout(connection_.get(), {limit, 0}) != REDIS_OK) check();
    }

    // Nobody pushes anything: the server answers when the time is over.
    void operation(double wait) override {
        owned<void, freeReplyObject> const owner(
            redisCommand(connection_.get(), "BLPOP nothing %s", in_seconds(wait).c_str()));
        check();
        auto const& reply = *static_cast<redisReply const*>(owner.get());
        if (reply.type == REDIS_REPLY_ERROR) throw failure(std::string(reply.str, reply.len));
        if (reply.type != REDIS_REPLY_NIL) throw failure("a reply of type " + std::to_string(reply.type));
    }

private:
    void check() {
        if (!connection_) throw failure("redisConnect");
        if (connection_->err) throw failure(connection_->errstr);
    }

    owned<redisContext, redisFree> connection_;
};

known_kind<redis_client> const redis{"redis"};

} // namespace
} // namespace clients
