#include "hub/local.h"

#include "fiber/switch.h"
#include "hub/scheduler.h"

#include <unordered_map>

namespace coir {

constinit std::atomic<bool> tree_locals_in_use{false};

namespace {

using value_map = std::unordered_map<std::uint64_t, std::unique_ptr<detail::local_value>>;

struct values final : fiber_locals {
    value_map own;
    std::shared_ptr<value_map> tree;
};

values& values_of(context& one) {
    if (!one.locals) one.locals = new values;
    return static_cast<values&>(*one.locals);
}

value_map& tree_of(context& one) {
    auto& all = values_of(one);
    if (!all.tree) all.tree = std::make_shared<value_map>();
    return *all.tree;
}

} // namespace

std::unique_ptr<detail::local_value>& detail::local_slot(std::uint64_t id, local_scope scope) {
    context& self = context::current();
    return (scope == local_scope::tree ? tree_of(self) : values_of(self).own)[id];
}

std::uint64_t detail::next_local_id(local_scope scope) {
    static constinit std::atomic<std::uint64_t> last{0};
    if (scope == local_scope::tree) tree_locals_in_use.store(true, std::memory_order_relaxed);
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

void inherit_tree_locals(context& fresh) {
    context& spawner = context::current();
    bool const is_root = !spawner.parent || &spawner == this_scheduler.loop; // the thread's own, or a callback
    if (is_root) return;
    tree_of(spawner);
    values_of(fresh).tree = values_of(spawner).tree;
}

} // namespace coir
