// What is used until the process is gone: threads and fibers may end after static destruction has begun.
// Internal.
#pragma once

#include <atomic>

namespace coir {

/// `constinit never_destroyed<T> name;` makes a T when it is first asked for. Unlike a function's static variable it is
/// never half made: the child of a fork by another thread finds one or makes its own. Any thread.
template <class T>
class never_destroyed {
public:
    /// Throws std::bad_alloc.
    T& operator*() {
        T* const made = existing();
        return made ? *made : make();
    }
    /// Null if there is none yet.
    T* existing() const noexcept { return made_.load(std::memory_order_acquire); }

private:
    [[gnu::noinline]] T& make() {
        T* const fresh = new T();
        T* before = nullptr;
        if (made_.compare_exchange_strong(before, fresh, std::memory_order_acq_rel)) return *fresh;
        delete fresh; // another thread was faster
        return *before;
    }
    std::atomic<T*> made_{nullptr};
};

} // namespace coir
