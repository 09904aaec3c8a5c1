// For tests of how hooked calls end: what they return, when a handler runs while they wait, and on a thread without
// fibers, where libc's own makes them.
#pragma once

#include "tests/monkey/fixture.h"

#include <csignal>
#include <thread>

namespace {

inline int calls = 0;
inline void count(int) { ++calls; }

struct handler {
    int number;
    struct sigaction before;
    explicit handler(int which, int flags = 0, void (*what)(int) = count) : number(which) {
        struct sigaction action {};
        action.sa_handler = what;
        action.sa_flags = flags;
        checked(sigaction(number, &action, &before), "sigaction");
        calls = 0;
    }
    ~handler() { sigaction(number, &before, nullptr); }
};

// What a call returned, and errno.
struct outcome {
    long result;
    int error;
    bool operator==(outcome const&) const = default;
    friend void PrintTo(outcome const& one, std::ostream* to) { *to << one.result << " with errno " << one.error; }
};
[[maybe_unused]] outcome const interrupted{-1, EINTR};
[[maybe_unused]] outcome const cancelled{-1, ECANCELED};

template <class Call>
outcome outcome_of(Call call) {
    errno = 0;
    long const result = call();
    return {result, errno};
}

// On a thread without fibers.
template <class Call>
outcome natively(Call call) {
    outcome result{};
    std::thread([&] { result = outcome_of(call); }).join();
    return result;
}

// When the handler of `number` runs while it waits.
template <class Call>
outcome with_signal(int number, Call call) {
    auto caller = coir::spawn([&] { return outcome_of(call); });
    until_parked(caller);
    EXPECT_EQ(raise(number), 0);
    return caller.get();
}

// When its fiber is killed while it waits.
template <class Call>
outcome with_kill(Call call) {
    outcome result{};
    auto caller = coir::spawn([&] { result = outcome_of(call); });
    until_parked(caller);
    EXPECT_TRUE(caller.kill());
    return result;
}

} // namespace
