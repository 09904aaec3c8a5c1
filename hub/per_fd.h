// One entry for each descriptor number of the process, made when first needed. Entries never move and are never freed,
// so that any thread may read them at any time; Entry must be usable when all its bits are zero.
#pragma once

#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdlib>

namespace coir {

template <class Entry>
class per_fd {
public:
    /// Null for a number that has none, and for one that is negative. Any thread.
    Entry* find(int fd) const noexcept {
        if (fd < 0) return nullptr;
        Entry* const chunk = directory_[unsigned(fd) / chunk_size].load(std::memory_order_acquire);
        return chunk ? &chunk[unsigned(fd) % chunk_size] : nullptr;
    }

    /// Null if `fd` is negative or there is no memory. Any thread.
    Entry* make(int fd) noexcept {
        if (Entry* const present = find(fd); present || fd < 0) return present;
        auto* const fresh = static_cast<Entry*>(std::calloc(chunk_size, sizeof(Entry))); // untouched until used
        if (!fresh) return nullptr;
        Entry* other = nullptr;
        auto& slot = directory_[unsigned(fd) / chunk_size];
        if (!slot.compare_exchange_strong(other, fresh, std::memory_order_acq_rel)) std::free(fresh);
        return find(fd);
    }

    /// The same for `count` numbers in a row, whose entries lie in a row, too. `first` must be a multiple of `count`,
    /// and that a power of two of at most 16,384.
    Entry* make_range(int first, [[maybe_unused]] std::size_t count) noexcept {
        assert(std::has_single_bit(count) && count <= chunk_size && std::size_t(first) % count == 0);
        return make(first);
    }

    /// Calls `what(fd)` for every number from `first` to `last` that has an entry.
    template <class F>
    void for_each(unsigned first, unsigned last, F what) const {
        for (unsigned long fd = first; fd <= last && fd < count;) {
            unsigned long const next = (fd / chunk_size + 1) * chunk_size;
            if (directory_[fd / chunk_size].load(std::memory_order_acquire))
                for (; fd < next && fd <= last; ++fd) what(int(fd));
            fd = next;
        }
    }

    /// The lowest number from `first` to `last` that has an entry of which `is_it`; -1 if there is none.
    template <class Predicate>
    int find_if(int first, int last, Predicate is_it) const {
        for (int fd = first; fd <= last; fd = (fd / chunk_size + 1) * chunk_size) {
            Entry* const chunk = directory_[fd / chunk_size].load(std::memory_order_acquire);
            for (int i = fd; chunk && i / chunk_size == fd / chunk_size && i <= last; ++i)
                if (is_it(chunk[i % chunk_size])) return i;
        }
        return -1;
    }

private:
    static constexpr unsigned chunk_size = 1u << 14;
    static constexpr unsigned count = 1u << 31; // every int: the directory costs address space only

    std::atomic<Entry*> directory_[count / chunk_size];
};

} // namespace coir
