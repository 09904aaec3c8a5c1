// What is left of an iovec array after a part of it was read or written.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <sys/uio.h>

namespace coir::monkey {

inline std::size_t bytes_in(iovec const* parts, std::size_t count) noexcept {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += parts[i].iov_len;
    return sum;
}

/// A copy of an iovec array that can be advanced. Allocates when there are more than sixteen parts.
class remaining_parts {
public:
    /// `count` between 0 and IOV_MAX. Throws std::bad_alloc.
    remaining_parts(iovec const* parts, std::size_t count) : count_(count) {
        if (count > few) many_ = std::make_unique<iovec[]>(count);
        std::copy_n(parts, count, first());
    }

    iovec* first() noexcept { return (many_ ? many_.get() : here_) + done_; }
    std::size_t count() const noexcept { return count_ - done_; }

    std::size_t bytes() noexcept { return bytes_in(first(), count()); }

    void advance(std::size_t bytes) noexcept {
        while (done_ < count_ && bytes >= first()->iov_len) {
            bytes -= first()->iov_len;
            ++done_;
        }
        if (done_ == count_) return;
        first()->iov_base = static_cast<std::byte*>(first()->iov_base) + bytes;
        first()->iov_len -= bytes;
    }

private:
    static constexpr std::size_t few = 16;
    iovec here_[few];
    std::unique_ptr<iovec[]> many_;
    std::size_t count_;
    std::size_t done_ = 0;
};

} // namespace coir::monkey
