// What publish_subscribe, direct and topic have in common: messages go to an exchange, whose type says which of the
// queues that are bound to it get a copy. Each listener has a queue of its own, which is gone when it is.
#pragma once

#include "broker.h"

#include <string>
#include <vector>

struct exchange {
    broker_address where;
    std::string name, type;

    struct message {
        std::string key, body;
    };
    /// Returns when the broker has put them into all the queues they belong into. Nobody may listen. **Blocks.**
    void emit(std::vector<message> const& messages) const;

    /// Makes `to` a listener to what comes under one of `keys`, from now on, and says so. **Blocks.**
    void listen(broker& to, std::string const& listener, std::vector<std::string> const& keys) const;

    /// Prints what comes to a listener: `count` messages, or, if that is 0, all there ever are. **Blocks.**
    static void print(broker& from, std::string const& listener, unsigned count);
    /// All three for one that is alone in its process.
    void listen_and_print(std::vector<std::string> const& keys, unsigned count) const;

    /// A world in one process: everybody listens, each in a fiber of its own, until it has got as much as it is to get;
    /// then the messages are emitted. **Parks.**
    struct listener {
        std::string name;
        std::vector<std::string> keys;
        unsigned count;
    };
    void demonstrate(std::vector<listener> const& listeners, std::vector<message> const& messages) const;
};
