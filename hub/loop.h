// The event loop of one hub: libev behind an interface of ours.
//
// For every descriptor a hub ever waited for there is a pair of persistent watchers, one per direction, with the
// queue of those who wait. A watcher stays active after a wake, so that a connection in steady use costs no
// epoll_ctl; it is stopped when it fires and nobody waits.
//
// One thread only, but for interrupt() and forget_elsewhere().
#pragma once

#include "fiber/thread_lock.h"
#include "hub/waiter.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

struct ev_loop;

namespace coir {

struct watched_fd;

/// What a descriptor is to be ready for.
enum class direction : std::uint8_t { read, write };

/// Whether the hub learns of it when a descriptor is closed (hub::forget_fd).
enum class closing : std::uint8_t {
    unseen, ///< it may not: after a plain close() the number can come back as another file that the kernel does not
            ///< report under the old registration, so nothing may stay registered after the wait
    seen,   ///< it does: the registration may stay for the next wait
};

/// @cond internal

struct fd_waiter : waiter {
    int fd;
    direction way;
    closing close;
    wake_reason why = wake_reason::ready; // for the group that is to take it
    fd_waiter(context& waiting, int descriptor, direction what, closing how) noexcept
        : waiter(waiting), fd(descriptor), way(what), close(how) {}
    /// Nobody's in particular.
    fd_waiter(waiter_group& all, int descriptor, direction what, closing how) noexcept
        : fd(descriptor), way(what), close(how) {
        group = &all;
    }
};

class loop {
public:
    /// `bit` marks this loop in the records of watched descriptors (hub/watched.h), unless set_bit() gives it another
    /// before there are any. Throws std::system_error when the process may open no more descriptors: a loop takes
    /// three.
    explicit loop(std::uint64_t bit);
    ~loop();
    void set_bit(std::uint64_t bit) noexcept { bit_ = bit; }

    /// One round: runs what is due, and if `may_wait` waits for something until `until` (steady ns, or
    /// timer_heap::none).
    void run(bool may_wait, std::int64_t until);

    /// Makes a waiting run() return, and the next one not wait. Any thread; async-signal-safe.
    void interrupt() noexcept;

    /// Queues `one` and sees to it that its descriptor is watched. One that is not open wakes it with `closed`, or is
    /// refused at once: false.
    bool add(fd_waiter& one);
    /// After every add, even if a fork came between and this is another loop: takes `one` out if no event did, and
    /// stops the watcher unless it may stay.
    void remove(fd_waiter& one) noexcept;
    /// In the waiter_group that takes `one`, which is ready: it goes on waiting.
    void add_again(fd_waiter& one) noexcept;
    /// The descriptor is about to be closed, and its record's generation has moved on: takes it out of the epoll set,
    /// wakes all who wait for it and forgets it.
    void forget(int fd) noexcept;
    /// If it was closed since it was last watched: wakes and forgets. The number may mean another file already.
    void forget_if_closed(int fd) noexcept;
    /// The descriptor is about to be closed on another thread, which calls this and then posts forget_if_closed():
    /// takes it out of the epoll set while the number still means it.
    void forget_elsewhere(int fd) noexcept;

    std::size_t waiting() const noexcept { return waiting_; }

    /// For libev's own watchers (hub/libev_watchers.cpp).
    struct ::ev_loop* libev() const noexcept {
        return ev_;
    }

private:
    struct fd_watch; // one direction of one descriptor
    struct fd_entry; // both
    struct own_watchers;
    struct fd_chunk { // of entries, which never move: libev holds pointers into them
        std::unique_ptr<fd_entry[]> entries;
        watched_fd* records; // as many
    };
    static constexpr std::size_t chunk_size = 64; // in descriptors

    fd_entry* find(int fd) const noexcept;
    watched_fd& record_of(int fd) const noexcept; // of one that find() finds
    fd_entry& make(int fd);
    void find_backend_fd();
    void register_own();
    void arm(std::int64_t at) noexcept;
    void drop_closed() noexcept;
    void unregister(int fd) noexcept;
    void on_io(fd_watch& watch, int events) noexcept;
    void wake_fired() noexcept;
    void forget_older(fd_entry& entry, std::uint32_t generation) noexcept;
    void wake_all_closed(fd_watch& watch) noexcept;

    std::uint64_t bit_;
    struct ::ev_loop* ev_;
    std::unique_ptr<own_watchers> own_;
    std::vector<fd_chunk> chunks_;
    std::array<fd_watch*, 32> fired_; // someone who waits in each is to be woken
    std::size_t fired_count_ = 0;
    std::vector<int> changed_;     // descriptors of which libev will tell the kernel in the next round
    thread_lock registering_;      // from looking whether those are open until the kernel was told
    bool registering_now_ = false; // this loop holds it
    std::size_t waiting_ = 0;
    std::int64_t armed_for_; // the moment the timerfd is set to, or none
    bool timer_fired_ = false;
    int timer_fd_ = -1;
    int backend_fd_ = -1; // libev's epoll set
};

/// @endcond

} // namespace coir
