#include "tests/fidelity/faulty/faults.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <string>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

namespace faulty {
namespace {

constexpr long interesting[] = {
    // transfers
    SYS_read, SYS_write, SYS_pread64, SYS_pwrite64, SYS_readv, SYS_writev, SYS_preadv, SYS_pwritev, SYS_preadv2,
    SYS_pwritev2, SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg, SYS_sendfile, SYS_splice, SYS_tee, SYS_vmsplice,
    SYS_copy_file_range,
    // other waits
    SYS_accept, SYS_accept4, SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6, SYS_epoll_wait, SYS_epoll_pwait,
    SYS_epoll_pwait2, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_wait4, SYS_waitid, SYS_flock, SYS_fcntl,
    SYS_semop, SYS_semtimedop, SYS_msgsnd, SYS_msgrcv, SYS_mq_timedsend, SYS_mq_timedreceive, SYS_rt_sigtimedwait,
    // makers of descriptors, users of memory
    SYS_open, SYS_openat, SYS_openat2, SYS_socket, SYS_socketpair, SYS_pipe, SYS_pipe2, SYS_dup, SYS_eventfd2,
    SYS_epoll_create, SYS_epoll_create1, SYS_epoll_ctl, SYS_timerfd_create, SYS_signalfd4, SYS_inotify_init1,
    SYS_memfd_create, SYS_pidfd_open, SYS_io_uring_setup, SYS_io_uring_enter, SYS_mq_open, SYS_mmap, SYS_mprotect,
    SYS_clone, SYS_clone3, SYS_fork, SYS_vfork};

std::uint64_t mixed(std::uint64_t value) noexcept { // splitmix64's last step
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

// The random numbers of one call: of the seed, its process, and how often that made the same call before. So what
// others do at the same time changes nothing.
class dice {
public:
    dice(std::uint64_t seed, stopped_call const& call) {
        auto& counters = call.of().how_often;
        auto found = std::ranges::find(counters, call.number(), &std::pair<long, unsigned>::first);
        if (found == counters.end()) found = counters.insert(found, {call.number(), 0});
        state_ = mixed(seed) ^ mixed(std::uint64_t(call.of().number) << 32 | std::uint64_t(call.number())) ^
                 mixed(found->second++ ^ 0x55u << 20);
    }
    std::uint64_t below(std::uint64_t bound) noexcept { return (state_ = mixed(state_)) % bound; }

private:
    std::uint64_t state_;
};

// What is known of a transfer before its descriptor is looked at.
struct transfer {
    int fd;           // that it may wait for
    bool writes;      // or reads
    bool nonblocking; // this attempt
    int size_at = -1; // the argument that is its size
    unsigned long long parts = 0;
    std::size_t count = 0;           // of the parts
    int count_at = -1;               // the argument that is their number, or
    unsigned long long count_in = 0; // where that lies
    int other_fd = -1;               // that it moves to or from
};

std::optional<transfer> transfer_of(stopped_call const& call) {
    auto const a = [&](int which) { return call.argument(which); };
    constexpr unsigned long long nowait = 8, splice_nonblock = 2;
    auto const fd = int(a(0));
    auto const plain = [&](bool writes, unsigned long long flags) {
        return transfer{.fd = fd, .writes = writes, .nonblocking = (flags & MSG_DONTWAIT) != 0, .size_at = 2};
    };
    auto const vector = [&](bool writes, bool now) {
        return transfer{.fd = fd, .writes = writes, .nonblocking = now, .parts = a(1), .count = a(2), .count_at = 2};
    };
    auto const message = [&](bool writes) -> std::optional<transfer> {
        auto const header = call.load<msghdr>(a(1));
        if (!header) return {};
        return transfer{.fd = fd,
                        .writes = writes,
                        .nonblocking = (a(2) & MSG_DONTWAIT) != 0,
                        .parts = reinterpret_cast<unsigned long long>(header->msg_iov),
                        .count = header->msg_iovlen,
                        .count_in = a(1) + offsetof(msghdr, msg_iovlen)};
    };
    switch (call.number()) {
    case SYS_read:
    case SYS_pread64: return plain(false, 0);
    case SYS_write:
    case SYS_pwrite64: return plain(true, 0);
    case SYS_recvfrom: return plain(false, a(3));
    case SYS_sendto: return plain(true, a(3));
    case SYS_readv:
    case SYS_preadv: return vector(false, false);
    case SYS_writev:
    case SYS_pwritev: return vector(true, false);
    case SYS_preadv2: return vector(false, a(5) & nowait);
    case SYS_pwritev2: return vector(true, a(5) & nowait);
    case SYS_vmsplice: return vector(true, a(3) & splice_nonblock);
    case SYS_recvmsg: return message(false);
    case SYS_sendmsg: return message(true);
    case SYS_sendfile:
        return transfer{.fd = fd, .writes = true, .nonblocking = false, .size_at = 3, .other_fd = int(a(1))};
    case SYS_splice:
        return transfer{.fd = fd,
                        .writes = false,
                        .nonblocking = (a(5) & splice_nonblock) != 0,
                        .size_at = 4,
                        .other_fd = int(a(2))};
    case SYS_copy_file_range:
        return transfer{.fd = fd, .writes = false, .nonblocking = false, .size_at = 4, .other_fd = int(a(2))};
    case SYS_tee:
        return transfer{.fd = fd,
                        .writes = false,
                        .nonblocking = (a(3) & splice_nonblock) != 0,
                        .size_at = 2,
                        .other_fd = int(a(1))};
    default: return {};
    }
}

std::uint64_t bytes_of(stopped_call const& call, transfer const& what) {
    if (what.size_at >= 0) return call.argument(what.size_at);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(what.count, IOV_MAX); ++i)
        if (auto const part = call.load<iovec>(what.parts + i * sizeof(iovec))) total += part->iov_len;
    return total;
}

// What goes to a pipe in no more than PIPE_BUF bytes goes as one (pipe(7)), and so does what several append to a file.
bool may_be_shorter(transfer const& what, file_about const& file, std::uint64_t bytes) noexcept {
    if (bytes < 2) return false;
    switch (file.kind) {
    case file_kind::stream: return true;
    case file_kind::file: return !(what.writes && file.appends);
    case file_kind::terminal: return !what.writes || bytes > 16;
    case file_kind::pipe: return !what.writes || bytes > PIPE_BUF;
    default: return false;
    }
}

bool make_shorter(stopped_call& call, transfer const& what, std::uint64_t bytes, dice& random) {
    if (what.size_at >= 0) {
        call.change_argument(what.size_at, 1 + random.below(bytes - 1));
        return true;
    }
    if (what.count == 1) { // the part itself
        return call.change_memory(what.parts + offsetof(iovec, iov_len), 1 + random.below(bytes - 1));
    }
    std::uint64_t const kept = 1 + random.below(what.count - 1);
    std::uint64_t left = 0;
    for (std::size_t i = 0; i < kept; ++i)
        if (auto const part = call.load<iovec>(what.parts + i * sizeof(iovec))) left += part->iov_len;
    if (left == 0 || left == bytes) return false;
    if (what.count_at >= 0) {
        call.change_argument(what.count_at, kept);
        return true;
    }
    return call.change_memory(what.count_in, kept);
}

// What is at its end, or broken, says so at once, and a terminal knows no attempts but those of O_NONBLOCK.
bool may_say_again(transfer const& what, file_about const& file) noexcept {
    switch (file.kind) {
    case file_kind::file: return true;
    case file_kind::terminal:
        if (!file.nonblocking) return false;
        [[fallthrough]];
    case file_kind::stream:
    case file_kind::packets:
    case file_kind::pipe: return !(file.ready & (POLLHUP | POLLERR)) && file.ready & (what.writes ? POLLOUT : POLLIN);
    default: return false;
    }
}

// The calls beside transfers that may wait here: a signal may end them.
bool may_be_interrupted(stopped_call const& call) {
    auto const a = [&](int which) { return call.argument(which); };
    switch (call.number()) {
    case SYS_accept:
    case SYS_accept4: return !call.file(int(a(0))).nonblocking;
    case SYS_poll:
    case SYS_ppoll: // they look for signals also where there is no time to wait (fs/select.c)
    case SYS_select:
    case SYS_pselect6:
    case SYS_rt_sigtimedwait:
    case SYS_mq_timedsend:
    case SYS_mq_timedreceive: return true;
    case SYS_epoll_wait:
    case SYS_epoll_pwait: return int(a(3)) != 0;
    case SYS_epoll_pwait2:
    case SYS_nanosleep:
    case SYS_clock_nanosleep: return true;
    case SYS_futex: {
        auto const operation = a(1) & 0x7f;
        return operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET;
    }
    case SYS_wait4: return !(a(2) & WNOHANG);
    case SYS_waitid: return !(a(3) & WNOHANG);
    case SYS_flock: return !(a(1) & LOCK_NB);
    case SYS_fcntl: return a(1) == F_SETLKW || a(1) == F_OFD_SETLKW;
    case SYS_semop:
    case SYS_semtimedop: {
        auto const first = call.load<sembuf>(a(1));
        return first && !(first->sem_flg & IPC_NOWAIT);
    }
    case SYS_msgsnd: return !(a(3) & IPC_NOWAIT);
    case SYS_msgrcv: return !(a(4) & IPC_NOWAIT);
    default: return false;
    }
}

// A sleep that ends early says how much is left: all.
void interrupt(stopped_call& call) {
    unsigned long long wanted = 0, left = 0;
    if (call.number() == SYS_nanosleep) wanted = call.argument(0), left = call.argument(1);
    if (call.number() == SYS_clock_nanosleep && !(call.argument(1) & TIMER_ABSTIME))
        wanted = call.argument(2), left = call.argument(3);
    if (left) {
        auto const time = call.load<timespec>(wanted);
        if (!time || time->tv_nsec < 0 || time->tv_nsec > 999'999'999 || time->tv_sec < 0) return; // is refused
        call.store(left, &*time, sizeof *time);
    }
    call.fail_with(EINTR);
}

// libc's own files are opened without any way to tell what failed.
bool opens_own_file(stopped_call const& call) {
    int const path = call.number() == SYS_open ? 0 : 1;
    auto const name = call.text(call.argument(path));
    return !name.empty() && !is_of_the_system(name);
}

bool makes_descriptor(stopped_call const& call) {
    switch (call.number()) {
    case SYS_open:
    case SYS_openat:
    case SYS_openat2: return opens_own_file(call);
    case SYS_fcntl: return call.argument(1) == F_DUPFD || call.argument(1) == F_DUPFD_CLOEXEC;
    case SYS_accept:
    case SYS_accept4:
    case SYS_socket:
    case SYS_socketpair:
    case SYS_pipe:
    case SYS_pipe2:
    case SYS_dup:
    case SYS_eventfd2:
    case SYS_epoll_create:
    case SYS_epoll_create1:
    case SYS_timerfd_create:
    case SYS_inotify_init1:
    case SYS_memfd_create:
    case SYS_pidfd_open:
    case SYS_io_uring_setup:
    case SYS_mq_open: return true;
    case SYS_signalfd4: return int(call.argument(0)) == -1;
    default: return false;
    }
}

// The error that a want of memory is; 0 if the call has none.
int error_of_memory(stopped_call const& call) {
    switch (call.number()) {
    case SYS_open:
    case SYS_openat:
    case SYS_openat2: return opens_own_file(call) ? ENOMEM : 0;
    case SYS_socket:
    case SYS_socketpair:
    case SYS_accept:
    case SYS_accept4: return ENOBUFS;
    case SYS_pidfd_open:
    case SYS_epoll_create1:
    case SYS_eventfd2:
    case SYS_timerfd_create:
    case SYS_inotify_init1:
    case SYS_io_uring_setup:
    case SYS_msgsnd:
    case SYS_recvmsg:
    case SYS_sendmsg:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_mprotect: return ENOMEM;
    case SYS_epoll_ctl: return call.argument(1) == EPOLL_CTL_ADD ? ENOMEM : 0;
    case SYS_mmap: return call.argument(3) & MAP_ANONYMOUS ? ENOMEM : 0;
    case SYS_io_uring_enter: return call.argument(1) > 0 ? EAGAIN : 0;
    case SYS_clone:
    case SYS_clone3:
    case SYS_fork:
    case SYS_vfork: return EAGAIN;
    default: return 0;
    }
}

bool is_standard(int fd) noexcept { return 0 <= fd && fd <= 2; }

} // namespace

std::span<long const> calls_of_interest() noexcept { return interesting; }

void faults::meet(stopped_call& call) {
    ++calls_;
    dice random(seed_, call);
    if (random.below(one_in_) != 0) return;
    auto const what = transfer_of(call);
    if (what && is_standard(what->fd)) return; // through these it tells how it fares
    file_about const file = what ? call.file(what->fd) : file_about{};
    if (what && !(what->writes ? file.writes : file.reads)) return; // EBADF comes first
    std::uint64_t const bytes = what ? bytes_of(call, *what) : 0;
    bool const waits = file.kind == file_kind::stream || file.kind == file_kind::packets ||
                       file.kind == file_kind::pipe || file.kind == file_kind::terminal;
    bool const nonblocking = what && (what->nonblocking || (waits && file.nonblocking));
    file_about const other = what && what->other_fd >= 0 ? call.file(what->other_fd) : file_about{};

    std::array<bool, kind_count> may{};
    may[shorter] =
        what && may_be_shorter(*what, file, bytes) && (what->other_fd < 0 || may_be_shorter(*what, other, bytes));
    may[interrupted] = what ? waits && !nonblocking && bytes > 0 : may_be_interrupted(call);
    may[again] = what && nonblocking && bytes > 0 && may_say_again(*what, file);
    may[reset] = what && file.connected && bytes > 0;
    may[descriptors] = makes_descriptor(call);
    int const error = error_of_memory(call);
    may[memory] = error != 0;

    std::array<kind, kind_count> choice;
    std::size_t count = 0;
    for (unsigned each = 0; each < kind_count; ++each)
        if (may[each] && wanted_[each]) choice[count++] = kind(each);
    if (count == 0) return;
    kind const chosen = choice[random.below(count)];
    if (tells_)
        std::fprintf(stderr, "faulty: process %d (%d), call %ld: %s\n", call.of().number, int(call.of().id),
                     call.number(), std::string(kind_names[chosen]).c_str());
    switch (chosen) {
    case shorter:
        if (!make_shorter(call, *what, bytes, random)) return;
        break;
    case interrupted: interrupt(call); break;
    case again: call.fail_with(EAGAIN); break;
    case reset:
        call.break_connection(what->fd);
        call.fail_with(ECONNRESET);
        break;
    case descriptors: call.fail_with(random.below(4) ? EMFILE : ENFILE); break;
    case memory: call.fail_with(error); break;
    case kind_count: return;
    }
    ++counts_[chosen];
}

} // namespace faulty
