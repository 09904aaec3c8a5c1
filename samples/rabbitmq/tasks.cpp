// A work queue: tasks that are sent once and done once at least, whatever happens to the workers or to the broker.
//
//     $ tasks                          sends six, and three workers do them: fibers of one process
//     worker 1 begins 'first.'
//     worker 2 begins 'second..'
//     …
//
//     tasks work [--workers N]         any number of these, on any machine
//     tasks send 'first.' 'second..'   each dot is some time of work
//     tasks status
//
// The queue is durable, the messages are persistent, and `send` ends when the broker has them on disk. A worker
// acknowledges what it has done: what a lost one had begun goes to another. It has one task at a time, so a slow one is
// not sent more than it does.
#include "broker.h"
#include "command.h"

#include <algorithm>
#include <chrono>
#include <coir.h>
#include <string>
#include <vector>

namespace {

struct shop {
    broker_address where;
    std::string queue = "tasks";
    unsigned dot = 200, workers = 3; // ms
    unsigned left = 0;               // how many will still be begun …
    bool endless = true;             // … if that is counted

    void send(std::vector<std::string> const& tasks) {
        broker to{where};
        to.declare_queue(queue, kept::on_disk);
        for (auto const& task : tasks) to.publish_to_queue(queue, task, kept::on_disk);
        to.flush();
        say("{} tasks are sent", tasks.size());
    }

    // A fiber. It knows nothing of the others: what blocks here lets them run.
    void work(unsigned number) {
        broker from{where};
        from.declare_queue(queue, kept::on_disk);
        from.consume(queue, 1);
        while (endless || left > 0) {
            if (!endless) --left;
            delivery const task = from.receive();
            say("worker {} begins '{}'{}", number, task.body, task.redelivered ? " again" : "");
            auto const dots = std::count(task.body.begin(), task.body.end(), '.');
            coir::sleep(std::chrono::milliseconds(dot) * dots); // not C's: that of a killed fiber only ends early
            from.acknowledge(task);
            say("worker {} has done '{}'", number, task.body);
        }
    }

    void open(unsigned count) {
        endless = count == 0;
        left = count;
        std::vector<coir::fiber<void>> all;
        for (unsigned number = 1; number <= workers; ++number)
            all.push_back(coir::spawn({.stack_size = roomy}, &shop::work, this, number));
        join_or_kill(all);
    }

    void tell() {
        broker of{where};
        auto const [waiting, consumers] = of.look_at(queue);
        say("{} tasks wait, {} workers", waiting, consumers);
    }
};

} // namespace

int main(int argc, char** argv) {
    shop all;
    std::vector<std::string> tasks;
    unsigned count = 0;
    CLI::App options{"A work queue: durable, acknowledged, shared out fairly.", "tasks"};
    add_broker_option(options, all.where);
    options.add_option("--queue", all.queue, "which queue")->capture_default_str();
    options.add_option("--dot", all.dot, "ms of work for each dot of a task")
        ->check(CLI::Range(0u, 1000000000u))
        ->capture_default_str();
    options.add_option("--workers", all.workers, "how many fibers work")
        ->check(CLI::Range(1u, 100000u))
        ->capture_default_str();
    auto* const sending = options.add_subcommand("send", "send tasks");
    sending->add_option("task", tasks, "what is to be done")->required();
    auto* const working = options.add_subcommand("work", "do them");
    add_count_option(*working, count);
    auto* const asking = options.add_subcommand("status", "how many wait");
    return run_command(options, argc, argv, [&] {
        if (*sending) {
            all.send(tasks);
        } else if (*working) {
            all.open(count);
        } else if (*asking) {
            all.tell();
        } else {
            tasks = {"first.", "second..", "third...", "fourth....", "fifth.....", "sixth......"};
            all.send(tasks);
            all.open(unsigned(tasks.size()));
        }
        return 0;
    });
}
