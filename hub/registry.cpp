#include "hub/registry.h"

#include "fiber/never_destroyed.h"
#include "fiber/sanitizer.h"
#include "fiber/thread_lock.h"
#include "hub/hub.h"
#include "hub/scheduler.h"
#include "hub/worker_pool.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <mutex>
#include <new>
#include <sys/stat.h>
#include <unistd.h>

namespace coir {
namespace {

struct registered {
    hub* made;
    std::uint64_t bit;
    bool hopes; // for another thread to wake it, and has nothing else to wait for
    bool idles; // its thread is a worker of ours that waits for work
};

struct registry {
    thread_lock lock;
    std::vector<registered> hubs;
    std::atomic<bool> changes{
        false}; // hubs does: what a process that forks meanwhile leaves of it to its child is lost

    static registry& instance();

    // What is noted of a hub; of one whose thread is about to end nothing is.
    void note(hub& which, bool registered::*what, bool so) noexcept {
        auto const found = std::ranges::find(hubs, &which, [](registered const& each) { return each.made; });
        if (found != hubs.end()) (*found).*what = so;
    }
    template <class Change>
    void change(Change what) {
        struct change_now {
            std::atomic<bool>& so;
            explicit change_now(std::atomic<bool>& flag) noexcept : so(flag) { so.store(true); }
            ~change_now() { so.store(false); }
        } const now{changes};
        what(hubs);
    }
    std::size_t idling() const noexcept { return std::size_t(std::ranges::count(hubs, true, &registered::idles)); }
};

constinit never_destroyed<registry> the_registry;

registry& registry::instance() { return *the_registry; }

// The kernel's own, which do the work of an io_uring: they are named so (io_uring/io-wq.c, io_uring/sqpoll.c), end when
// they have had nothing to do for some seconds, and wake nobody but by what the ring expects anyway. To
// descriptors for a moment, which a program of one thread may notice.
std::size_t kernel_threads() noexcept {
    std::size_t count = 0;
    DIR* const tasks = opendir("/proc/self/task");
    if (!tasks) return 0;
    while (dirent const* each = readdir(tasks)) {
        char name[8] = {};
        std::string const path = std::string("/proc/self/task/") + each->d_name + "/comm";
        int const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue; // . and ..; or it has just ended
        count += read(fd, name, sizeof name - 1) > 0 && std::strncmp(name, "iou-", 4) == 0;
        close(fd);
    }
    closedir(tasks);
    return count;
}

// Threads that run, other than those of `hubs` hubs and our own idle workers, which the hubs are none of. Where /proc
// cannot be read there may be one.
bool others_run(std::size_t hubs) noexcept {
    struct stat tasks;
    if (stat("/proc/self/task", &tasks) != 0) return true;
    std::size_t const threads = tasks.st_nlink - 2; // proc(5): a directory for each, beside . and ..
    std::size_t const expected = hubs + idle_workers() + sanitizer_threads;
    return threads > expected &&
           (!ring_was_made.load(std::memory_order_relaxed) || threads > expected + kernel_threads());
}

} // namespace

hub_registration::hub_registration(hub& made) : made_(made) {
    registry& all = registry::instance();
    std::lock_guard held{all.lock};
    std::uint64_t taken = shared_bit;
    for (registered const& each : all.hubs) taken |= each.bit;
    bit_ = ~taken ? std::uint64_t{1} << std::countr_one(taken) : shared_bit;
    all.change([&](auto& hubs) { hubs.push_back({&made, bit_, false, false}); });
}

void hub_registration::leave() noexcept {
    registry& all = registry::instance();
    std::lock_guard held{all.lock};
    bit_ = shared_bit;
    all.change([&](auto& hubs) { std::erase_if(hubs, [&](auto const& each) { return each.made == &made_; }); });
}

void for_each_hub(void (*what)(void*, hub&, std::uint64_t), void* argument) {
    registry& all = registry::instance();
    std::lock_guard held{all.lock};
    for (registered const& each : all.hubs) what(argument, *each.made, each.bit);
}

bool post_to_thread(std::uint64_t thread, posted& what) {
    registry& all = registry::instance();
    std::lock_guard held{all.lock};
    auto const found =
        std::ranges::find(all.hubs, thread, [](registered const& each) { return each.made->thread_number(); });
    if (found == all.hubs.end()) return false;
    found->made->post(what);
    return true;
}

outlook begin_hoping(hub& idle, std::string& report) {
    registry& all = registry::instance();
    std::lock_guard held{all.lock};
    if (idle.has_mail()) return outlook::someone_may_wake_it;
    all.note(idle, &registered::hopes, true);
    for (registered const& each : all.hubs)
        if (!each.hopes && !each.idles) return outlook::someone_may_wake_it;
    if (others_run(all.hubs.size() - all.idling())) return outlook::someone_may_wake_it;
    for (registered const& each : all.hubs) // last: what a thread leaves before it ends, or a worker before it idles
        if (each.made->has_mail()) return outlook::someone_may_wake_it;
    all.note(idle, &registered::hopes, false);
    report = idle.report();
    for (registered const& each : all.hubs)
        if (each.made != &idle) report += std::string("on another thread:\n") + each.made->report();
    return outlook::nobody_will;
}

void stop_hoping(hub& idle) noexcept {
    registry& all = registry::instance();
    std::lock_guard held{all.lock};
    all.note(idle, &registered::hopes, false);
}

void worker_idles(hub& of, bool so) noexcept {
    registry& all = registry::instance();
    std::lock_guard held{all.lock};
    all.note(of, &registered::idles, so);
}

void strike_other_hubs(hub* left, std::uint64_t left_bit) noexcept {
    if (!the_registry.existing()) return;
    registry& all = *the_registry;
    new (&all.lock) thread_lock; // another thread may have held it when the process forked …
    if (all.changes.exchange(false)) {
        new (&all.hubs) std::vector<registered>; // … and changed this
        if (left) all.hubs.push_back({left, left_bit, false, false});
    }
    std::erase_if(all.hubs, [&](registered const& each) { return each.made != left; });
    for (registered& each : all.hubs) each.hopes = each.idles = false;
}

} // namespace coir
