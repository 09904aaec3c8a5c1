// State Threads' side. It has no channels: two conditions and a flag do the same. Its mutexes are handed over in order.

#include "peer.h"

#include <st.h>

namespace {

constexpr int stack_size = 65536;

template <class Body>
st_thread_t spawn(Body& body) {
    return st_thread_create([](void* of) -> void* { return (*static_cast<Body*>(of))(), nullptr; }, &body, 1,
                            stack_size);
}

double yield(std::size_t count, std::size_t turns, std::size_t depth) {
    auto const turn = [depth] { bench::at_depth(depth, [] { st_usleep(0); }); }; // as its manual says
    bool stop = false;
    auto body = [&] {
        while (!stop) turn();
    };
    std::vector<st_thread_t> all;
    for (std::size_t i = 1; i < count; ++i) all.push_back(spawn(body));
    for (int i = 0; i < 2; ++i) turn();
    double const each = bench::cpu_of_each(count * turns, [&] {
        for (std::size_t i = 0; i < turns; ++i) turn();
    });
    stop = true;
    for (st_thread_t one : all) st_thread_join(one, nullptr);
    return each;
}

double spawn_one(std::size_t count) {
    auto body = [] {};
    return bench::cpu_of_each(count, [&] {
        for (std::size_t i = 0; i < count; ++i) st_thread_join(spawn(body), nullptr);
    });
}

double spawn_all(std::size_t count) {
    auto body = [] {};
    std::vector<st_thread_t> all(count);
    return bench::cpu_of_each(count, [&] {
        for (auto& one : all) one = spawn(body);
        for (auto& one : all) st_thread_join(one, nullptr);
    });
}

double mutex(std::size_t count) {
    st_mutex_t const one = st_mutex_new();
    auto body = [&] {
        for (std::size_t i = 0; i < count / 2; ++i) {
            st_mutex_lock(one);
            st_usleep(0);
            st_mutex_unlock(one);
        }
    };
    double const each = bench::cpu_of_each(count, [&] {
        st_thread_t const a = spawn(body), b = spawn(body);
        st_thread_join(a, nullptr);
        st_thread_join(b, nullptr);
    });
    st_mutex_destroy(one);
    return each;
}

} // namespace

int main() {
    if (st_set_eventsys(ST_EVENTSYS_ALT) < 0 || st_init() < 0) return std::perror("st_init"), 2;
    return bench::answer({
        {"yield", [](auto& of) { return yield(of[0], of[1], of[2]); }},
        {"spawn", [](auto& of) { return spawn_one(of[0]); }},
        {"spawn_all", [](auto& of) { return spawn_all(of[0]); }},
        {"mutex", [](auto& of) { return mutex(of[0]); }},
    });
}
