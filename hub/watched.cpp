#include "hub/watched.h"

#include "hub/hub.h"
#include "hub/per_fd.h"
#include "hub/registry.h"
#include "hub/ring.h"

#include <new>

namespace coir {
namespace {

constinit per_fd<watched_fd> records;

} // namespace

watched_fd* watched_range(int first, std::size_t count) {
    watched_fd* const record = records.make_range(first, count);
    if (!record) throw std::bad_alloc();
    return record;
}

// The number is taken out of the other hubs' epoll sets here, while it still means the file; their loops learn of it
// when they run what is posted.
void hub::forget_fd(int fd) noexcept {
    hub* const here = existing();
    if (here && here->ring_) here->ring_->hand_in(); // while the number means what those who asked meant
    watched_fd* const record = records.find(fd);
    if (!record) return;
    std::uint64_t const watchers = record->hubs.exchange(0, std::memory_order_acq_rel);
    if (!watchers) return;
    record->generation.fetch_add(1, std::memory_order_release);
    if (here && here->loop_ && watchers & here->registration_.bit()) here->loop_->forget(fd);
    if (here && watchers == here->registration_.bit() && watchers != hub_registration::shared_bit) return;
    for_each_hub([&](hub& other, std::uint64_t bit) {
        if (&other == here || !(watchers & bit) || !other.loop_) return;
        other.loop_->forget_elsewhere(fd);
        other.post([&other, fd] { other.loop_->forget_if_closed(fd); });
    });
}

} // namespace coir
