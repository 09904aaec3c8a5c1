#include "hub/source.h"

#include "hub/fiber.h"
#include "hub/scheduler.h"

#include <mutex>

namespace coir {
namespace {

bool is_link(waiter const& one) noexcept { return !one.who && one.group; }

} // namespace

void source::drop_links() noexcept {
    while (waiter* const left = waiting.find(is_link)) {
        left->unlink();
        delete static_cast<detail::source_link*>(left);
    }
}

namespace detail {

source_link::source_link()
    : callback(&run_due), posted([](posted& due) noexcept { static_cast<source_link&>(due).run_once(); }),
      thread_(hub::current().thread_number()) {
    group = this;
    takes = false;
}

void source_link::run_due(callback& due) noexcept { static_cast<source_link&>(due).run_once(); }

bool source_link::take(waiter&) noexcept {
    if (thread_ == this_thread.number)
        this_scheduler.owner->run_callback(*this);
    else if (!post_to_thread(thread_, *this))
        delete this;
    return true;
}

void source_link::run_once() noexcept {
    std::unique_ptr<source_link> const self{this};
    try {
        call();
    } catch (...) {
        report_unhandled({"a linked callback", std::current_exception(), {}});
    }
}

source_link* source_link::take_back(hub& here, link_id which) noexcept {
    return static_cast<source_link*>(here.take_back([which](callback const& each) {
        return each.run == &run_due && static_cast<source_link const&>(each).id == which;
    }));
}

link_id link_to(source& what, std::unique_ptr<source_link> link) {
    static constinit std::atomic<std::uint64_t> last{0};
    link_id const id{last.fetch_add(1, std::memory_order_relaxed) + 1};
    link->id = id;
    std::lock_guard held{what.lock};
    if (what.is_ready())
        grant(*link.release());
    else
        what.waiting.push(*link.release());
    return id;
}

void unlink_from(source& what, link_id which) noexcept {
    std::unique_lock held{what.lock};
    waiter* const found = what.waiting.find(
        [which](waiter const& each) { return is_link(each) && static_cast<source_link const&>(each).id == which; });
    if (found) found->unlink();
    held.unlock();
    if (found)
        delete static_cast<source_link*>(found);
    else if (hub* const here = hub::existing()) // it may be about to be called
        delete source_link::take_back(*here, which);
}

} // namespace detail
} // namespace coir
