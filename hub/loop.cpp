#include "hub/loop.h"

#include "hub/libev.h"
#include "hub/own_fd.h"
#include "hub/scheduler.h"
#include "hub/timer.h"
#include "hub/watched.h"

#include <cerrno>
#include <fcntl.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace coir {

// With thousands of connections every line of memory that a wait touches has to be fetched, so all of this is one.
struct alignas(64) loop::fd_watch {
    ev_io io;
    wait_queue queue;

    // libev forgets that the kernel has a registration only once that fires again. It leaves `data` to us: of which
    // generation of the number's record the watch is, and whether the kernel has a registration though it is stopped.
    std::uint32_t generation() const noexcept { return std::uint32_t(reinterpret_cast<std::uintptr_t>(io.data)); }
    bool left_registered() const noexcept { return reinterpret_cast<std::uintptr_t>(io.data) >> 32; }
    void note(std::uint32_t generation, bool left_registered) noexcept {
        io.data = reinterpret_cast<void*>(std::uintptr_t{left_registered} << 32 | generation);
    }
};

struct loop::fd_entry {
    fd_watch watches[2]; // by direction, and always of the same generation
};

struct loop::own_watchers {
    ev_io timer;
    ev_async interrupted;
};

namespace {

// A system call: the shim says of coir's own descriptors that they are not.
bool is_open(int fd) noexcept { return syscall(SYS_fcntl, fd, F_GETFD) >= 0; }

[[noreturn]] void fail(char const* what) { throw std::system_error(errno, std::generic_category(), what); }

void notify(waiter& one, wake_reason why) {
    if (one.group) {
        static_cast<fd_waiter&>(one).why = why; // no others wait for descriptors
        one.granted = one.group->take(one);
    } else {
        wake(one, why);
    }
}

int event_of(direction way) noexcept { return way == direction::read ? EV_READ : EV_WRITE; }

} // namespace

loop::loop(std::uint64_t bit) : bit_(bit), armed_for_(timer_heap::none) {
    own_fd_scope own;
    ev_ = ev_loop_new(EVBACKEND_EPOLL | unsigned{EVFLAG_NOENV} | unsigned{EVFLAG_NOSIGMASK});
    if (!ev_) fail("make an event loop (epoll_create1)");
    ev_set_userdata(ev_, this);
    timer_fd_ = own.keep(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    // libev aborts the process when it finds no descriptor for ev_async: whether there is one is tried here.
    int const spare = timer_fd_ < 0 ? -1 : eventfd(0, EFD_CLOEXEC);
    if (spare < 0) {
        int const error = errno;
        close_own_fd(timer_fd_);
        ev_loop_destroy(ev_);
        errno = error;
        fail("make an event loop (timerfd_create, eventfd)");
    }
    close_own_fd(spare);
    own_ = std::make_unique<own_watchers>();
    ev_io_init(
        &own_->timer,
        [](struct ev_loop* ev, ev_io*, int) {
            auto& self = *static_cast<loop*>(ev_userdata(ev));
            self.armed_for_ = timer_heap::none;
            self.timer_fired_ = true;
        },
        timer_fd_, EV_READ);
    ev_io_start(ev_, &own_->timer);
    ev_async_init(&own_->interrupted, [](struct ev_loop*, ev_async*, int) {});
    ev_async_start(ev_, &own_->interrupted);
    find_backend_fd();
    ev_set_loop_release_cb(
        ev_,
        [](struct ev_loop* ev) noexcept {
            auto& self = *static_cast<loop*>(ev_userdata(ev));
            if (std::exchange(self.registering_now_, false)) self.registering_.unlock();
        },
        [](struct ev_loop*) noexcept {});
}

loop::~loop() {
    // Who still waits is parked for good, or belongs to the parent of a forked child; in neither case may it find its
    // way back here.
    for (fd_chunk& chunk : chunks_)
        for (std::size_t i = 0; chunk.entries && i < chunk_size; ++i)
            for (fd_watch& watch : chunk.entries[i].watches)
                while (!watch.queue.empty()) watch.queue.pop();
    own_fd_scope const own;
    ev_loop_destroy(ev_);
    close_own_fd(timer_fd_);
}

// libev keeps its epoll set to itself, but unregister() needs it. It is the one set that knows our timerfd:
// EPOLL_CTL_MOD fails on every other descriptor. That leaves the events as they are, and the registration is made again
// right after. A bare system call, because ThreadSanitizer takes it for a use of descriptors that belong to other
// threads.
void loop::find_backend_fd() {
    register_own(); // the timerfd, too
    auto const is_it = [&](int candidate) {
        epoll_event same{};
        same.events = EPOLLIN;
        return syscall(SYS_epoll_ctl, candidate, EPOLL_CTL_MOD, timer_fd_, &same) == 0;
    };
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    backend_fd_ = next_own_fd(0);
    while (backend_fd_ >= 0 && !is_it(backend_fd_)) backend_fd_ = next_own_fd(unsigned(backend_fd_) + 1);
    if (backend_fd_ < 0) // without the shim it is one of the low ones
        while (rlim_t(++backend_fd_) < limit.rlim_cur && !is_it(backend_fd_)) {}
    if (rlim_t(backend_fd_) == limit.rlim_cur)
        throw std::logic_error("make an event loop: libev's epoll set is not among the process's descriptors");
    epoll_ctl(backend_fd_, EPOLL_CTL_DEL, timer_fd_, nullptr);
    ev_io_stop(ev_, &own_->timer);
    ev_io_set(&own_->timer, timer_fd_, EV_READ);
    ev_io_start(ev_, &own_->timer);
    register_own();
}

// What the kernel refuses to register (ENOMEM, ENOSPC) libev stops, its own descriptor of ev_async without a word: a
// loop that is woken by nothing. It reads that then, which has nothing. Nothing else in here sets errno, but a signal.
void loop::register_own() {
    errno = 0;
    ev_run(ev_, EVRUN_NOWAIT);
    if (ev_is_active(&own_->timer) && errno != ENOMEM && errno != ENOSPC && errno != EAGAIN) return;
    ev_loop_destroy(ev_);
    close_own_fd(timer_fd_);
    errno = ENOMEM;
    fail("make an event loop (epoll_ctl)");
}

void loop::run(bool may_wait, std::int64_t until) {
    if (!changed_.empty()) {
        registering_.lock();
        registering_now_ = true;
        drop_closed();
        may_wait = may_wait && this_scheduler.ready.empty(); // it may have woken someone
    } // unlocked by libev, when it has told the kernel and begins to wait
    if (may_wait) arm(until);
    ev_run(ev_, may_wait ? EVRUN_ONCE : EVRUN_NOWAIT);
    wake_fired();
}

// libev aborts when it is to register a descriptor that is not open. Its callers may hold a number that was closed, by
// another fiber or thread even since they began to wait. Between the look here and the registration only a thread that
// announces nothing can still close it; forget_elsewhere() waits.
void loop::drop_closed() noexcept {
    for (int fd : changed_) {
        fd_entry& entry = *find(fd);
        forget_if_closed(fd);
        if (!ev_is_active(&entry.watches[0].io) && !ev_is_active(&entry.watches[1].io)) continue;
        if (is_open(fd)) continue;
        for (fd_watch& watch : entry.watches) {
            ev_io_stop(ev_, &watch.io);
            wake_all_closed(watch);
        }
    }
    changed_.clear();
}

// The timerfd is moved only to an earlier moment: firing early costs one idle round, while a program whose deadlines
// are all pushed back by every message would otherwise set it at every message.
void loop::arm(std::int64_t at) noexcept {
    if (at == timer_heap::none && timer_fired_) {
        std::uint64_t expirations;
        [[maybe_unused]] auto drained = read(timer_fd_, &expirations, sizeof expirations);
        timer_fired_ = false;
    }
    if (at >= armed_for_) return;
    itimerspec moment{};
    moment.it_value = {at / 1'000'000'000, at % 1'000'000'000};
    timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &moment, nullptr); // forgets earlier expirations too
    armed_for_ = at;
    timer_fired_ = false;
}

void loop::interrupt() noexcept { ev_async_send(ev_, &own_->interrupted); }

loop::fd_entry* loop::find(int fd) const noexcept {
    auto const chunk = std::size_t(fd) / chunk_size;
    if (fd < 0 || chunk >= chunks_.size() || !chunks_[chunk].entries) return nullptr;
    return &chunks_[chunk].entries[std::size_t(fd) % chunk_size];
}

watched_fd& loop::record_of(int fd) const noexcept {
    return chunks_[std::size_t(fd) / chunk_size].records[std::size_t(fd) % chunk_size];
}

loop::fd_entry& loop::make(int fd) {
    static_assert(sizeof(fd_watch) == 64);
    auto const chunk = std::size_t(fd) / chunk_size;
    if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
    fd_chunk fresh{std::make_unique<fd_entry[]>(chunk_size), watched_range(int(chunk * chunk_size), chunk_size)};
    for (std::size_t i = 0; i < chunk_size; ++i) {
        for (direction way : {direction::read, direction::write}) {
            fd_watch& watch = fresh.entries[i].watches[std::size_t(way)];
            ev_io_init(
                &watch.io,
                [](struct ev_loop* ev, ev_io* io, int events) {
                    static_assert(offsetof(fd_watch, io) == 0);
                    static_cast<loop*>(ev_userdata(ev))->on_io(*reinterpret_cast<fd_watch*>(io), events);
                },
                int(chunk * chunk_size + i), event_of(way));
            watch.note(0, false);
        }
    }
    chunks_[chunk] = std::move(fresh);
    return *find(fd);
}

bool loop::add(fd_waiter& one) {
    fd_entry* entry = find(one.fd);
    if (!entry) [[unlikely]] {
        if (!is_open(one.fd)) return false; // tables grow with the numbers that are used
        entry = &make(one.fd);
    }
    fd_watch& watch = entry->watches[std::size_t(one.way)];
    watched_fd& record = record_of(one.fd);
    auto const generation = record.generation.load(std::memory_order_acquire);
    if (watch.generation() != generation) [[unlikely]]
        forget_older(*entry, generation);
    if (one.close == closing::unseen) ev_io_stop(ev_, &watch.io); // started for another waiter, on another file perhaps
    if (!ev_is_active(&watch.io)) {
        changed_.push_back(one.fd);
        record.hubs.fetch_or(bit_, std::memory_order_relaxed);
        ev_io_set(&watch.io, one.fd, event_of(one.way)); // says that the number may be another file by now
        ev_io_start(ev_, &watch.io);
    }
    watch.queue.push(one);
    ++waiting_;
    return true;
}

void loop::remove(fd_waiter& one) noexcept {
    if (one.queued()) {
        one.unlink();
        --waiting_;
    }
    if (one.close == closing::seen) return;
    fd_entry* const entry = find(one.fd);
    if (!entry) return;
    fd_watch& watch = entry->watches[std::size_t(one.way)];
    if (!watch.queue.empty() || !ev_is_active(&watch.io)) return;
    ev_io_stop(ev_, &watch.io);
    if (ev_is_active(&entry->watches[0].io) || ev_is_active(&entry->watches[1].io))
        changed_.push_back(one.fd);
    else
        unregister(one.fd);
}

void loop::add_again(fd_waiter& one) noexcept {
    find(one.fd)->watches[std::size_t(one.way)].queue.push(one);
    ++waiting_;
}

void loop::forget_if_closed(int fd) noexcept {
    fd_entry* const entry = find(fd);
    if (!entry) return;
    auto const generation = record_of(fd).generation.load(std::memory_order_acquire);
    if (entry->watches[0].generation() != generation) forget_older(*entry, generation);
}

// What the entry knows is of a file that the number means no more; it is of this generation now.
void loop::forget_older(fd_entry& entry, std::uint32_t generation) noexcept {
    for (fd_watch& watch : entry.watches) {
        watch.note(generation, false);
        ev_io_stop(ev_, &watch.io);
        wake_all_closed(watch);
    }
}

void loop::forget(int fd) noexcept {
    fd_entry const* const entry = find(fd);
    if (!entry) return;
    bool registered = false;
    for (fd_watch const& watch : entry->watches) registered |= ev_is_active(&watch.io) || watch.left_registered();
    if (registered) unregister(fd);
    forget_if_closed(fd);
}

void loop::wake_all_closed(fd_watch& watch) noexcept {
    while (!watch.queue.empty()) {
        --waiting_;
        notify(watch.queue.pop(), wake_reason::closed);
    }
}

// libev leaves it to close() to take a descriptor out of the epoll set. While a duplicate or a forked child still has
// the file open, close() does not, and the set keeps reporting a number that is gone: libev would rebuild its set
// every time. So it is taken out by hand.
void loop::forget_elsewhere(int fd) noexcept {
    std::lock_guard lock{registering_};
    unregister(fd);
}

void loop::unregister(int fd) noexcept { epoll_ctl(backend_fd_, EPOLL_CTL_DEL, fd, nullptr); }

void loop::on_io(fd_watch& watch, int events) noexcept {
    if (events & EV_ERROR) {                                      // libev has stopped the watcher
        if (!is_open(watch.io.fd)) return wake_all_closed(watch); // behind our back
        if (watch.queue.empty()) return;
        changed_.push_back(watch.io.fd); // no memory to register it: again, at the next look
        ev_io_set(&watch.io, watch.io.fd, watch.io.events & (EV_READ | EV_WRITE));
        ev_io_start(ev_, &watch.io);
        return;
    }
    if (watch.queue.empty()) {
        watch.note(watch.generation(), true);
        ev_io_stop(ev_, &watch.io);
        changed_.push_back(watch.io.fd);
        return;
    }
    if (fired_count_ == fired_.size()) wake_fired();
    watch.queue.prefetch_first();
    fired_[fired_count_++] = &watch;
}

// To wake a fiber is to go from the watch to the waiter, on the fiber's stack, and from there to its control block:
// each may have to come from memory. So several are woken together: while one's is under way, the others' are too.
// Between on_io and here nothing but other wakes happens.
void loop::wake_fired() noexcept {
    for (std::size_t i = 0; i < fired_count_; ++i) fired_[i]->queue.prefetch_who();
    for (std::size_t i = 0; i < fired_count_; ++i) {
        // One, not all: the event stays as long as it is not consumed, so the next in line is woken in the next round.
        --waiting_;
        notify(fired_[i]->queue.pop(), wake_reason::ready);
    }
    fired_count_ = 0;
}

} // namespace coir
