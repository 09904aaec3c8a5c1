// The guards of function-local statics (Itanium C++ ABI, 3.3.3): while one fiber makes the static, and parks, others
// that come to it park. The runtime's own would block the thread, or, as long as the process has one thread, take them
// for the same caller and throw recursive_init_error.
//
// The first byte of a guard tells that the static is made, the second that somebody makes it: so have it libstdc++
// (libsupc++, guard.cc) and libc++abi. Who that is, of the fibers, is noted in the upper half, which libstdc++ leaves
// alone: the one that comes to it again is the runtime's to refuse.

#include "monkey/bodies.h"
#include "monkey/parking.h"
#include "monkey/real.h"

#include <cstdint>

namespace coir::monkey {
namespace {

bool is_being_made(std::int64_t* guard) noexcept {
    auto const* const bytes = reinterpret_cast<unsigned char const*>(guard);
    return __atomic_load_n(&bytes[0], __ATOMIC_ACQUIRE) == 0 && __atomic_load_n(&bytes[1], __ATOMIC_ACQUIRE) != 0;
}

std::uint32_t& maker_in(std::int64_t* guard) noexcept { return reinterpret_cast<std::uint32_t*>(guard)[1]; }

std::uint32_t maker_of(std::int64_t* guard) noexcept { return __atomic_load_n(&maker_in(guard), __ATOMIC_RELAXED); }
void set_maker(std::int64_t* guard, std::uint32_t mark) noexcept {
    __atomic_store_n(&maker_in(guard), mark, __ATOMIC_RELAXED);
}

std::uint32_t my_mark() noexcept { return std::uint32_t(this_thread.current->id % ~std::uint32_t{0}) + 1; }

} // namespace

long body::cxa_guard_acquire(std::int64_t* guard) {
    while (is_being_made(guard) && maker_of(guard) != my_mark()) {
        parking here{guard, "the making of a static", leaving::never};
        here.wait([&] { return is_being_made(guard); });
    }
    int const mine = real.__cxa_guard_acquire(guard);
    if (mine) set_maker(guard, my_mark());
    return -mine; // no error is
}

long body::cxa_guard_release(std::int64_t* guard) {
    if (in_fiber()) set_maker(guard, 0);
    real.__cxa_guard_release(guard);
    unpark(guard, all_of_them);
    return 0;
}

long body::cxa_guard_abort(std::int64_t* guard) {
    if (in_fiber()) set_maker(guard, 0);
    real.__cxa_guard_abort(guard);
    unpark(guard, all_of_them);
    return 0;
}

} // namespace coir::monkey
