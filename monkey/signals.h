// Handlers of the program's, seen: while they run as ever, the waits of hooked calls learn that one did, and end with
// EINTR as the kernel's own would. sigaction and its kin keep what the program installed in a table here, and give the
// kernel a handler of ours that notes the time and calls it.
#pragma once

#include <atomic>
#include <csignal>

namespace coir::monkey {

/// Takes over the handlers that the program installed before there was a hub. Called before the first wait that a
/// handler is to end; cheap afterwards. Any thread.
void notice_handlers_now() noexcept;
extern constinit std::atomic<bool> handlers_noticed;
inline void notice_handlers() noexcept {
    if (!handlers_noticed.load(std::memory_order_acquire)) [[unlikely]]
        notice_handlers_now();
}

/// How many handlers of the program's run on this thread now, one in another. Too many once one was left by longjmp.
unsigned handlers_running() noexcept;

/// The signals that `which` blocks, pending: a descriptor that is readable then, one of coir's own; or -errno.
int signals_to_come(sigset_t const& which) noexcept;

/// While one lives, the program's handler of SIGCHLD does not run on this thread; it does at the end, if the signal
/// came. For system(3), which is to block the signal: the mask is one for all fibers, and the children that others
/// start meanwhile would inherit it.
class child_signals_held {
public:
    child_signals_held() noexcept;
    ~child_signals_held();
    child_signals_held(child_signals_held const&) = delete;
};

/// The mask that a call like ppoll puts in place while it waits. It is in place only while the kernel looks: in between
/// the signals that it lets in are waited for.
class other_mask {
public:
    /// Null: the thread's own. Throws std::system_error: there can be no descriptor for the signals.
    explicit other_mask(sigset_t const* mask);
    ~other_mask();
    other_mask(other_mask const&) = delete;

    /// Readable when a signal is pending that the mask lets in and the thread's own does not; -1 if that lets in all.
    int fd() const noexcept { return fd_; }
    /// Lets in what is pending: a handler ran.
    bool handler_ran() const noexcept;

private:
    sigset_t const* mask_;
    int fd_ = -1;
};

} // namespace coir::monkey
