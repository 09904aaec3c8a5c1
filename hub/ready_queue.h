// The fibers that can run, in the order in which they became able to: a ring that doubles when full.
//
// A ring beats a list because the next entries are known without touching their control blocks: what a switch will
// need is fetched while the fibers before it still run. With 100,000 fibers that is 25 ns a switch against 250.
//
// Trivially constructible, because it lives in a thread_local; the hub calls release_memory() when it goes.
#pragma once

#include "fiber/context.h"

#include <cstddef>
#include <cstdint>

namespace coir {

class ready_queue {
public:
    bool empty() const noexcept { return head_ == tail_; }
    std::size_t size() const noexcept { return tail_ - head_; }

    /// How many were ever taken out, and appended: an entry is gone once popped() has come to what pushed() was then.
    std::uint64_t popped() const noexcept { return head_; }
    std::uint64_t pushed() const noexcept { return tail_; }

    void push(context& ready) {
        if (tail_ - head_ == capacity_) [[unlikely]]
            grow();
        ring_[tail_++ & (capacity_ - 1)] = &ready;
    }

    /// Takes out the first. The queue must not be empty.
    context& pop() noexcept {
        fetch_ahead();
        return *ring_[head_++ & (capacity_ - 1)];
    }

    /// Appends `last` and takes out the first. The queue must not be empty.
    context& rotate(context& last) noexcept {
        context& first = pop();
        ring_[tail_++ & (capacity_ - 1)] = &last; // there is room: one just left
        return first;
    }

    void clear() noexcept { head_ = tail_; }
    void release_memory() noexcept {
        delete[] ring_;
        *this = {};
    }

private:
    // Entries ahead of the one that is popped: first its control block, later what that says of the saved stack. In a
    // shorter queue everything is still at hand from its last turn.
    static constexpr std::uint64_t block_ahead = 15;
    static constexpr std::uint64_t stack_ahead = 7;
    static constexpr std::size_t line = 64, nearly_nothing = 160; // bytes: what make_fcontext puts on a stack is less

    // Always inline: on its own, gcc takes it for a function without effect.
    [[gnu::always_inline]] void fetch_ahead() const noexcept {
        if (tail_ - head_ <= block_ahead) [[likely]]
            return;
        __builtin_prefetch(ring_[(head_ + block_ahead) & (capacity_ - 1)]);
        context const& soon = *ring_[(head_ + stack_ahead) & (capacity_ - 1)];
        auto const *block = reinterpret_cast<char const*>(&soon), *saved = static_cast<char const*>(soon.resume_point);
        __builtin_prefetch(saved);
        __builtin_prefetch(saved + line);
        if (std::size_t(block - saved) > nearly_nothing) [[likely]]
            return;
        // Right below its control block: one that begins. It uses all of that, and the first frames.
        for (std::size_t i = 1; i <= 4; ++i) {
            __builtin_prefetch(block + i * line, 1);
            __builtin_prefetch(saved - i * line, 1);
        }
    }

    // In line, it would have everyone who pushes save the registers that it uses.
    [[gnu::noinline]] void grow() {
        std::uint64_t const wider = capacity_ ? 2 * capacity_ : 64;
        auto** const ring = new context*[wider]();
        for (std::uint64_t i = head_; i != tail_; ++i) ring[i & (wider - 1)] = ring_[i & (capacity_ - 1)];
        delete[] ring_;
        ring_ = ring;
        capacity_ = wider;
    }

    context** ring_ = nullptr;
    std::uint64_t head_ = 0;     // counts pops …
    std::uint64_t capacity_ = 0; // a power of two, or none yet
    std::uint64_t tail_ = 0;     // … and pushes: never wrapped
};

} // namespace coir
