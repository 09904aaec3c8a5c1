// GNU Pth's side.

#include "peer.h"

#include <pth.h>

namespace {

template <class Body>
pth_t spawn(Body& body, pth_attr_t how) {
    return pth_spawn(
        how, [](void* of) -> void* { return (*static_cast<Body*>(of))(), nullptr; }, &body);
}

pth_attr_t joinable() {
    pth_attr_t const how = pth_attr_new();
    pth_attr_set(how, PTH_ATTR_STACK_SIZE, 65536u);
    return how;
}

double yield(std::size_t count, std::size_t turns, std::size_t depth) {
    auto const turn = [depth] { bench::at_depth(depth, [] { pth_yield(nullptr); }); };
    bool stop = false;
    auto body = [&] {
        while (!stop) turn();
    };
    std::vector<pth_t> all;
    for (std::size_t i = 1; i < count; ++i) all.push_back(spawn(body, joinable()));
    for (int i = 0; i < 2; ++i) turn();
    double const each = bench::cpu_of_each(count * turns, [&] {
        for (std::size_t i = 0; i < turns; ++i) turn();
    });
    stop = true;
    for (pth_t one : all) pth_join(one, nullptr);
    return each;
}

double spawn_one(std::size_t count) {
    auto body = [] {};
    return bench::cpu_of_each(count, [&] {
        for (std::size_t i = 0; i < count; ++i) pth_join(spawn(body, joinable()), nullptr);
    });
}

double mutex(std::size_t count) {
    pth_mutex_t one = PTH_MUTEX_INIT;
    auto body = [&] {
        for (std::size_t i = 0; i < count / 2; ++i) {
            pth_mutex_acquire(&one, FALSE, nullptr);
            pth_yield(nullptr);
            pth_mutex_release(&one);
        }
    };
    return bench::cpu_of_each(count, [&] {
        pth_t const a = spawn(body, joinable()), b = spawn(body, joinable());
        pth_join(a, nullptr);
        pth_join(b, nullptr);
    });
}

} // namespace

int main() {
    if (!pth_init()) return std::perror("pth_init"), 2;
    return bench::answer({
        {"yield", [](auto& of) { return yield(of[0], of[1], of[2]); }},
        {"spawn", [](auto& of) { return spawn_one(of[0]); }},
        {"mutex", [](auto& of) { return mutex(of[0]); }},
    });
}
