// The floor that coir is measured against: contexts of Boost.Context without a scheduler, on stacks like
// coir's, whose tops are staggered alike. A set belongs to the measurement that made it; its contexts need
// not have ended.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

namespace bench {

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

class bare_stacks {
public:
    static constexpr std::size_t size = 64 * 1024;

    explicit bare_stacks(std::size_t count) : bytes_(count * size) {
        void* memory =
            mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            std::perror("mmap of bare stacks");
            std::exit(2);
        }
        madvise(memory, bytes_, MADV_NOHUGEPAGE);
        memory_ = static_cast<std::byte*>(memory);
    }
    ~bare_stacks() { munmap(memory_, bytes_); }
    bare_stacks(bare_stacks const&) = delete;
    bare_stacks& operator=(bare_stacks const&) = delete;

    std::byte* top(std::size_t index) const noexcept { return memory_ + (index + 1) * size - index % 48 * 64; }
    fcontext_t make(std::size_t index, void (*entry)(transfer_t)) const noexcept {
        return make_fcontext(top(index), size / 2, entry);
    }

private:
    std::size_t bytes_;
    std::byte* memory_;
};

} // namespace bench
