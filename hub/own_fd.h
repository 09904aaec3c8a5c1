// The descriptors of coir itself: out of the way of the program's, which are to be low, because of select(2), and are
// not to become fewer. They lie above the program's limit: RLIMIT_NOFILE is what a new descriptor has to be below, and
// is raised for the moment in which one is made. Where it cannot be, at its top. Process-wide. Internal.
#pragma once

#include "fiber/export.h"

namespace coir {

/// While one lives, what its thread opens and closes is coir's own: also what libev does, if the shim is there to see
/// it. They can be opened although the limit is reached.
class COIR_API own_fd_scope {
public:
    own_fd_scope() noexcept;
    ~own_fd_scope();
    own_fd_scope(own_fd_scope const&) = delete;

    /// `fd`, or what it became: one of coir's own from now on. A negative number stays one.
    int keep(int fd) noexcept;

    /// Null if there is none.
    static own_fd_scope* on_this_thread() noexcept;

private:
    unsigned long soft_limit_ = 0, hard_limit_ = 0;
    bool raised_ = false;
};

/// What `make` returns, made one of coir's own; a negative number stays one.
template <class Make>
int make_own_fd(Make make) noexcept {
    own_fd_scope own;
    return own.keep(int(make()));
}

/// Closes one of coir's own, as hub::forget_fd() has it; does nothing about a negative number.
COIR_API void close_own_fd(int fd) noexcept;

/// One of coir's own, which goes with it; a negative number is none.
class own_fd {
public:
    explicit own_fd(int fd = -1) noexcept : fd_(fd) {}
    own_fd(own_fd const&) = delete;
    ~own_fd() { close_own_fd(fd_); }

    int get() const noexcept { return fd_; }
    /// There was none.
    void set(int fd) noexcept { fd_ = fd; }

private:
    int fd_;
};

/// It is not the program's to close.
COIR_API bool is_own_fd(int fd) noexcept;
/// The lowest from `first` on; -1 if there is none.
COIR_API int next_own_fd(unsigned first) noexcept;

} // namespace coir
