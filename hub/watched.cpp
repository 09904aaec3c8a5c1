#include "hub/watched.h"

#include "hub/hub.h"
#include "hub/per_fd.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <new>
#include <vector>

namespace coir {
namespace {

constinit per_fd<watched_fd> records;

constexpr std::uint64_t shared_bit = std::uint64_t{1} << 63;

struct registered {
    hub* made;
    std::uint64_t bit;
};

// Never destroyed: threads may end after static destruction has begun.
struct registry {
    std::mutex mutex;
    std::vector<registered> hubs;

    static registry& instance() {
        static registry& only = *new registry;
        return only;
    }
};

} // namespace

watched_fd& watched(int fd) {
    watched_fd* const record = records.make(fd);
    if (!record) throw std::bad_alloc();
    return *record;
}

hub_registration::hub_registration(hub& made) : made_(made) {
    registry& all = registry::instance();
    std::lock_guard lock{all.mutex};
    std::uint64_t taken = shared_bit;
    for (registered const& each : all.hubs) taken |= each.bit;
    bit_ = ~taken ? std::uint64_t{1} << std::countr_one(taken) : shared_bit;
    all.hubs.push_back({&made, bit_});
}

hub_registration::~hub_registration() {
    registry& all = registry::instance();
    std::lock_guard lock{all.mutex};
    std::erase_if(all.hubs, [&](registered const& each) { return each.made == &made_; });
}

void strike_other_hubs(hub* left) noexcept {
    registry& all = registry::instance();
    new (&all.mutex) std::mutex; // another thread may have held it when the process forked
    std::erase_if(all.hubs, [&](registered const& each) { return each.made != left; });
}

// The number is taken out of the other hubs' epoll sets here, while it still means the file; their loops learn of it
// when they run what is posted.
void hub::forget_fd(int fd) noexcept {
    watched_fd* const record = records.find(fd);
    if (!record) return;
    std::uint64_t const watchers = record->hubs.exchange(0, std::memory_order_acq_rel);
    if (!watchers) return;
    record->generation.fetch_add(1, std::memory_order_release);
    hub* const here = existing();
    if (here && watchers & here->registration_->bit()) here->loop_->forget(fd);
    if (here && watchers == here->registration_->bit() && here->registration_->bit() != shared_bit) return;
    registry& all = registry::instance();
    std::lock_guard lock{all.mutex};
    for (registered const& each : all.hubs) {
        hub* const other = each.made;
        if (other == here || !(watchers & each.bit)) continue;
        other->loop_->forget_elsewhere(fd);
        other->post([other, fd] { other->loop_->forget_if_closed(fd); });
    }
}

} // namespace coir
