// boost.fiber's side: its round-robin scheduler, pooled stacks of 64 KiB without guards.

#include "peer.h"

#include <boost/fiber/all.hpp>
#include <chrono>

namespace {

namespace fibers = boost::fibers;

fibers::pooled_fixedsize_stack stacks{65536};

template <class Body>
fibers::fiber spawn(Body body) {
    return fibers::fiber(fibers::launch::post, std::allocator_arg, stacks, body);
}

double yield(std::size_t count, std::size_t turns, std::size_t depth) {
    auto const turn = [depth] { bench::at_depth(depth, [] { boost::this_fiber::yield(); }); };
    bool stop = false;
    std::vector<fibers::fiber> all;
    for (std::size_t i = 1; i < count; ++i)
        all.push_back(spawn([&] {
            while (!stop) turn();
        }));
    for (int i = 0; i < 2; ++i) turn();
    double const each = bench::cpu_of_each(count * turns, [&] {
        for (std::size_t i = 0; i < turns; ++i) turn();
    });
    stop = true;
    for (auto& one : all) one.join();
    return each;
}

double spawn_one(std::size_t count) {
    return bench::cpu_of_each(count, [&] {
        for (std::size_t i = 0; i < count; ++i) spawn([] {}).join();
    });
}

double spawn_all(std::size_t count) {
    std::vector<fibers::fiber> all(count);
    return bench::cpu_of_each(count, [&] {
        for (auto& one : all) one = spawn([] {});
        for (auto& one : all) one.join();
    });
}

double channel(std::size_t count) {
    fibers::unbuffered_channel<int> there, back;
    auto other = spawn([&] {
        for (int item; there.pop(item) == fibers::channel_op_status::success;) back.push(item);
    });
    double const each = bench::cpu_of_each(count, [&] {
        int item = 0;
        for (std::size_t i = 0; i < count; ++i) there.push(int(i)), back.pop(item);
    });
    there.close();
    other.join();
    return each;
}

double mutex(std::size_t count) {
    fibers::mutex one;
    auto const body = [&] {
        for (std::size_t i = 0; i < count / 2; ++i) {
            one.lock();
            boost::this_fiber::yield();
            one.unlock();
        }
    };
    return bench::cpu_of_each(count, [&] {
        auto a = spawn(body), b = spawn(body);
        a.join();
        b.join();
    });
}

double sleep_all(std::size_t count) {
    auto const now = std::chrono::steady_clock::now();
    std::vector<fibers::fiber> all(count);
    return 1e-6 * bench::cpu_of_each(1, [&] {
               for (std::size_t i = 0; i < count; ++i)
                   all[i] = spawn([at = now + bench::moment_of(i)] { boost::this_fiber::sleep_until(at); });
               for (auto& one : all) one.join();
           });
}

double memory(std::size_t count) {
    bool open = false;
    fibers::mutex lock;
    fibers::condition_variable opened;
    std::vector<fibers::fiber> all(count);
    double const before = bench::memory_now();
    for (auto& one : all)
        one = spawn([&] {
            std::unique_lock held{lock};
            opened.wait(held, [&] { return open; });
        });
    boost::this_fiber::yield();
    double const each = (bench::memory_now() - before) / double(count);
    open = true;
    opened.notify_all();
    for (auto& one : all) one.join();
    return each;
}

} // namespace

int main() {
    return bench::answer({
        {"yield", [](auto& of) { return yield(of[0], of[1], of[2]); }},
        {"spawn", [](auto& of) { return spawn_one(of[0]); }},
        {"spawn_all", [](auto& of) { return spawn_all(of[0]); }},
        {"channel", [](auto& of) { return channel(of[0]); }},
        {"mutex", [](auto& of) { return mutex(of[0]); }},
        {"sleep", [](auto& of) { return sleep_all(of[0]); }},
        {"memory", [](auto& of) { return memory(of[0]); }},
    });
}
