#include "hub/ring.h"

#include "hub/hub.h"
#include "hub/own_fd.h"
#include "hub/scheduler.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

namespace coir {

struct ring::call : waiter {
    long result = 0;
    bool done = false;
    bool expected = false; // the hub was told
    using waiter::waiter;
};

namespace {

constexpr unsigned room = 64; // entries that are handed in at once; any number may be under way

bool wanted() noexcept {
    char const* const text = std::getenv("COIR_IO_URING");
    return !text || std::strcmp(text, "0") != 0;
}

// Some calls tell a cancellation as the kernel tells itself to restart one (include/linux/errno.h).
bool was_cut_off(long result) noexcept {
    constexpr long first_restart = 512, last_restart = 516;
    return result == -ECANCELED || result == -EINTR || (-last_restart <= result && result <= -first_restart);
}

int open_ring(io_uring& made) noexcept {
    own_fd_scope own;
    int error = 0;
    // Without the interrupts that older kernels send for every completion; they know some of these flags, or none.
    for (unsigned flags : {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN, 0u}) {
        io_uring_params how{};
        how.flags = flags | IORING_SETUP_CLAMP;
        error = io_uring_queue_init_params(room, &made, &how);
        if (error != -EINVAL) break;
    }
    if (error < 0) return error;
    made.ring_fd = made.enter_ring_fd = own.keep(made.ring_fd);
    return 0;
}

} // namespace

ring* ring::here() {
    hub& home = hub::current();
    if (!home.ring_ && !home.has_no_ring_) {
        try {
            if (wanted()) home.ring_.reset(new ring(home));
        } catch (std::system_error const&) {} // then there is another way
        home.has_no_ring_ = !home.ring_;
    }
    return home.ring_.get();
}

ring::ring(hub& home) : fd_waiter(static_cast<waiter_group&>(*this), -1, direction::read, closing::seen), home_(home) {
    if (int const error = open_ring(ring_); error < 0)
        throw std::system_error(-error, std::generic_category(), "io_uring_setup");
    fd = ring_.ring_fd;
    ring_was_made.store(true, std::memory_order_relaxed);
    watched_ = home.watch_fd(*this);
    home.watchers().entries += watched_; // alone it is nothing to wait for
}

ring::~ring() {
    if (watched_) {
        home_.unwatch_fd(*this);
        --home_.watchers().entries;
    }
    close_own_fd(std::exchange(ring_.ring_fd, -1));
    io_uring_queue_exit(&ring_);
}

// An entry that the kernel refuses for now (EAGAIN, EBUSY: no memory, too much under way) stays in the ring: it is
// asked again when what is under way has had time to end.
void ring::hand_in(io_uring_sqe const& entry, call* of) {
    io_uring_sqe* place;
    while (!(place = io_uring_get_sqe(&ring_))) {
        io_uring_submit(&ring_);
        collect();
    }
    *place = entry;
    place->user_data = reinterpret_cast<std::uintptr_t>(of);
    unsigned const forks = home_.forks();
    hub const& home = home_;
    while (io_uring_sq_ready(&ring_) > 0 && io_uring_submit(&ring_) < 0) {
        collect();
        step_back();
        if (home.forks() != forks) return; // a child, in which this ring is gone
    }
}

long ring::perform(io_uring_sqe const& entry, how_to_wait const& how) {
    context& self = fiber_that_waits();
    hub& home = home_; // of a forked child, too, in which this ring is gone
    unsigned const forks = home.forks();
    auto const is_lost = [&] { return home.forks() != forks; };
    call mine(self);
    hand_in(entry, &mine);
    if (is_lost()) return -ECANCELED;
    collect();
    if (mine.done) return mine.result;
    home_.expect_post();
    mine.expected = true;
    mine.epoch = self.epoch;
    wake_reason why;
    {
        ended_by_handlers or_one;
        or_one.arm(how.ended_by);
        why = park(self, how.what, how.on, how.until);
    }
    if (is_lost()) return -ECANCELED;
    if (!mine.done) {
        io_uring_sqe cancel{};
        io_uring_prep_cancel(&cancel, &mine, 0);
        hand_in(cancel, nullptr);
        if (is_lost()) return -ECANCELED;
        collect();
    }
    while (!mine.done) {
        mine.epoch = self.epoch;
        park_through(self, how.what, how.on);
        if (is_lost()) return -ECANCELED;
    }
    if (!was_cut_off(mine.result)) return mine.result;
    switch (why) {
    case wake_reason::timed_out: return -ETIME;
    case wake_reason::interrupted: return -EINTR;
    default: return -ECANCELED;
    }
}

void ring::collect() noexcept {
    io_uring_cqe* done;
    while (io_uring_peek_cqe(&ring_, &done) == 0) {
        auto* const of = static_cast<call*>(io_uring_cqe_get_data(done));
        if (of) of->result = done->res;
        io_uring_cqe_seen(&ring_, done);
        if (!of) continue; // the answer to a cancellation
        of->done = true;
        if (of->expected) home_.expected_post_came();
        wake(*of, wake_reason::ready);
    }
}

bool ring::take(waiter&) noexcept {
    if (why == wake_reason::closed) {
        watched_ = false;
        --home_.watchers().entries;
        return true;
    }
    home_.event_loop().add_again(*this);
    collect();
    return true;
}

} // namespace coir
