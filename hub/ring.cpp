#include "hub/ring.h"

#include "hub/hub.h"
#include "hub/own_fd.h"
#include "hub/receiver.h"
#include "hub/scheduler.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace coir {

struct ring::call final : waiter, request {
    ring& of;
    long result = 0;
    bool done = false;
    bool at_once = false;
    bool expected = false; // the hub was told

    call(context& self, ring& by) noexcept : waiter(self), of(by) {}
    void completed(int what, unsigned) noexcept override {
        result = what;
        done = true;
        at_once = of.at_once_;
        if (expected) of.home_.expected_post_came();
        wake(*this, wake_reason::ready);
    }
};

namespace {

constexpr unsigned room = 256;         // entries that are handed in at once; any number may be under way
constexpr unsigned told_at_once = 128; // completions: those whom they wake have their turn before the next

bool wanted() noexcept {
    char const* const text = std::getenv("COIR_IO_URING");
    return !text || std::strcmp(text, "0") != 0;
}

// Some calls tell a cancellation as the kernel tells itself to restart one (include/linux/errno.h).
bool was_cut_off(long result) noexcept {
    constexpr long first_restart = 512, last_restart = 516;
    return result == -ECANCELED || result == -EINTR || (-last_restart <= result && result <= -first_restart);
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
    open();
    ring_was_made.store(true, std::memory_order_relaxed);
    watched_ = home.watch_fd(*this);
    home.watchers().entries += watched_; // alone it is nothing to wait for
}

// Best is a kernel that keeps what it has to do for us until we ask (Linux 6.1), and does it all at once then: polled,
// the ring itself does not tell that there is such work, an eventfd does. Older ones are at least to do it without
// interrupts; they know some of these flags, or none.
void ring::open() {
    own_fd_scope own;
    int error = 0;
    constexpr unsigned when_asked = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_TASKRUN_FLAG;
    for (unsigned flags :
         {when_asked, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN, 0u}) {
        io_uring_params how{};
        how.flags = flags | IORING_SETUP_CLAMP;
        error = io_uring_queue_init_params(room, &ring_, &how);
        if (error != -EINVAL) break;
    }
    if (error < 0) throw std::system_error(-error, std::generic_category(), "io_uring_setup");
    ring_.ring_fd = ring_.enter_ring_fd = own.keep(ring_.ring_fd);
    fd = ring_.ring_fd;
    if (!(ring_.flags & IORING_SETUP_DEFER_TASKRUN)) return;
    event_fd_ = own.keep(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    error = event_fd_ < 0 ? -errno : io_uring_register_eventfd(&ring_, event_fd_);
    if (error < 0) {
        close_own_fd(event_fd_);
        close_own_fd(std::exchange(ring_.ring_fd, -1));
        io_uring_queue_exit(&ring_);
        throw std::system_error(-error, std::generic_category(), "eventfd");
    }
    fd = event_fd_;
}

ring::~ring() {
    if (buffers_) buffers_->ring_goes();
    if (watched_) {
        home_.unwatch_fd(*this);
        --home_.watchers().entries;
    }
    close_own_fd(event_fd_);
    close_own_fd(std::exchange(ring_.ring_fd, -1));
    io_uring_queue_exit(&ring_);
}

std::shared_ptr<receive_buffers> const& ring::buffers() {
    if (!buffers_ && !has_no_buffers_) {
        if (ring_.flags & IORING_SETUP_DEFER_TASKRUN) buffers_ = receive_buffers::make(*this, ring_);
        has_no_buffers_ = !buffers_;
    }
    return buffers_;
}

bool ring::enqueue(io_uring_sqe const& entry, request* of) noexcept {
    io_uring_sqe* place = io_uring_get_sqe(&ring_);
    if (!place) {
        hand_in();
        place = io_uring_get_sqe(&ring_);
        if (!place) return false;
    }
    *place = entry;
    place->user_data = reinterpret_cast<std::uintptr_t>(of);
    return true;
}

void ring::hand_in() noexcept {
    if (io_uring_sq_ready(&ring_) > 0 && !parents_) io_uring_submit(&ring_);
}

void ring::stop_receivers() noexcept {
    if (buffers_) buffers_->stop_all();
}

bool ring::has_work() const noexcept {
    return io_uring_sq_ready(&ring_) > 0 || io_uring_cq_ready(&ring_) > 0 ||
           IO_URING_READ_ONCE(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

void ring::run() noexcept {
    if (io_uring_sq_ready(&ring_) > 0) {
        hand_in();
        at_once_ = true;
        for (unsigned left = io_uring_cq_ready(&ring_); left > 0; --left) tell_next();
        at_once_ = false;
    }
    collect();
}

long ring::perform(io_uring_sqe const& entry, how_to_wait const& how) {
    context& self = fiber_that_waits();
    hub& home = home_; // of a forked child, too, in which this ring is gone
    unsigned const forks = home.forks();
    auto const is_lost = [&] { return home.forks() != forks; };
    auto const give = [&](io_uring_sqe const& what, request* of) {
        while (!enqueue(what, of)) {
            collect();
            step_back();
            if (is_lost()) return false;
        }
        if (!how.with_others || this_scheduler.ready.empty()) run();
        return true;
    };
    call mine(self, *this);
    if (!give(entry, &mine)) return -ECANCELED;
    wake_reason why = wake_reason::ready;
    if (!mine.done) {
        home.expect_post();
        mine.expected = true;
        mine.epoch = self.epoch;
        ended_by_handlers or_one;
        or_one.arm(how.ended_by);
        why = park(self, how.what, how.on, how.until);
    }
    if (is_lost()) return -ECANCELED;
    if (!mine.done) {
        io_uring_sqe cancel{};
        io_uring_prep_cancel(&cancel, static_cast<request*>(&mine), 0);
        if (!give(cancel, nullptr)) return -ECANCELED;
    }
    while (!mine.done) {
        mine.epoch = self.epoch;
        park_through(self, how.what, how.on);
        if (is_lost()) return -ECANCELED;
    }
    if (how.waited) *how.waited = !mine.at_once;
    if (!was_cut_off(mine.result)) return mine.result;
    switch (why) {
    case wake_reason::timed_out: return -ETIME;
    case wake_reason::interrupted: return -EINTR;
    default: return -ECANCELED;
    }
}

bool ring::tell_next() noexcept {
    io_uring_cqe* done; // looking for one does what the kernel has left for us to ask for
    if (io_uring_peek_cqe(&ring_, &done) != 0) return false;
    auto* const of = static_cast<request*>(io_uring_cqe_get_data(done));
    int const result = done->res;
    unsigned const flags = done->flags;
    io_uring_cqe_seen(&ring_, done);
    if (of) of->completed(result, flags); // else it is the answer to a cancellation
    return true;
}

void ring::collect() noexcept {
    for (unsigned told = 0; told < told_at_once && tell_next(); ++told) {}
}

bool ring::take(waiter&) noexcept {
    if (why == wake_reason::closed) {
        watched_ = false;
        --home_.watchers().entries;
        return true;
    }
    home_.event_loop().add_again(*this);
    std::uint64_t count; // the kernel's own call: the shim says of coir's descriptors that they are not open
    if (event_fd_ >= 0) syscall(SYS_read, event_fd_, &count, sizeof count);
    collect();
    return true;
}

} // namespace coir
