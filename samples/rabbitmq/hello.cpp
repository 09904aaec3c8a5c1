// One sends, one receives, and a queue is in between.
//
//     $ hello                       both in one process: while one waits, in a call that blocks, the other runs
//     waiting for messages
//     received 'Hello World!'
//     sent 'Hello World!'           (the broker's word for it came later than the message)
//
//     hello receive [--count N]     or each in its own
//     hello send [TEXT…]
#include "broker.h"
#include "command.h"

#include <coir.h>
#include <string>
#include <vector>

namespace {

void send(broker_address const& where, std::string const& queue, std::vector<std::string> const& texts) {
    broker to{where};
    to.declare_queue(queue); // both do: whoever comes first makes it
    for (auto const& text : texts) {
        to.publish_to_queue(queue, text);
        to.flush();
        say("sent '{}'", text);
    }
}

void begin(broker& from, std::string const& queue) {
    from.declare_queue(queue);
    from.consume(queue, 1);
    say("waiting for messages");
}

void receive(broker& from, unsigned count) {
    for (unsigned number = 0; count == 0 || number < count; ++number) {
        delivery const message = from.receive();
        say("received '{}'", message.body);
        from.acknowledge(message);
    }
}

void both(broker_address const& where, std::string const& queue, std::vector<std::string> const& texts) {
    coir::spawn_options const room{.stack_size = roomy};
    broker from{where};
    begin(from, queue);
    join_or_kill({coir::spawn(room, receive, std::ref(from), unsigned(texts.size())),
                  coir::spawn(room, send, where, queue, texts)});
}

} // namespace

int main(int argc, char** argv) {
    broker_address where;
    std::string queue = "hello";
    std::vector<std::string> texts{"Hello World!"};
    unsigned count = 0;
    CLI::App options{"Sends a message through a RabbitMQ broker, and receives it.", "hello"};
    add_broker_option(options, where);
    options.add_option("--queue", queue, "which queue")->capture_default_str();
    auto* const sending = options.add_subcommand("send", "send messages");
    sending->add_option("text", texts, "what to send")->capture_default_str();
    auto* const receiving = options.add_subcommand("receive", "receive them");
    add_count_option(*receiving, count);
    return run_command(options, argc, argv, [&] {
        if (*sending) {
            send(where, queue, texts);
        } else if (*receiving) {
            broker from{where};
            begin(from, queue);
            receive(from, count);
        } else {
            both(where, queue, texts);
        }
        return 0;
    });
}
