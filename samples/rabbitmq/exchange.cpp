#include "exchange.h"

#include "command.h"

#include <deque>

void exchange::emit(std::vector<message> const& messages) const {
    broker to{where};
    to.declare_exchange(name, type);
    for (auto const& [key, body] : messages) {
        to.publish(name, key, body);
        to.flush();
        say("emitted '{}'{}{}", body, key.empty() ? "" : " to ", key);
    }
}

void exchange::listen(broker& to, std::string const& listener, std::vector<std::string> const& keys) const {
    to.declare_exchange(name, type);
    std::string const queue = to.declare_own_queue();
    for (auto const& key : keys) to.bind(queue, name, key);
    to.consume(queue, 100);
    say("{} listens", listener);
}

void exchange::print(broker& from, std::string const& listener, unsigned count) {
    for (unsigned number = 0; count == 0 || number < count; ++number) {
        delivery const message = from.receive();
        say("{} got '{}'{}{}", listener, message.body, message.key.empty() ? "" : " to ", message.key);
        from.acknowledge(message);
    }
}

void exchange::listen_and_print(std::vector<std::string> const& keys, unsigned count) const {
    broker from{where};
    listen(from, "this", keys);
    print(from, "this", count);
}

void exchange::demonstrate(std::vector<listener> const& listeners, std::vector<message> const& messages) const {
    coir::spawn_options const room{.stack_size = roomy};
    std::deque<broker> connections; // which stay where they are
    std::vector<coir::fiber<void>> all;
    for (auto const& each : listeners) {
        listen(connections.emplace_back(where), each.name, each.keys);
        all.push_back(coir::spawn(room, &exchange::print, std::ref(connections.back()), each.name, each.count));
    }
    all.push_back(coir::spawn(room, &exchange::emit, this, messages));
    join_or_kill(all);
}
