// A producer and several consumers with a queue between them that knows what is done:
//
//     $ producer_consumer --items 3 --consumers 2
//     consumer 1 has cooked dish 1
//     consumer 2 has cooked dish 2
//     consumer 1 has cooked dish 3
//     3 dishes are done
//
// The queue holds a few items only: put() waits while it is full, so the producer is never far ahead.
#include <CLI/CLI.hpp>
#include <coir.h>
#include <exception>
#include <fmt/format.h>
#include <vector>

int main(int argc, char** argv) try {
    int items = 6, consumers = 2, room = 2;
    CLI::App options{"A producer, consumers, and a queue that is joined."};
    options.add_option("--items", items, "how many are produced")->check(CLI::Range(0, 1000000))->capture_default_str();
    options.add_option("--consumers", consumers, "how many take them")
        ->check(CLI::Range(1, 10000))
        ->capture_default_str();
    options.add_option("--room", room, "how many the queue holds")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }

    coir::joinable_queue<int> dishes(static_cast<std::size_t>(room));
    int done = 0;
    auto const cook = [&](int name) {
        for (int const dish : dishes) { // until the queue is shut down
            coir::yield();              // the work: others run meanwhile
            fmt::print("consumer {} has cooked dish {}\n", name, dish);
            ++done;
            dishes.task_done();
        }
    };
    coir::group all;
    for (int name = 1; name <= consumers; ++name) all.spawn(cook, name);
    auto const producer = coir::spawn([&] {
        for (int dish = 1; dish <= items; ++dish) dishes.put(dish);
    });

    producer.get();
    dishes.join(); // not until it is empty, but until all is done
    fmt::print("{} dishes are done\n", done);
    dishes.shutdown();
    all.join({}, true); // with what a consumer may have thrown
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        fmt::print(stderr, "producer_consumer: write to stdout failed\n");
        return 1;
    }
} catch (std::exception const& error) {
    fmt::print(stderr, "producer_consumer: {}\n", error.what());
    return 1;
}
