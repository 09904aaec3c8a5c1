// What libc notes in its objects when they are made and has no function to tell: asked of objects that are made for the
// purpose, so that nothing is guessed. Any thread.
#pragma once

#include <cstddef>
#include <cstring>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

namespace coir::monkey {

/// Where two objects that were made with and without something differ: one byte, in which the bits of `mask` tell.
struct told_by {
    std::size_t byte = 0;
    unsigned char mask = 0; // 0: they do not differ

    template <class Object>
    static told_by difference(Object const& without, Object const& with) noexcept {
        auto const* const before = reinterpret_cast<unsigned char const*>(&without);
        auto const* const after = reinterpret_cast<unsigned char const*>(&with);
        for (std::size_t i = 0; i < sizeof(Object); ++i)
            if (before[i] != after[i]) return {i, static_cast<unsigned char>(before[i] ^ after[i])};
        return {};
    }

    template <class Object>
    bool operator()(Object const* of) const noexcept {
        return (__atomic_load_n(reinterpret_cast<unsigned char const*>(of) + byte, __ATOMIC_RELAXED) & mask) != 0;
    }
};

/// Other processes may use it, too.
inline bool is_shared(sem_t const* of) noexcept {
    static told_by const shared = [] {
        sem_t without, with;
        std::memset(&without, 0, sizeof without);
        std::memset(&with, 0, sizeof with);
        sem_init(&without, 0, 0);
        sem_init(&with, 1, 0);
        return told_by::difference(without, with);
    }();
    return shared(of);
}

namespace detail {
template <class Set>
told_by condition_told_by(Set set) noexcept {
    pthread_cond_t without, with;
    std::memset(&without, 0, sizeof without);
    std::memset(&with, 0, sizeof with);
    pthread_cond_init(&without, nullptr);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    set(attributes);
    pthread_cond_init(&with, &attributes);
    pthread_condattr_destroy(&attributes);
    return told_by::difference(without, with);
}
} // namespace detail

inline bool is_shared(pthread_cond_t const* of) noexcept {
    static told_by const shared = detail::condition_told_by(
        [](pthread_condattr_t& of) { pthread_condattr_setpshared(&of, PTHREAD_PROCESS_SHARED); });
    return shared(of);
}

/// The clock that pthread_cond_timedwait goes by.
inline clockid_t clock_of(pthread_cond_t const* of) noexcept {
    static told_by const monotonic =
        detail::condition_told_by([](pthread_condattr_t& of) { pthread_condattr_setclock(&of, CLOCK_MONOTONIC); });
    return monotonic(of) ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

inline bool is_shared(pthread_barrier_t const* of) noexcept {
    static told_by const shared = [] {
        pthread_barrier_t without, with;
        std::memset(&without, 0, sizeof without);
        std::memset(&with, 0, sizeof with);
        pthread_barrier_init(&without, nullptr, 1);
        pthread_barrierattr_t attributes;
        pthread_barrierattr_init(&attributes);
        pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        pthread_barrier_init(&with, &attributes, 1);
        pthread_barrierattr_destroy(&attributes);
        return told_by::difference(without, with);
    }();
    return shared(of);
}

/// How many a barrier waits for.
inline unsigned count_of(pthread_barrier_t const* of) noexcept {
    static std::size_t const place = [] {
        constexpr unsigned sample = 0x12345678;
        pthread_barrier_t made;
        std::memset(&made, 0, sizeof made);
        pthread_barrier_init(&made, nullptr, sample);
        std::size_t at = 0;
        for (unsigned each = 0; at < sizeof made; at += sizeof each) {
            std::memcpy(&each, reinterpret_cast<char const*>(&made) + at, sizeof each);
            if (each == sample) break;
        }
        return at;
    }();
    unsigned count = 0;
    std::memcpy(&count, reinterpret_cast<char const*>(of) + place, sizeof count);
    return count;
}

} // namespace coir::monkey
