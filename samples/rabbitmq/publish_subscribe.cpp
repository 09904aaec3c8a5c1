// Everybody who listens gets every message: an exchange of type fanout.
//
//     $ publish_subscribe              three listeners and what is emitted to them, all in one process
//     one listens
//     …
//     emitted 'Hello'
//     one got 'Hello'
//
//     publish_subscribe receive [--count N]
//     publish_subscribe emit TEXT…
#include "command.h"
#include "exchange.h"

int main(int argc, char** argv) {
    exchange logs{{}, "logs", "fanout"};
    std::vector<std::string> texts;
    unsigned count = 0;
    CLI::App options{"Messages for everybody who listens.", "publish_subscribe"};
    add_broker_option(options, logs.where);
    auto* const emitting = options.add_subcommand("emit", "send messages to whoever listens at the moment");
    emitting->add_option("text", texts, "what to send")->required();
    auto* const receiving = options.add_subcommand("receive", "listen, and print what comes");
    add_count_option(*receiving, count);
    return run_command(options, argc, argv, [&] {
        if (*emitting) {
            std::vector<exchange::message> messages;
            for (auto const& text : texts) messages.push_back({"", text});
            logs.emit(messages);
        } else if (*receiving) {
            logs.listen_and_print({""}, count);
        } else {
            logs.demonstrate({{"one", {""}, 3}, {"two", {""}, 3}, {"three", {""}, 3}},
                             {{"", "Hello"}, {"", "everybody"}, {"", "out there"}});
        }
        return 0;
    });
}
