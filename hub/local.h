// Values that each fiber has for itself (local), and values that a fiber shares with all it spawned, directly or not
// (tree_local): gevent's local and Greenlet.spawn_tree_locals. The thread's own fiber has values of its own too, and so
// has a greenlet.
//
// A local is usually static. It may be used on any thread; each value belongs to its fiber and goes when that ends, or
// with the thread. Values of a local that was destroyed before stay with their fibers until then.
#pragma once

#include "fiber/context.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace coir {
namespace detail {

struct local_value {
    virtual ~local_value() = default;
};

enum class local_scope { fiber, tree };

/// Where the running fiber, or its tree, keeps the value of the local numbered `id`; null until it is set.
COIR_API std::unique_ptr<local_value>& local_slot(std::uint64_t id, local_scope scope);
COIR_API std::uint64_t next_local_id(local_scope scope);

} // namespace detail

/// One T for each fiber, made by `initial` when the fiber first asks.
template <class T, detail::local_scope Scope = detail::local_scope::fiber>
class basic_local {
public:
    basic_local() requires std::is_default_constructible_v<T> : basic_local([] { return T(); }) {}
    explicit basic_local(std::function<T()> initial)
        : initial_(std::move(initial)), id_(detail::next_local_id(Scope)) {}
    basic_local(basic_local const&) = delete;
    basic_local& operator=(basic_local const&) = delete;

    /// The running fiber's. The first call of a fiber allocates; throws what `initial` throws. Any thread.
    T& operator*() {
        std::unique_ptr<detail::local_value>* slot = &detail::local_slot(id_, Scope);
        if (!*slot) {
            auto fresh = std::make_unique<value>(initial_()); // which may use, or wait for, what it likes
            slot = &detail::local_slot(id_, Scope);
            if (!*slot) *slot = std::move(fresh);
        }
        return static_cast<value&>(**slot).held;
    }
    T* operator->() { return &**this; }

    /// It has one already. Any thread.
    bool has_value() const { return bool(detail::local_slot(id_, Scope)); }
    /// Destroys it; the next use makes a new one. Any thread.
    void reset() { std::exchange(detail::local_slot(id_, Scope), nullptr).reset(); }

private:
    struct value : detail::local_value {
        T held;
        explicit value(T&& from) : held(std::move(from)) {}
    };
    std::function<T()> const initial_;
    std::uint64_t const id_;
};

template <class T>
using local = basic_local<T, detail::local_scope::fiber>;

/// One T for a fiber that the thread's own fiber spawned, and for all that come from it. Fibers that were spawned
/// before the process made its first tree_local, or onto another thread, begin trees of their own.
template <class T>
using tree_local = basic_local<T, detail::local_scope::tree>;

/// Some tree_local was made. Internal, as what follows.
extern constinit std::atomic<bool> tree_locals_in_use;
void inherit_tree_locals(context& fresh);

inline void drop_locals(context& ending) noexcept {
    if (ending.locals) [[unlikely]]
        delete std::exchange(ending.locals, nullptr);
}

} // namespace coir
