// Queues and semaphores that processes share, asynchronous I/O, and a terminal's output.
//
// System V objects cannot be waited for: what has to wait is done by a thread of its own, which has its place in the
// kernel's queue and is counted there (GETNCNT). Adjustments of SEM_UNDO are the process's (CLONE_SYSVSEM). A POSIX
// queue is a descriptor: each attempt has a deadline that has passed, which the kernel looks at only after trying. A
// fiber that waits for a message so is not seen by mq_notify, which tells of messages that nobody waits for
// (mq_notify(3)).

#include "hub/hub.h"
#include "monkey/bodies.h"
#include "monkey/descriptors.h"
#include "monkey/kernel.h"
#include "monkey/lasting.h"
#include "monkey/real.h"
#include "monkey/retry.h"
#include "monkey/time_limit.h"
#include "monkey/times.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <vector>

namespace coir::monkey {
namespace {

constexpr timespec at_once{};

template <class Attempt>
long on_queue(mqd_t queue, direction way, timespec const* limit, Attempt attempt) {
    if (limit && !valid(*limit)) return -EINVAL;
    time_limit const until{CLOCK_REALTIME, limit};
    notice_handlers();
    ended_by_handlers or_a_handler;
    for (;;) {
        long const result = attempt(&at_once); // in 1970
        if (result != -ETIMEDOUT) return result;
        if (until.over()) return -ETIMEDOUT;
        if (!or_a_handler.arm(handlers::without_restart)) return -EINTR;
        wake_reason const why = hub::wait_fd(queue, way, until.next(), closing::seen);
        if (why == wake_reason::timed_out) continue;
        if (long const error = after(why)) return error;
    }
}

constexpr int most_operations = 32'000; // of a semop: SEMOPM is 500 unless someone raised it

} // namespace

long body::semtimedop(int set, sembuf* operations, size_t count, timespec const* limit) {
    auto const waits = [](sembuf const& one) { return !(one.sem_flg & IPC_NOWAIT); };
    if (count == 0 || count > most_operations || (limit && !valid(*limit)) ||
        std::none_of(operations, operations + count, waits))
        return kernel(SYS_semtimedop, set, operations, count, limit);
    constexpr std::size_t few = 8;
    std::array<sembuf, few> here;
    std::vector<sembuf> many(count > few ? count : 0);
    sembuf* const at_once = count > few ? many.data() : here.data();
    std::copy_n(operations, count, at_once);
    for (std::size_t i = 0; i < count; ++i) at_once[i].sem_flg |= IPC_NOWAIT;
    deadline const until = limit ? deadline_after(*limit) : deadline::never();
    long const result = kernel(SYS_semtimedop, set, at_once, count, nullptr);
    if (result != -EAGAIN || over(until)) return result;
    return lasting(
        [&] {
            timespec const left = left_until(until);
            return kernel(SYS_semtimedop, set, operations, count, limit ? &left : nullptr);
        },
        "semop", handlers::any);
}

long body::msgsnd(int queue, void const* message, size_t size, int flags) {
    long const result = kernel(SYS_msgsnd, queue, message, size, flags | IPC_NOWAIT);
    if (result != -EAGAIN || (flags & IPC_NOWAIT)) return result;
    return lasting([&] { return kernel(SYS_msgsnd, queue, message, size, flags); }, "msgsnd", handlers::any);
}

// MSG_COPY never waits, and is an error without IPC_NOWAIT.
long body::msgrcv(int queue, void* message, size_t size, long type, int flags) {
    if (flags & MSG_COPY) return kernel(SYS_msgrcv, queue, message, size, type, flags);
    long const result = kernel(SYS_msgrcv, queue, message, size, type, flags | IPC_NOWAIT);
    if (result != -ENOMSG || (flags & IPC_NOWAIT)) return result;
    return lasting([&] { return kernel(SYS_msgrcv, queue, message, size, type, flags); }, "msgrcv", handlers::any);
}

long body::mq_timedsend(mqd_t queue, char const* message, size_t size, unsigned priority, timespec const* limit) {
    return on_queue(queue, direction::write, limit, [&](timespec const* until) {
        return kernel(SYS_mq_timedsend, queue, message, size, priority, until);
    });
}

long body::mq_timedreceive(mqd_t queue, char* message, size_t size, unsigned* priority, timespec const* limit) {
    return on_queue(queue, direction::read, limit, [&](timespec const* until) {
        return kernel(SYS_mq_timedreceive, queue, message, size, priority, until);
    });
}

long body::mq_setattr(mqd_t queue, mq_attr const* wanted, mq_attr* before) {
    changes(queue); // O_NONBLOCK is what it sets
    return real.mq_setattr(queue, wanted, before) == 0 ? 0 : -errno;
}

// libc's own, on a thread of its own: what is to be done lies in libc. The futex that it waits on is restarted after a
// handler only without a timeout (signal(7)).
long body::aio_suspend(aiocb const* const* list, int count, timespec const* limit) {
    if (limit && !valid(*limit)) return real.aio_suspend(list, count, limit) == 0 ? 0 : -errno;
    deadline const until = limit ? deadline_after(*limit) : deadline::never();
    if (real.aio_suspend(list, count, &at_once) == 0) return 0;
    if (errno != EAGAIN || over(until)) return -errno;
    return lasting(
        [&]() -> long {
            timespec const left = left_until(until);
            return real.aio_suspend(list, count, limit ? &left : nullptr) == 0 ? 0 : -errno;
        },
        "aio_suspend", limit ? handlers::any : handlers::without_restart);
}

// The operations are begun, then waited for one by one. A kill leaves them to go on, as a handler does: the call cannot
// take them back (lio_listio(3)).
long body::lio_listio(int mode, aiocb* const* list, int count, sigevent* told) {
    if (mode != LIO_WAIT) return real.lio_listio(mode, list, count, told) == 0 ? 0 : -errno;
    long result = real.lio_listio(LIO_NOWAIT, list, count, nullptr) == 0 ? 0 : -errno;
    if (result && result != -EIO) return result;
    for (int i = 0; i < count; ++i) {
        aiocb const* const one = list[i];
        if (!one || one->aio_lio_opcode == LIO_NOP) continue;
        while (aio_error(one) == EINPROGRESS)
            if (long const error = body::aio_suspend(&one, 1, nullptr)) return error;
        if (aio_error(one) != 0) result = -EIO;
    }
    return result;
}

long body::tcdrain(int fd) {
    return lasting([&] { return kernel(SYS_ioctl, fd, TCSBRK, 1); }, "tcdrain");
}

long body::tcsendbreak(int fd, int duration) {
    if (duration <= 0) return lasting([&] { return kernel(SYS_ioctl, fd, TCSBRK, 0); }, "tcsendbreak");
    return lasting([&] { return kernel(SYS_ioctl, fd, TCSBRKP, (duration + 99) / 100); }, "tcsendbreak");
}

// What waits until the output is sent finds that it is.
long body::tcsetattr(int fd, int when, termios const* settings) {
    if (when == TCSADRAIN || when == TCSAFLUSH)
        if (long const error = body::tcdrain(fd)) return error;
    return real.tcsetattr(fd, when, settings) == 0 ? 0 : -errno;
}

} // namespace coir::monkey
