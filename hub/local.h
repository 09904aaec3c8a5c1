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

/// @cond internal
namespace detail {

struct local_value {
    virtual ~local_value() = default;
};

enum class local_scope { fiber, tree };

/// Where the running fiber, or its tree, keeps the value of the local numbered `id`; null until it is set.
COIR_API std::unique_ptr<local_value>& local_slot(std::uint64_t id, local_scope scope);
COIR_API std::uint64_t next_local_id(local_scope scope);

} // namespace detail
/// @endcond

/// One T for each fiber, or for each tree of them, made when the fiber first asks. Any thread; a T is used by its
/// fiber, or its tree, only.
template <class T, detail::local_scope Scope = detail::local_scope::fiber>
class basic_local {
public:
    /// Values are made as `T()`.
    basic_local() requires std::is_default_constructible_v<T> : basic_local([] { return T(); }) {}
    /// Values are made by `initial()`, in the fiber that asks. It may wait; it may be called on several threads at
    /// once.
    explicit basic_local(std::function<T()> initial)
        : initial_(std::move(initial)), id_(detail::next_local_id(Scope)) {}
    basic_local(basic_local const&) = delete;
    basic_local& operator=(basic_local const&) = delete;

    /// The running fiber's. The first call of a fiber allocates, and throws what `initial` throws, after which there is
    /// none yet.
    T& operator*() {
        std::unique_ptr<detail::local_value>* slot = &detail::local_slot(id_, Scope);
        if (!*slot) {
            auto fresh = std::make_unique<value>(initial_()); // which may use, or wait for, what it likes
            slot = &detail::local_slot(id_, Scope);
            if (!*slot) *slot = std::move(fresh);
        }
        return static_cast<value&>(**slot).held;
    }
    /// The same.
    T* operator->() { return &**this; }

    /// The running fiber has one already. Allocates.
    bool has_value() const { return bool(detail::local_slot(id_, Scope)); }
    /// Destroys the running fiber's, if it has one; the next use makes a new one. Allocates.
    void reset() { std::exchange(detail::local_slot(id_, Scope), nullptr).reset(); }

private:
    struct value : detail::local_value {
        T held;
        explicit value(T&& from) : held(std::move(from)) {}
    };
    std::function<T()> const initial_;
    std::uint64_t const id_;
};

/// One T for each fiber, each thread's own and each greenlet. gevent: local.
template <class T>
using local = basic_local<T, detail::local_scope::fiber>;

/// One T for a fiber that the thread's own fiber spawned, and for all that come from it. Fibers that were spawned
/// before the process made its first tree_local, or onto another thread, begin trees of their own. gevent:
/// spawn_tree_locals.
template <class T>
using tree_local = basic_local<T, detail::local_scope::tree>;

/// @cond internal

/// Some tree_local was made.
extern constinit std::atomic<bool> tree_locals_in_use;
void inherit_tree_locals(context& fresh);

inline void drop_locals(context& ending) noexcept {
    if (ending.locals) [[unlikely]]
        delete std::exchange(ending.locals, nullptr);
}

/// @endcond

} // namespace coir
