// What can be waited for from outside: the end of a fiber, an event, a semaphore, a result. It has a lock, a queue of
// those who wait, and knows whether it is ready; wait(), iwait() and select() need no more.
#pragma once

#include "hub/hub.h"
#include "hub/waiter.h"

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace coir {

/// A callback that was linked to something, for unlink(). One that was made by default is none.
enum class link_id : std::uint64_t {};

/// What wait(), iwait() and select() need to know of anything. Primitives are derived from it. Any thread.
struct COIR_API source {
    thread_lock mutable lock; ///< over `waiting` and over what is derived
    wait_queue waiting;       ///< those who wait, and callbacks, in the order of coming

    source() = default;
    source(source const&) = delete;
    source& operator=(source const&) = delete;

    /// Whether who asks now would not have to wait. The caller holds the lock, unless it only wants to know.
    virtual bool is_ready() const noexcept = 0;

    /// Where it is counted, a reference. Others must outlive those who wait.
    virtual void retain_source() noexcept {}
    /// Gives that back; it may be destroyed then.
    virtual void release_source() noexcept {}

protected:
    ~source() {
        if (!waiting.empty()) drop_links();
    }

private:
    void drop_links() noexcept;
};

/// @cond internal
namespace detail {

// A callback that waits among the fibers; called once, by the hub of the thread that linked it.
struct COIR_API source_link : waiter, private waiter_group, private callback, private posted {
    source_link(); // makes the thread's hub if there is none
    virtual ~source_link() = default;
    source_link(source_link const&) = delete;

    link_id id;

    /// Out of those that the hub is about to call.
    static source_link* take_back(hub& here, link_id which) noexcept;

private:
    static void run_due(callback& due) noexcept;
    bool take(waiter& one) noexcept final;
    void run_once() noexcept;
    virtual void call() = 0; // may throw, which is reported
    std::uint64_t const thread_;
};

COIR_API link_id link_to(source& what, std::unique_ptr<source_link> link);
COIR_API void unlink_from(source& what, link_id which) noexcept;

} // namespace detail
/// @endcond

/// What events, semaphores and results share: callbacks. `Self` is derived from it. Any thread.
template <class Self>
class linkable : public source {
public:
    /// Calls `function(Self&)` once, in its turn among the fibers that wait, when it is ready or if it is already. The
    /// hub of the calling thread calls it, or nobody if that thread has ended; it must not wait, and what it throws is
    /// reported as an unhandled exception. This must live until then. Throws what hub::current throws. Allocates.
    template <class F>
    link_id rawlink(F&& function) {
        struct link final : detail::source_link {
            Self& of;
            std::decay_t<F> function;
            link(Self& what, F&& from) : of(what), function(std::forward<F>(from)) {}
            void call() override { function(of); }
        };
        auto& self = static_cast<Self&>(*this);
        return detail::link_to(*this, std::make_unique<link>(self, std::forward<F>(function)));
    }
    /// Takes back a callback whose turn has not come; one that is about to be called on another thread is called.
    void unlink(link_id which) noexcept { detail::unlink_from(*this, which); }
};

} // namespace coir
