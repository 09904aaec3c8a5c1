// System V semaphores and queues, POSIX queues, asynchronous I/O, tcdrain.

#include "tests/monkey/outcome.h"

#include <aio.h>
#include <cstdlib>
#include <fcntl.h>
#include <mqueue.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <termios.h>

namespace {

timespec in(long milliseconds) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_nsec += milliseconds * 1'000'000;
    return {now.tv_sec + now.tv_nsec / 1'000'000'000, now.tv_nsec % 1'000'000'000};
}

// Two semaphores.
struct semaphores {
    int const id = checked(semget(IPC_PRIVATE, 2, 0600), "semget");
    semaphores() = default;
    semaphores(semaphores const&) = delete;
    ~semaphores() { semctl(id, 0, IPC_RMID); }

    int operate(short by, short flags = 0, unsigned short which = 0) const {
        sembuf one{which, by, flags};
        return semop(id, &one, 1);
    }
    int operate(short by, timespec const& limit) const {
        sembuf one{0, by, 0};
        return semtimedop(id, &one, 1, &limit);
    }
    int value(int which = 0) const { return semctl(id, which, GETVAL); }
};

struct message {
    long type;
    char text[8];
};

struct sysv_queue {
    int const id = checked(msgget(IPC_PRIVATE, 0600), "msgget");
    sysv_queue() = default;
    sysv_queue(sysv_queue const&) = delete;
    ~sysv_queue() { msgctl(id, IPC_RMID, nullptr); }
    int send(long type, int flags = 0) const {
        message const one{type, "message"};
        return msgsnd(id, &one, sizeof one.text, flags);
    }
    long receive(long type, int flags = 0, std::size_t room = sizeof message::text) const {
        message one{};
        long const size = msgrcv(id, &one, room, type, flags);
        return size < 0 ? size : one.type;
    }
    void room_for_two() const {
        msqid_ds about{};
        checked(msgctl(id, IPC_STAT, &about), "msgctl");
        about.msg_qbytes = 2 * sizeof message::text;
        checked(msgctl(id, IPC_SET, &about), "msgctl");
    }
};

// Holds two messages.
struct posix_queue {
    mqd_t id;
    explicit posix_queue(int flags = 0) {
        std::string const name = "/coir-ipc-" + std::to_string(getpid());
        mq_attr about{};
        about.mq_maxmsg = 2;
        about.mq_msgsize = 8;
        id = checked(mq_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | flags, 0600, &about), "mq_open");
        mq_unlink(name.c_str());
    }
    posix_queue(posix_queue const&) = delete;
    ~posix_queue() { mq_close(id); }
    int send(char const* text, unsigned priority = 0) const { return mq_send(id, text, 1, priority); }
    long receive() const {
        char text[8];
        long const size = mq_receive(id, text, sizeof text, nullptr);
        return size < 0 ? size : text[0];
    }
};

} // namespace

TEST(semop, parks) {
    semaphores const some;
    auto takes = coir::spawn([&] { return some.operate(-1); });
    until_parked(takes);
    EXPECT_EQ(some.operate(+1), 0);
    EXPECT_EQ(takes.get(), 0);
    EXPECT_EQ(some.operate(+1), 0);
    auto zero = coir::spawn([&] { return some.operate(0); });
    until_parked(zero);
    EXPECT_EQ(some.operate(-1), 0);
    EXPECT_EQ(zero.get(), 0);
}

TEST(semop, several_at_once_or_none) {
    semaphores const some;
    auto takes = coir::spawn([&] {
        sembuf both[] = {{0, -1, SEM_UNDO}, {1, -1, 0}};
        return semop(some.id, both, 2);
    });
    until_parked(takes);
    EXPECT_EQ(some.operate(+1), 0);
    until_parked(takes);
    EXPECT_EQ(some.value(), 1);
    EXPECT_EQ(some.operate(+1, 0, 1), 0);
    EXPECT_EQ(takes.get(), 0);
    EXPECT_EQ(some.value(), 0);
    // The one that would wait says so itself.
    sembuf one_that_would_not[] = {{0, +1, 0}, {1, -1, IPC_NOWAIT}};
    EXPECT_EQ(outcome_of([&] { return semop(some.id, one_that_would_not, 2); }), (outcome{-1, EAGAIN}));
    EXPECT_EQ(some.value(), 0);
    std::vector<sembuf> many(20, sembuf{0, -1, 0});
    auto takes_many = coir::spawn([&] { return semop(some.id, many.data(), many.size()); });
    until_parked(takes_many);
    EXPECT_EQ(some.operate(+20), 0);
    EXPECT_EQ(takes_many.get(), 0);
}

TEST(semop, is_never_restarted) {
    handler const usr1{SIGUSR1, SA_RESTART};
    semaphores const some;
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return some.operate(-1); }), interrupted);
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return some.operate(-1, {50, 0}); }), interrupted);
    EXPECT_EQ(with_kill([&] { return some.operate(-1); }), cancelled);
    EXPECT_EQ(some.operate(+1), 0);
    EXPECT_EQ(some.value(), 1);
}

TEST(semop, times_out) {
    semaphores const some;
    EXPECT_EQ(outcome_of([&] { return some.operate(-1, {0, 1'000'000}); }), (outcome{-1, EAGAIN}));
    EXPECT_EQ(outcome_of([&] { return some.operate(-1, {0, 0}); }), (outcome{-1, EAGAIN}));
    auto takes = coir::spawn([&] { return some.operate(-1, {50, 0}); });
    until_parked(takes);
    EXPECT_EQ(some.operate(+1), 0);
    EXPECT_EQ(takes.get(), 0);
}

TEST(semop, ends_with_its_set) {
    outcome result{};
    coir::fiber<void> takes = coir::spawn([] {});
    {
        semaphores const some;
        takes = coir::spawn([&, id = some.id] {
            sembuf one{0, -1, 0};
            result = outcome_of([&] { return semop(id, &one, 1); });
        });
        until_parked(takes);
    }
    takes.join();
    EXPECT_TRUE(result == (outcome{-1, EIDRM}) || result == (outcome{-1, EINVAL})); // the thread had begun, or not yet
}

TEST(semop, errors_are_the_kernels) {
    semaphores const some;
    auto const same = [](auto call) { EXPECT_EQ(outcome_of(call), natively(call)); };
    sembuf one{0, -1, 0}, beyond{7, -1, 0};
    std::vector<sembuf> many(40'000, one);
    same([&] { return semop(-1, &one, 1); });
    same([&] { return semop(some.id, &beyond, 1); });
    same([&] { return semop(some.id, &one, 0); });
    same([&] { return semop(some.id, many.data(), many.size()); });
    same([&] { return semop(some.id, many.data(), 1000); });
    same([&] { return some.operate(-1, {-1, 0}); });
    same([&] { return some.operate(+1, {0, 1'000'000'000}); });
    same([&] { return some.operate(-1, IPC_NOWAIT); });
}

TEST(msgrcv, parks_until_its_type_is_there) {
    sysv_queue const queue;
    auto receives = coir::spawn([&] { return queue.receive(5); });
    until_parked(receives);
    EXPECT_EQ(queue.send(4), 0);
    until_parked(receives);
    EXPECT_EQ(queue.send(5), 0);
    EXPECT_EQ(receives.get(), 5);
    EXPECT_EQ(queue.receive(0, IPC_NOWAIT), 4);
    EXPECT_EQ(outcome_of([&] { return queue.receive(0, IPC_NOWAIT); }), (outcome{-1, ENOMSG}));
}

TEST(msgsnd, parks_while_the_queue_is_full) {
    sysv_queue const queue;
    queue.room_for_two();
    EXPECT_EQ(queue.send(1), 0);
    EXPECT_EQ(queue.send(2), 0);
    EXPECT_EQ(outcome_of([&] { return queue.send(3, IPC_NOWAIT); }), (outcome{-1, EAGAIN}));
    auto sends = coir::spawn([&] { return queue.send(3); });
    until_parked(sends);
    EXPECT_EQ(queue.receive(1), 1);
    EXPECT_EQ(sends.get(), 0);
    handler const usr1{SIGUSR1, SA_RESTART};
    EXPECT_EQ(with_signal(SIGUSR1, [&] { return queue.send(4); }), interrupted);
    EXPECT_EQ(with_kill([&] { return queue.send(4); }), cancelled);
    EXPECT_EQ(queue.receive(0), 2);
    EXPECT_EQ(queue.receive(0), 3);
    EXPECT_EQ(outcome_of([&] { return queue.receive(0, IPC_NOWAIT); }), (outcome{-1, ENOMSG}));
}

TEST(msgrcv, errors_are_the_kernels) {
    sysv_queue const queue;
    EXPECT_EQ(queue.send(1), 0);
    auto const same = [](auto call) { EXPECT_EQ(outcome_of(call), natively(call)); };
    same([&] { return queue.receive(0, 0, 1); });
    same([&] { return queue.receive(0, MSG_COPY); });
    same([&] { return queue.receive(5, MSG_COPY | IPC_NOWAIT); });
    same([&] { return queue.send(0); });
    same([] { return msgrcv(-1, nullptr, 0, 0, 0); });
    same([] {
        message const one{1, ""};
        return msgsnd(-1, &one, 0, 0);
    });
    EXPECT_EQ(queue.receive(0, MSG_COPY | IPC_NOWAIT), 1);
    EXPECT_EQ(queue.receive(0, MSG_NOERROR, 1), 1);
}

TEST(mq_receive, parks) {
    posix_queue const queue;
    auto receives = coir::spawn([&] { return queue.receive(); });
    until_parked(receives);
    EXPECT_EQ(queue.send("a"), 0);
    EXPECT_EQ(receives.get(), 'a');
    EXPECT_EQ(queue.send("a", 1), 0);
    EXPECT_EQ(queue.send("b", 2), 0);
    char text[8];
    unsigned priority = 0;
    timespec const long_time = in(50'000);
    EXPECT_EQ(mq_timedreceive(queue.id, text, sizeof text, &priority, &long_time), 1);
    EXPECT_EQ(text[0], 'b');
    EXPECT_EQ(priority, 2u);
    EXPECT_EQ(queue.receive(), 'a');
}

TEST(mq_send, parks_while_the_queue_is_full) {
    posix_queue const queue;
    EXPECT_EQ(queue.send("a"), 0);
    EXPECT_EQ(queue.send("b"), 0);
    auto sends = coir::spawn([&] { return queue.send("c"); });
    until_parked(sends);
    EXPECT_EQ(queue.receive(), 'a');
    EXPECT_EQ(sends.get(), 0);
    EXPECT_EQ(with_kill([&] { return queue.send("d"); }), cancelled);
    EXPECT_EQ(queue.receive(), 'b');
    EXPECT_EQ(queue.receive(), 'c');
    mq_attr about{};
    EXPECT_EQ(mq_getattr(queue.id, &about), 0);
    EXPECT_EQ(about.mq_curmsgs, 0);
    EXPECT_EQ(about.mq_flags, 0) << "the program's flags are left alone";
}

TEST(mq_receive, many_fibers_on_one_queue) {
    posix_queue const queue;
    int sum = 0;
    std::vector<coir::fiber<void>> all;
    for (int i = 0; i < 50; ++i) all.push_back(coir::spawn([&] { sum += int(queue.receive()); }));
    for (int i = 0; i < 50; ++i) all.push_back(coir::spawn([&] { EXPECT_EQ(queue.send("a"), 0); }));
    for (auto& each : all) each.join();
    EXPECT_EQ(sum, 50 * 'a');
}

TEST(mq_receive, handlers_and_deadlines) {
    posix_queue const queue;
    char text[8];
    {
        handler const usr1{SIGUSR1};
        EXPECT_EQ(with_signal(SIGUSR1, [&] { return queue.receive(); }), interrupted);
    }
    handler const usr1{SIGUSR1, SA_RESTART};
    auto receives = coir::spawn([&] { return queue.receive(); });
    until_parked(receives);
    raise(SIGUSR1);
    until_parked(receives);
    EXPECT_EQ(queue.send("a"), 0);
    EXPECT_EQ(receives.get(), 'a');
    timespec const soon = in(1), past{1, 0};
    for (timespec const& limit : {soon, past}) {
        EXPECT_EQ(outcome_of([&] { return mq_timedreceive(queue.id, text, sizeof text, nullptr, &limit); }),
                  (outcome{-1, ETIMEDOUT}));
        EXPECT_EQ(queue.send("a"), 0);
        EXPECT_EQ(queue.send("b"), 0);
        EXPECT_EQ(outcome_of([&] { return mq_timedsend(queue.id, "c", 1, 0, &limit); }), (outcome{-1, ETIMEDOUT}));
        EXPECT_EQ(mq_timedreceive(queue.id, text, sizeof text, nullptr, &limit), 1);
        EXPECT_EQ(mq_timedsend(queue.id, "c", 1, 0, &limit), 0);
        EXPECT_EQ(queue.receive(), 'b');
        EXPECT_EQ(queue.receive(), 'c');
    }
}

TEST(mq_receive, errors_are_the_kernels) {
    posix_queue const queue, nonblocking{O_NONBLOCK};
    auto const same = [](auto call) { EXPECT_EQ(outcome_of(call), natively(call)); };
    char text[8];
    timespec const wrong{0, 1'000'000'000};
    same([&] { return nonblocking.receive(); });
    same([] { return mq_send(-1, "a", 1, 0); });
    same([] { return mq_send(0, "a", 1, 0); });
    same([&] { return mq_send(queue.id, "a", 100, 0); });
    same([&] { return mq_send(queue.id, "a", 1, 1u << 30); });
    same([&] { return mq_receive(queue.id, text, 1, nullptr); });
    same([&] { return mq_timedreceive(queue.id, text, sizeof text, nullptr, &wrong); });
    same([&] { return mq_timedsend(queue.id, text, 1, 0, &wrong); });
    mq_attr about{};
    about.mq_flags = O_NONBLOCK;
    EXPECT_EQ(mq_setattr(queue.id, &about, nullptr), 0);
    EXPECT_EQ(outcome_of([&] { return queue.receive(); }), (outcome{-1, EAGAIN}));
}

namespace {

aiocb reading(int fd, char& to) {
    aiocb one{};
    one.aio_fildes = fd;
    one.aio_buf = &to;
    one.aio_nbytes = 1;
    one.aio_lio_opcode = LIO_READ;
    return one;
}

} // namespace

TEST(aio_suspend, parks_until_an_operation_has_ended) {
    fd_pair pipe = fd_pair::pipe();
    char byte = 0;
    aiocb one = reading(pipe.first, byte);
    aiocb const* const list[] = {nullptr, &one};
    EXPECT_EQ(aio_read(&one), 0);
    timespec const soon{0, 1'000'000}, at_once{}, long_time{50, 0};
    EXPECT_EQ(outcome_of([&] { return aio_suspend(list, 2, &soon); }), (outcome{-1, EAGAIN}));
    EXPECT_EQ(outcome_of([&] { return aio_suspend(list, 2, &at_once); }), (outcome{-1, EAGAIN}));
    {
        handler const usr1{SIGUSR1};
        EXPECT_EQ(with_signal(SIGUSR1, [&] { return aio_suspend(list, 2, nullptr); }), interrupted);
    }
    EXPECT_EQ(with_kill([&] { return aio_suspend(list, 2, &long_time); }), cancelled);
    EXPECT_EQ(aio_error(&one), EINPROGRESS);
    auto waits = coir::spawn([&] { return aio_suspend(list, 2, nullptr); });
    until_parked(waits);
    EXPECT_EQ(write(pipe.second, "x", 1), 1);
    EXPECT_EQ(waits.get(), 0);
    EXPECT_EQ(aio_error(&one), 0);
    EXPECT_EQ(aio_return(&one), 1);
    EXPECT_EQ(byte, 'x');
    EXPECT_EQ(aio_suspend(list, 2, nullptr), 0); // it has ended already
}

TEST(lio_listio, waits_for_all) {
    fd_pair one = fd_pair::pipe(), other = fd_pair::pipe();
    char first = 0, second = 0;
    aiocb reads[] = {reading(one.first, first), reading(other.first, second)};
    aiocb nothing{};
    nothing.aio_lio_opcode = LIO_NOP;
    aiocb* list[] = {&reads[0], nullptr, &nothing, &reads[1]};
    auto waits = coir::spawn([&] { return lio_listio(LIO_WAIT, list, 4, nullptr); });
    until_parked(waits);
    EXPECT_EQ(write(other.second, "y", 1), 1);
    auto one_of_two = coir::spawn([&] {
        aiocb const* const last[] = {&reads[1]};
        return aio_suspend(last, 1, nullptr);
    });
    EXPECT_EQ(one_of_two.get(), 0);
    until_parked(waits);
    EXPECT_EQ(write(one.second, "x", 1), 1);
    EXPECT_EQ(waits.get(), 0);
    EXPECT_EQ(first, 'x');
    EXPECT_EQ(second, 'y');
}

TEST(lio_listio, errors_as_libcs_own) {
    char byte = 0;
    auto const read_from_nowhere = [&] {
        aiocb bad = reading(-1, byte);
        aiocb* list[] = {&bad};
        return lio_listio(LIO_WAIT, list, 1, nullptr);
    };
    EXPECT_EQ(outcome_of(read_from_nowhere), natively(read_from_nowhere));
    aiocb* none[1] = {};
    auto const strange_mode = [&] { return lio_listio(77, none, 0, nullptr); };
    EXPECT_EQ(outcome_of(strange_mode), natively(strange_mode));
    auto const nothing = [&] { return lio_listio(LIO_WAIT, none, 1, nullptr); };
    EXPECT_EQ(outcome_of(nothing), natively(nothing));
}

// No pty keeps output back, so whether it parks cannot be seen here.
TEST(tcdrain, returns_what_libcs_own_returns) {
    int const master = checked(posix_openpt(O_RDWR | O_NOCTTY), "posix_openpt");
    ASSERT_EQ(grantpt(master), 0);
    ASSERT_EQ(unlockpt(master), 0);
    int const slave = checked(open(ptsname(master), O_RDWR | O_NOCTTY), "open a pty");
    EXPECT_EQ(write(slave, "x", 1), 1);
    EXPECT_EQ(tcdrain(slave), 0);
    auto const of_no_terminal = [] { return tcdrain(-1); };
    EXPECT_EQ(outcome_of(of_no_terminal), natively(of_no_terminal));
    close(slave);
    close(master);
}

TEST(terminals, what_waits_for_the_output_to_be_sent_lets_others_run) {
    int const master = checked(posix_openpt(O_RDWR | O_NOCTTY), "posix_openpt");
    ASSERT_EQ(grantpt(master), 0);
    ASSERT_EQ(unlockpt(master), 0);
    int const slave = checked(open(ptsname(master), O_RDWR | O_NOCTTY), "open a pty");
    termios settings;
    ASSERT_EQ(tcgetattr(slave, &settings), 0);
    settings.c_lflag &= ~tcflag_t(ECHO);
    EXPECT_TRUE(lets_others_run([&] { EXPECT_EQ(tcsetattr(slave, TCSADRAIN, &settings), 0); }));
    settings = {};
    ASSERT_EQ(tcgetattr(slave, &settings), 0);
    EXPECT_FALSE(settings.c_lflag & ECHO);
    EXPECT_FALSE(lets_others_run([&] { EXPECT_EQ(tcsetattr(slave, TCSANOW, &settings), 0); }, 1));
    EXPECT_TRUE(lets_others_run([&] { EXPECT_EQ(tcsendbreak(slave, 0), 0); }));
    EXPECT_TRUE(lets_others_run([&] { EXPECT_EQ(ioctl(slave, TCSBRK, 1), 0); }));
    auto const wrongly = [&] { return tcsetattr(slave, 77, &settings); };
    EXPECT_EQ(outcome_of(wrongly), natively(wrongly));
    close(slave);
    close(master);
}
