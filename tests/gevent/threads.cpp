// Thread pools: code that cannot yield runs elsewhere, and its result is waited for here.
#include "tests/gevent/scenario.h"

#include <condition_variable>
#include <mutex>

using coir::spawn;
using coir::thread_pool;
using coir::yield;

namespace {

int square_or_fail(int n) {
    if (n == 2) throw my_error{"two"};
    return n * n;
}

// The operating system's: threads wait for it. Python: threading.Event.
class thread_event {
public:
    void set() {
        std::lock_guard held{lock_};
        set_ = true;
        changed_.notify_all();
    }
    void wait() {
        std::unique_lock held{lock_};
        changed_.wait(held, [&] { return set_; });
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    bool set_ = false;
};

} // namespace

SCENARIO(a_result_comes_back) {
    thread_pool pool{2};
    auto result = pool.spawn(square_or_fail, 3);
    say("main has", result.get());
    say("ready", result.ready(), "again", result.get());
}

SCENARIO(an_error_comes_back) {
    thread_pool pool{2};
    auto result = pool.spawn(square_or_fail, 2);
    try {
        result.get();
    } catch (my_error const&) {
        say("main sees", caught());
    }
}

SCENARIO(fibers_run_while_a_thread_works) {
    thread_pool pool{1};
    thread_event go_on;
    spawn([&] {
        say("fiber runs");
        go_on.set();
    });
    say("main has", pool.apply([&] {
        go_on.wait();
        return "result";
    }));
}

SCENARIO(apply_throws_what_was_thrown) {
    thread_pool pool{1};
    say("main has", pool.apply(square_or_fail, 4));
    try {
        pool.apply(square_or_fail, 2);
    } catch (my_error const&) {
        say("main sees", caught());
    }
}

SCENARIO(map_keeps_the_order) { say(thread_pool(3).map(square_or_fail, std::vector{5, 3, 4, 1})); }

SCENARIO(map_throws_the_first_error) {
    try {
        thread_pool(3).map(square_or_fail, std::vector{1, 2, 3});
    } catch (my_error const&) {
        say("main sees", caught());
    }
}

SCENARIO(one_thread_takes_them_in_order) {
    std::vector<int> taken;
    thread_pool pool{1};
    auto take = [&](int n) { taken.push_back(n); };
    std::vector results{pool.spawn(take, 0)};
    for (int n = 1; n < 5; ++n) results.push_back(pool.spawn(take, n));
    for (auto& each : results) each.get();
    say(taken);
}

SCENARIO(join_waits_for_all) {
    thread_pool pool{2};
    auto one = pool.spawn(square_or_fail, 1), three = pool.spawn(square_or_fail, 3);
    pool.join();
    say(std::vector{one.ready(), three.ready()});
}

SCENARIO(late_is_not_lost) {
    thread_event go_on;
    thread_pool pool{1};
    auto result = pool.spawn([&] {
        go_on.wait();
        return "result";
    });
    try {
        result.get(10ms);
    } catch (coir::timed_out const&) {
        say("main caught", caught());
    }
    go_on.set();
    say("main has", result.get());
}

SCENARIO(several_wait_for_one) {
    thread_event go_on;
    thread_pool pool{1};
    auto result = pool.spawn([&] {
        go_on.wait();
        return "result";
    });
    auto waiter = [&](char const* name) { say(name, "has", result.get()); };
    std::vector all{spawn(waiter, "a"), spawn(waiter, "b"), spawn(waiter, "c")};
    yield();
    go_on.set();
    coir::joinall(all);
}
