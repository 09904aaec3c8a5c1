#include "monkey/stats.h"

#include "hub/hub.h"
#include "hub/own_fd.h"
#include "monkey/in_fiber.h"
#include "monkey/kernel.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace coir::monkey {

constinit std::atomic<bool> counts_calls{false};

namespace {

struct counts {
    std::atomic<std::uint64_t> calls{0}, parked{0}, waited{0}; // ns
};
constinit counts all[row_count];
constinit std::int64_t started = 0;

constexpr char const* symbols[] = {
#define ALIAS(convention, result, symbol, parameters, arguments, body) #symbol,
#define HOOK(convention, result, symbol, parameters, arguments) #symbol,
#include "monkey/hooks.def"
#undef ALIAS
#undef HOOK
};

std::string line(char const* format, auto... values) {
    char text[160];
    std::snprintf(text, sizeof text, format, values...);
    return text;
}

std::string table() {
    std::vector<unsigned> called;
    for (unsigned i = 0; i < row_count; ++i)
        if (all[i].calls > 0) called.push_back(i);
    std::sort(called.begin(), called.end(), [](unsigned a, unsigned b) {
        auto const key = [](unsigned i) { return std::pair(all[i].waited.load(), all[i].calls.load()); };
        return key(a) > key(b);
    });
    if (called.empty()) return {}; // as most of the small programs that a program starts
    std::string text = line("coir: process %d, %s, %.3f s\n", int(getpid()), program_invocation_short_name,
                            double(steady_now() - started) / 1e9);
    text += line("%-24s %12s %12s %12s\n", "call", "made", "parked", "waited s");
    for (unsigned i : called)
        text += line("%-24s %12llu %12llu %12.3f\n", symbols[i], static_cast<unsigned long long>(all[i].calls),
                     static_cast<unsigned long long>(all[i].parked), double(all[i].waited) / 1e9);
    return text;
}

void write_table() noexcept {
    counts_calls = false;
    char const* const where = std::getenv("COIR_STATS");
    bool const is_path = where && std::strchr(where, '/');
    long const fd = is_path ? kernel(SYS_openat, AT_FDCWD, where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : 2;
    std::string text = table();
    if (fd < 0 && !text.empty()) text = line("coir: COIR_STATS: %s: %s\n", where, std::strerror(int(-fd))) + text;
    for (std::size_t done = 0; done < text.size();) {
        long const written = kernel(SYS_write, fd < 0 ? 2 : fd, text.data() + done, text.size() - done);
        if (written <= 0 && written != -EINTR) return;
        if (written > 0) done += std::size_t(written);
    }
}

// A forked child's are its own.
void forget_counts() noexcept {
    for (counts& each : all) each.calls = each.parked = each.waited = 0;
    started = steady_now();
}

} // namespace

void counted_call::begin() noexcept {
    counts_ = in_fiber() && !own_fd_scope::on_this_thread(); // else coir's own
    if (!counts_) return;
    epoch_ = this_thread.current->epoch;
    begun_ = steady_now();
}

void counted_call::end() noexcept {
    counts& of = all[row_];
    of.calls.fetch_add(1, std::memory_order_relaxed);
    if (this_thread.current->epoch == epoch_) return;
    of.parked.fetch_add(1, std::memory_order_relaxed);
    of.waited.fetch_add(std::uint64_t(steady_now() - begun_), std::memory_order_relaxed);
}

} // namespace coir::monkey

// For libcoir-stats.so (stats_start.cpp).
extern "C" [[gnu::visibility("default")]] void coir_monkey_count_calls() noexcept {
    using namespace coir::monkey;
    started = coir::steady_now();
    counts_calls = true;
    std::atexit([] { write_table(); });
    pthread_atfork(nullptr, nullptr, [] { forget_counts(); });
}
