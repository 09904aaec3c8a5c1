// What the random tests write down while they run, and hold against what coir promises.
#pragma once

#include "hub/fiber.h"
#include "tests/hub/random/dice.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

/// Counts what is alive of it: what is captured, thrown, put and returned carries one.
class counted {
public:
    counted() noexcept { ++alive; }
    counted(counted const&) noexcept { ++alive; }
    counted& operator=(counted const&) noexcept = default;
    ~counted() { --alive; }
    static inline std::atomic<long> alive{0};
};

/// What happened last, and a sum of all that ever did.
class trace {
public:
    explicit trace(std::uint64_t seed, char const* test) noexcept : seed_(seed), test_(test) {}

    void add(int player, char const* what, std::int64_t detail = -1) noexcept {
        std::lock_guard held{lock_};
        last_[count_++ % last_.size()] = {player, what, detail, coir::steady_now()};
        for (char const* each = what; *each; ++each) mix(std::uint64_t(*each));
        mix(std::uint64_t(player) << 32 ^ std::uint64_t(detail));
    }

    /// Two runs that did the same have the same.
    std::uint64_t sum() const noexcept { return sum_; }
    std::uint64_t count() const noexcept { return count_; }

    /// Ends the program, with what happened last: a world with an error in it cannot be left in an orderly manner.
    [[noreturn]] void fail(std::string const& why, std::string const& who_waits) noexcept {
        std::lock_guard held{lock_};
        std::size_t const shown = std::min<std::size_t>(count_, last_.size());
        for (std::size_t i = count_ - shown; i < count_; ++i) {
            entry const& each = last_[i % last_.size()];
            std::fprintf(stderr, "%12.3f us  %3d  %s %ld\n", double(each.at) / 1e3, each.player, each.what,
                         long(each.detail));
        }
        std::fprintf(stderr, "%s\nseed %lu: %s\nagain: COIR_SEED=%lu random_test --gtest_filter=%s\n",
                     who_waits.c_str(), seed_, why.c_str(), seed_, test_);
        std::fflush(nullptr);
        std::abort();
    }

    std::uint64_t seed() const noexcept { return seed_; }

private:
    struct entry {
        int player;
        char const* what;
        std::int64_t detail;
        std::int64_t at;
    };
    void mix(std::uint64_t bits) noexcept { sum_ = (sum_ ^ bits) * 0x100000001b3; }

    std::mutex lock_;
    std::uint64_t const seed_;
    char const* const test_;
    std::uint64_t sum_ = 0xcbf29ce484222325;
    std::size_t count_ = 0;
    std::array<entry, 120> last_;
};

/// Fibers that waited in one queue and were granted, one by one, what they waited for: in the order of their coming.
class turn_order {
public:
    std::uint64_t come() noexcept { return next_++; }
    bool served(std::uint64_t ticket) noexcept { return std::exchange(last_, ticket) < ticket; }

private:
    std::uint64_t next_ = 1;
    std::uint64_t last_ = 0;
};

/// What goes through queues. One that was moved from has no number.
struct item {
    int number = -1;
    int rank = 0;
    counted alive{};

    item() = default;
    item(int which, int priority) noexcept : number(which), rank(priority) {}
    item(item const&) = default;
    item(item&& other) noexcept : number(std::exchange(other.number, -1)), rank(other.rank) {}
    item& operator=(item&& other) noexcept {
        number = std::exchange(other.number, -1);
        rank = other.rank;
        return *this;
    }
    bool operator<(item const& other) const noexcept { return rank < other.rank; }
};

/// Each item that was put is got once, and none that was not.
class ledger {
public:
    explicit ledger(char const* what) : what_(what) {}

    item made(int rank) {
        int const number = made_.fetch_add(1);
        return item(number % capacity, rank);
    }
    bool can_make() const noexcept { return made_ < capacity - 64; }
    void put(int number) noexcept { ++entries_[std::size_t(number)].put; }
    void got(int number) noexcept { ++entries_[std::size_t(number)].got; }
    /// What is left inside may have been dropped.
    void drop() noexcept { dropped_ = true; }

    /// Null if it is even.
    char const* fault() const noexcept {
        for (int i = 0; i < made_; ++i) {
            auto const& [put, got] = entries_[std::size_t(i)];
            if (put > 1) return "an item was put twice";
            if (got > 1) return "an item was got twice";
            if (got > put) return "an item was got, but its put() had failed";
            if (put > got && !dropped_) return "an item was lost";
        }
        return nullptr;
    }
    char const* what() const noexcept { return what_; }

private:
    static constexpr int capacity = 4096;
    struct entry {
        std::atomic<int> put{0}, got{0};
    };
    char const* const what_;
    std::unique_ptr<entry[]> entries_{new entry[capacity]};
    std::atomic<int> made_{0};
    std::atomic<bool> dropped_{false};
};

/// What a fiber is killed with.
struct poison {
    int number;
    int target;
    counted alive{};
};

struct kill_record {
    int target;
    std::atomic<int> seen{0};
};

struct link_record {
    enum kind_of { any_end, success, failure, raw } kind;
    coir::any_fiber of;
    coir::link_id id{};
    std::atomic<int> called{0};
    int called_when_unlinked = -1; // -1: it was not
};
