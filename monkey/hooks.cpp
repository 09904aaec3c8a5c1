// The exported functions: one for each row of the table, under the symbol's own name.

#include "hub/scheduler.h"
#include "monkey/bare_child.h"
#include "monkey/bodies.h"
#include "monkey/families.h"
#include "monkey/in_fiber.h"
#include "monkey/lookup.h"
#include "monkey/patching.h"
#include "monkey/real.h"
#include "monkey/stats.h"

#include <cstdlib>
#include <fcntl.h>
#include <new>
#include <sched.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <system_error>
#include <termios.h>
#include <unistd.h>

extern "C" [[noreturn]] void __chk_fail(); // glibc: what a FORTIFY check calls (debug/chk_fail.c)

namespace coir::monkey {
namespace {

// A fiber of ours makes the call: not the hub itself, and not a thread that never had one.
inline bool from_fiber() noexcept { return in_fiber() && !in_bare_child(); }

inline bool process_has_hub() noexcept { return hub_was_made.load(std::memory_order_relaxed) && !in_bare_child(); }

// The check that libc would have made: the compiler knows of only `room` bytes behind the pointer.
inline size_t fortified(size_t wanted, size_t room) noexcept {
    if (wanted > room) __chk_fail();
    return wanted;
}

// The check that libc makes of an open() without a mode (io/open_2.c).
inline int without_mode(int flags) noexcept {
    if (__OPEN_NEEDS_MODE(flags)) __chk_fail();
    return flags;
}

inline size_t fortified_items(size_t size, size_t count, size_t room) noexcept {
    if (size && count > room / size) __chk_fail();
    return count;
}

// Nothing may leave a hook but its result: glibc declares some of them noexcept, and their callers may be C.
template <class Body>
long no_throw(Body body) noexcept {
    try {
        return body();
    } catch (std::bad_alloc const&) {
        return -ENOMEM;
    } catch (std::system_error const& error) {
        return -error.code().value();
    }
}

// libc leaves errno alone where nothing failed; waiting does not.
template <class Result, class Body>
Result sets_errno(Body body) noexcept {
    int const before = errno;
    long const result = no_throw(body);
    errno = result >= 0 ? before : int(-result);
    return result >= 0 ? Result(result) : Result(-1);
}

template <class Result, class Body>
Result gives_error(Body body) noexcept {
    return Result(-no_throw(body));
}

// What the body calls is the caller's own.
template <class Result, class Body>
Result may_throw(Body body) {
    return Result(-body());
}

// threads.h
template <class Result, class Body>
Result gives_thrd(Body body) noexcept {
    switch (no_throw(body)) {
    case 0: return thrd_success;
    case -EBUSY: return thrd_busy;
    case -ETIMEDOUT: return thrd_timedout;
    case -ENOMEM: return thrd_nomem;
    default: return thrd_error;
    }
}

template <class Result, class Body>
Result gives_thrd_sleep(Body body) noexcept {
    long const result = no_throw(body);
    return result == -EINTR ? -1 : result < 0 ? -2 : 0; // thrd_sleep(3)
}

// They are the same objects (nptl, thrd_priv.h and the definitions of mtx_lock and so on).
inline pthread_mutex_t* as_pthread(mtx_t* mutex) noexcept { return reinterpret_cast<pthread_mutex_t*>(mutex); }
inline pthread_cond_t* as_pthread(cnd_t* condition) noexcept { return reinterpret_cast<pthread_cond_t*>(condition); }
inline pthread_once_t* as_pthread(once_flag* control) noexcept { return reinterpret_cast<pthread_once_t*>(control); }

template <class Result, class Body>
Result gives_null(Body body) noexcept {
    long const result = no_throw(body);
    if (result >= 0 || result < -4095) [[likely]] // the largest errno of the kernel
        return reinterpret_cast<Result>(result);
    errno = int(-result);
    return nullptr;
}

template <class Result, class Body>
Result as_is(Body body) noexcept {
    return Result(no_throw(body));
}

// So that a function without a result can have its list of arguments ended after the call.
template <class Call>
auto result_of(Call call) {
    if constexpr (std::is_void_v<decltype(call())>) {
        call();
        return 0;
    } else {
        return call();
    }
}

// What a function of stdio gives when it fails: EOF or WEOF, NULL, no items.
template <class Result>
Result failure() noexcept {
    if constexpr (std::is_pointer_v<Result>)
        return nullptr;
    else if constexpr (std::is_same_v<Result, size_t>)
        return 0;
    else
        return Result(-1);
}

template <class Result, class Body>
Result stdio(Body body) noexcept {
    try {
        long const result = body();
        if constexpr (std::is_pointer_v<Result>)
            return reinterpret_cast<Result>(result);
        else
            return Result(result);
    } catch (std::bad_alloc const&) {
        errno = ENOMEM;
    } catch (std::system_error const& error) {
        errno = error.code().value();
    }
    return failure<Result>();
}

} // namespace

// A fiber makes the call, and the row's family is not left to libc.
#define FROM_FIBER (from_fiber() && is_family_patched(family_of_row(__LINE__)))

// The C++ names differ from the exported ones, so that libc's own declarations can be compared with.
#define DEFINE(when, convention, result, symbol, parameters, arguments, call)                                          \
    extern "C" __attribute__((visibility("default"))) result hooked_##symbol parameters asm(#symbol);                  \
    result hooked_##symbol parameters {                                                                                \
        if (!(when)) [[likely]]                                                                                        \
            return real.symbol arguments;                                                                              \
        counted_call const one{row_##symbol};                                                                          \
        return convention<result>([&]() -> long { return body::call; });                                               \
    }
// A row that is declared otherwise than libc's header does not compile.
#define CHECK(symbol) [[maybe_unused]] constexpr decltype(hooked_##symbol)* declared_##symbol = &::symbol;

#define HOOK(convention, result, symbol, parameters, arguments)                                                        \
    DEFINE(FROM_FIBER, convention, result, symbol, parameters, arguments, symbol arguments) CHECK(symbol)
#define ALIAS(convention, result, symbol, parameters, arguments, call)                                                 \
    DEFINE(FROM_FIBER, convention, result, symbol, parameters, arguments, call) CHECK(symbol)
#define INNER(convention, result, symbol, parameters, arguments, call)                                                 \
    DEFINE(FROM_FIBER, convention, result, symbol, parameters, arguments, call)
#define TRACK(convention, result, symbol, parameters, arguments, call)                                                 \
    DEFINE(process_has_hub(), convention, result, symbol, parameters, arguments, call) CHECK(symbol)
#define TRACK_INNER(convention, result, symbol, parameters, arguments, call)                                           \
    DEFINE(process_has_hub(), convention, result, symbol, parameters, arguments, call)
#define WORK_IF(needed, result, symbol, parameters, arguments)                                                         \
    extern "C" __attribute__((visibility("default"))) result hooked_##symbol parameters asm(#symbol);                  \
    result hooked_##symbol parameters {                                                                                \
        if (!FROM_FIBER || !(needed)) [[likely]]                                                                       \
            return real.symbol arguments;                                                                              \
        counted_call const one{row_##symbol};                                                                          \
        return by_worker([&] { return real.symbol arguments; }, #symbol);                                              \
    }
#define WORK(result, symbol, parameters, arguments) WORK_IF(true, result, symbol, parameters, arguments) CHECK(symbol)
#define PATH(result, symbol, parameters, arguments, at, path, follow)                                                  \
    WORK_IF(!is_cached(at, path, follow), result, symbol, parameters, arguments) CHECK(symbol)
#define GONE(result, symbol, parameters, arguments, at, path)                                                          \
    WORK_IF(!is_removed_at_once(at, path), result, symbol, parameters, arguments) CHECK(symbol)
#define MADE(result, symbol, parameters, arguments, at, path)                                                          \
    WORK_IF(!is_made_at_once(at, path), result, symbol, parameters, arguments) CHECK(symbol)
#define MOVED(result, symbol, parameters, arguments, from_at, from, to_at, to)                                         \
    WORK_IF(!is_cached(from_at, from, false) || !is_made_at_once(to_at, to), result, symbol, parameters, arguments)    \
    CHECK(symbol)
#define PATH_INNER(result, symbol, parameters, arguments, at, path, follow)                                            \
    WORK_IF(!is_cached(at, path, follow), result, symbol, parameters, arguments)
#define ALWAYS(convention, result, symbol, parameters, arguments, call)                                                \
    DEFINE(true, convention, result, symbol, parameters, arguments, call) CHECK(symbol)
#define ALWAYS_INNER(convention, result, symbol, parameters, arguments, call)                                          \
    DEFINE(true, convention, result, symbol, parameters, arguments, call)
#define ASSEMBLY(result, symbol, parameters)
#define VARIADIC_INNER(convention, result, symbol, parameters, last, libc, call)                                       \
    extern "C" __attribute__((visibility("default"))) result hooked_##symbol parameters asm(#symbol);                  \
    result hooked_##symbol parameters {                                                                                \
        va_list list;                                                                                                  \
        va_start(list, last);                                                                                          \
        counted_call const one{row_##symbol};                                                                          \
        auto const given = result_of(                                                                                  \
            [&] { return FROM_FIBER ? convention<result>([&]() -> long { return body::call; }) : real.libc; });        \
        va_end(list);                                                                                                  \
        return result(given);                                                                                          \
    }
#define VARIADIC(convention, result, symbol, parameters, last, libc, call)                                             \
    VARIADIC_INNER(convention, result, symbol, parameters, last, libc, call) CHECK(symbol)
#include "monkey/hooks.def"

} // namespace coir::monkey
