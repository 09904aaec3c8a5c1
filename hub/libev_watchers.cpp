// The kinds that are libev's own: hub::periodic and hub::stat.

#include "hub/libev.h"
#include "hub/watchers.h"

#include <algorithm>
#include <stdexcept>

namespace coir {
namespace {

double seconds(std::chrono::nanoseconds span) noexcept { return std::chrono::duration<double>(span).count(); }

} // namespace

struct hub::periodic::libev_watcher {
    ev_periodic ev{};
    periodic* of;
};

hub::periodic::periodic(std::chrono::system_clock::time_point once)
    : watcher_of("periodic"), own_(std::make_unique<libev_watcher>()) {
    own_->of = this;
    own_->ev.offset = seconds(once.time_since_epoch());
}

hub::periodic::periodic(std::chrono::nanoseconds interval, std::chrono::system_clock::time_point offset)
    : periodic(offset) {
    if (interval.count() <= 0) throw std::invalid_argument("hub::periodic: an interval that is not positive");
    own_->ev.interval = std::max(seconds(interval), 0.001);
}

hub::periodic::~periodic() { end(); }

void hub::periodic::arm() {
    double const offset = own_->ev.offset, interval = own_->ev.interval;
    ev_periodic_init(
        &own_->ev,
        [](struct ev_loop*, ev_periodic* ev, int) {
            periodic& self = *static_cast<libev_watcher*>(ev->data)->of;
            self.fire(ev->interval == 0);
        },
        offset, interval, nullptr);
    own_->ev.data = own_.get();
    struct ev_loop* const libev = home().event_loop().libev();
    ev_now_update(libev); // the time of the last round may be long past
    ev_periodic_start(libev, &own_->ev);
}

void hub::periodic::disarm() noexcept { ev_periodic_stop(home().event_loop().libev(), &own_->ev); }

struct hub::stat::libev_watcher {
    ev_stat ev{};
    stat* of;
    double interval;
};

hub::stat::stat(std::string path, std::chrono::nanoseconds interval)
    : watcher_of("stat"), path_(std::move(path)), own_(std::make_unique<libev_watcher>()) {
    own_->of = this;
    own_->interval = seconds(interval);
}

hub::stat::~stat() { end(); }

void hub::stat::arm() {
    ev_stat_init(
        &own_->ev, [](struct ev_loop*, ev_stat* ev, int) { static_cast<libev_watcher*>(ev->data)->of->fire(); },
        path_.c_str(), own_->interval);
    own_->ev.data = own_.get();
    ev_stat_start(home().event_loop().libev(), &own_->ev);
}

void hub::stat::disarm() noexcept { ev_stat_stop(home().event_loop().libev(), &own_->ev); }

struct ::stat const* hub::stat::attr() const noexcept {
    return own_->ev.attr.st_nlink ? &own_->ev.attr : nullptr;
}

struct ::stat const* hub::stat::prev() const noexcept {
    return own_->ev.prev.st_nlink ? &own_->ev.prev : nullptr;
}

} // namespace coir
