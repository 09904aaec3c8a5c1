// Semaphores. A release hands over to the fiber that waits longest: unlike with gevent's, who releases cannot take it
// again before that one runs, so nobody starves.
//
// A semaphore must outlive those who wait, and may be destroyed by one of them as soon as its wait has returned. Any
// thread; who releases need not be who acquired.
#pragma once

#include "hub/select_case.h"
#include "hub/source.h"

#include <cstddef>

namespace coir {

/// A number that is taken from, by one at a time, while it is above 0. Any thread. gevent: Semaphore.
class COIR_API semaphore : public linkable<semaphore> {
public:
    /// It can be acquired `value` times.
    explicit semaphore(std::size_t value = 1) noexcept : value_(value) {}

    /// **Parks** while the value is 0; then takes one: true, or false when `until` has passed first. Throws what
    /// interrupts the caller, and would_block_forever.
    bool acquire(deadline until = {});
    /// Takes one if that is possible at once.
    bool try_acquire() noexcept;
    /// Gives one back, or gives a new one.
    void release() noexcept;

    /// **Parks** until it could be acquired, and does not: true, or false when `until` has passed first. Throws as
    /// acquire.
    bool wait(deadline until = {});

    /// How often it can be acquired. gevent: counter.
    std::size_t value() const noexcept;
    /// It cannot be acquired now.
    bool locked() const noexcept { return value() == 0; }

    class acquire_case;
    /// For select(): one was taken.
    acquire_case on_acquire() noexcept;

protected:
    /// @cond internal
    void release_one() noexcept; // the caller holds the lock
    std::size_t value_;          // under the lock; above 0 only while nobody waits to acquire
    /// @endcond

private:
    bool is_ready() const noexcept override { return value_ > 0; }
};

/// What semaphore::on_acquire makes.
class COIR_API semaphore::acquire_case final : public select_case {
public:
    /// To acquire `of`, which must outlive it.
    explicit acquire_case(semaphore& of) noexcept : of_(of) {}
    bool try_now() override { return of_.try_acquire(); }
    void queue(waiter& one) override;
    void leave(waiter& one) noexcept override;
    char const* what() const noexcept override { return "semaphore"; }

private:
    semaphore& of_;
};

inline semaphore::acquire_case semaphore::on_acquire() noexcept { return acquire_case(*this); }

/// A semaphore that is not released more often than it was acquired. Any thread. gevent: BoundedSemaphore.
class COIR_API bounded_semaphore : public semaphore {
public:
    /// It can be acquired `value` times.
    explicit bounded_semaphore(std::size_t value = 1) noexcept : semaphore(value), bound_(value) {}
    /// Gives one back. Throws std::logic_error if that would raise the value above the first.
    void release();

private:
    std::size_t const bound_;
};

} // namespace coir
