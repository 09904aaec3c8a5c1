// Each listener gets what is sent under keys that fit its patterns: an exchange of type topic. Keys are words with dots
// between them; in a pattern * stands for one word, # for any number of them, none too.
//
//     $ topic                          three listeners with patterns of their own
//
//     topic receive 'kern.*' '*.critical' [--count N]
//     topic emit kern.critical TEXT…
#include "command.h"
#include "exchange.h"

int main(int argc, char** argv) {
    exchange logs{{}, "topic_logs", "topic"};
    std::string key;
    std::vector<std::string> texts, patterns;
    unsigned count = 0;
    CLI::App options{"Messages for those whose patterns fit.", "topic"};
    add_broker_option(options, logs.where);
    auto* const emitting = options.add_subcommand("emit", "send messages under a key");
    emitting->add_option("key", key, "words with dots between them")->required();
    emitting->add_option("text", texts, "what to send")->required();
    auto* const receiving = options.add_subcommand("receive", "print those whose key fits");
    receiving->add_option("pattern", patterns, "words, * for one and # for any number")->required();
    add_count_option(*receiving, count);
    return run_command(options, argc, argv, [&] {
        if (*emitting) {
            std::vector<exchange::message> messages;
            for (auto const& text : texts) messages.push_back({key, text});
            logs.emit(messages);
        } else if (*receiving) {
            logs.listen_and_print(patterns, count);
        } else {
            logs.demonstrate(
                {{"all", {"#"}, 3}, {"the kernel", {"kern.*"}, 2}, {"what is critical", {"*.critical"}, 2}},
                {{"kern.critical", "a panic"}, {"kern.info", "a device"}, {"cron.critical", "no clock"}});
        }
        return 0;
    });
}
