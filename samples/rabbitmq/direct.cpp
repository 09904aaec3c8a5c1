// Each listener gets what is sent under the words it has named, here how severe a message is: an exchange of type
// direct.
//
//     $ direct                         two listeners, of which one wants to hear of errors only
//
//     direct receive error [warning info …] [--count N]
//     direct emit error TEXT…
#include "command.h"
#include "exchange.h"

int main(int argc, char** argv) {
    exchange logs{{}, "direct_logs", "direct"};
    std::string severity;
    std::vector<std::string> texts, severities;
    unsigned count = 0;
    CLI::App options{"Messages for those who have asked for their kind.", "direct"};
    add_broker_option(options, logs.where);
    auto* const emitting = options.add_subcommand("emit", "send messages of one severity");
    emitting->add_option("severity", severity, "error, or any other word")->required();
    emitting->add_option("text", texts, "what to send")->required();
    auto* const receiving = options.add_subcommand("receive", "print those of some severities");
    receiving->add_option("severity", severities, "which")->required();
    add_count_option(*receiving, count);
    return run_command(options, argc, argv, [&] {
        if (*emitting) {
            std::vector<exchange::message> messages;
            for (auto const& text : texts) messages.push_back({severity, text});
            logs.emit(messages);
        } else if (*receiving) {
            logs.listen_and_print(severities, count);
        } else {
            logs.demonstrate({{"the screen", {"info", "warning", "error"}, 3}, {"the alarm", {"error"}, 1}},
                             {{"info", "all is well"}, {"warning", "it is hot"}, {"error", "it burns"}});
        }
        return 0;
    });
}
