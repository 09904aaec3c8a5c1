#include "tests/monkey/outcome.h"
#include "tests/rerun.h"

#include <csignal>
#include <fcntl.h>
#include <functional>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <vector>

namespace {

constexpr timespec no_time{};

int add_to(int set, int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

// Each way to wait until `fd` is readable; returns what the call does.
struct way {
    char const* name;
    std::function<int(int fd)> wait;
};

std::vector<way> const ways = {
    {"poll",
     [](int fd) {
         pollfd one{fd, POLLIN, 0};
         int const n = poll(&one, 1, -1);
         EXPECT_EQ(one.revents, POLLIN);
         return n;
     }},
    {"ppoll",
     [](int fd) {
         pollfd one{fd, POLLIN, 0};
         timespec const limit{100, 0};
         return ppoll(&one, 1, &limit, nullptr);
     }},
    {"select",
     [](int fd) {
         fd_set set;
         FD_ZERO(&set);
         FD_SET(fd, &set);
         int const n = select(fd + 1, &set, nullptr, nullptr, nullptr);
         EXPECT_TRUE(FD_ISSET(fd, &set));
         return n;
     }},
    {"pselect",
     [](int fd) {
         fd_set set;
         FD_ZERO(&set);
         FD_SET(fd, &set);
         timespec const limit{100, 0};
         return pselect(fd + 1, &set, nullptr, nullptr, &limit, nullptr);
     }},
    {"epoll_wait",
     [](int fd) {
         int const set = epoll_create1(0);
         EXPECT_EQ(add_to(set, fd, EPOLLIN), 0);
         epoll_event event{};
         int const n = epoll_wait(set, &event, 1, -1);
         EXPECT_EQ(event.data.fd, fd);
         close(set);
         return n;
     }},
    {"epoll_pwait2",
     [](int fd) {
         int const set = epoll_create1(0);
         EXPECT_EQ(add_to(set, fd, EPOLLIN), 0);
         epoll_event event{};
         timespec const limit{100, 0};
         int const n = epoll_pwait2(set, &event, 1, &limit, nullptr);
         close(set);
         return n;
     }},
};

} // namespace

TEST(poll, every_way_waits_until_the_other_end_writes) {
    for (way const& each : ways) {
        SCOPED_TRACE(each.name);
        auto ends = fd_pair::pipe();
        auto waiter = coir::spawn(each.wait, ends.first);
        until_parked(waiter);
        EXPECT_EQ(write(ends.second, "x", 1), 1);
        EXPECT_EQ(waiter.get(), 1);
    }
}

TEST(poll, a_limit_ends_every_way_with_zero) {
    coir::hub::current();
    auto ends = fd_pair::pipe();
    timespec const limit{0, 2'000'000};
    pollfd one{ends.first, POLLIN, 0};
    EXPECT_EQ(poll(&one, 1, 2), 0);
    EXPECT_EQ(one.revents, 0);
    EXPECT_EQ(ppoll(&one, 1, &limit, nullptr), 0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends.first, &set);
    timeval short_time{0, 2'000};
    EXPECT_EQ(select(ends.first + 1, &set, nullptr, nullptr, &short_time), 0);
    EXPECT_FALSE(FD_ISSET(ends.first, &set));
    EXPECT_EQ(short_time.tv_sec, 0);
    EXPECT_EQ(short_time.tv_usec, 0) << "Linux writes back what is left";
    FD_SET(ends.first, &set);
    EXPECT_EQ(pselect(ends.first + 1, &set, nullptr, nullptr, &limit, nullptr), 0);
    int const epoll = epoll_create1(0);
    ASSERT_EQ(add_to(epoll, ends.first, EPOLLIN), 0);
    epoll_event event;
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 2), 0);
    EXPECT_EQ(epoll_pwait2(epoll, &event, 1, &limit, nullptr), 0);
    close(epoll);
}

TEST(poll, nothing_to_wait_for_is_a_sleep) {
    std::string order;
    auto sleeper = coir::spawn([&] {
        EXPECT_EQ(poll(nullptr, 0, 5), 0);
        order += "poll ";
        timeval limit{0, 5'000};
        EXPECT_EQ(select(0, nullptr, nullptr, nullptr, &limit), 0);
        order += "select ";
    });
    until_parked(sleeper);
    order += "others ";
    sleeper.join();
    EXPECT_EQ(order, "others poll select ");
}

TEST(poll, a_look_without_time_does_not_switch) {
    auto ends = fd_pair::pipe();
    bool other_ran = false;
    auto other = coir::spawn([&] { other_ran = true; });
    pollfd one{ends.first, POLLIN, 0};
    EXPECT_EQ(poll(&one, 1, 0), 0);
    EXPECT_EQ(ppoll(&one, 1, &no_time, nullptr), 0);
    EXPECT_FALSE(other_ran);
    other.join();
}

TEST(poll, many_descriptors_and_ignored_ones) {
    std::vector<fd_pair> pipes;
    for (int i = 0; i < 50; ++i) pipes.push_back(fd_pair::pipe());
    std::vector<pollfd> set;
    for (auto const& each : pipes) {
        set.push_back({each.first, POLLIN, 0});
        set.push_back({-1, POLLIN, 0});
    }
    auto waiter = coir::spawn([&] { return poll(set.data(), set.size(), -1); });
    until_parked(waiter);
    EXPECT_EQ(write(pipes[37].second, "x", 1), 1);
    EXPECT_EQ(waiter.get(), 1);
    for (std::size_t i = 0; i < set.size(); ++i) EXPECT_EQ(set[i].revents, i == 74 ? POLLIN : 0) << i;
}

TEST(poll, writable_and_hang_up) {
    auto ends = fd_pair::pipe();
    ASSERT_EQ(fcntl(ends.second, F_SETPIPE_SZ, 4096), 4096);
    std::string const page(4096, 'x');
    ASSERT_EQ(write(ends.second, page.data(), page.size()), 4096);
    auto waiter = coir::spawn([&] {
        pollfd one{ends.second, POLLOUT, 0};
        EXPECT_EQ(poll(&one, 1, -1), 1);
        return one.revents;
    });
    until_parked(waiter);
    std::string taken(4096, '\0');
    EXPECT_EQ(read(ends.first, taken.data(), taken.size()), 4096);
    EXPECT_EQ(waiter.get(), POLLOUT);
    auto hung = coir::spawn([&] {
        pollfd one{ends.first, POLLIN, 0};
        EXPECT_EQ(poll(&one, 1, -1), 1);
        return one.revents;
    });
    until_parked(hung);
    ends.close_second();
    EXPECT_EQ(hung.get(), POLLHUP);
}

TEST(poll, conditions_that_the_hub_does_not_know) {
    listener here;
    int const client = here.connect();
    int const server = accept(here.fd, nullptr, nullptr);
    EXPECT_EQ(send(client, "n", 1, 0), 1); // unread data: POLLIN holds all the time and was not asked for
    auto const wait_for = [&](short events) {
        pollfd one{server, events, 0};
        EXPECT_EQ(poll(&one, 1, -1), 1);
        return one.revents;
    };
    auto urgent = coir::spawn(wait_for, POLLPRI);
    auto closed = coir::spawn(wait_for, POLLRDHUP);
    until_parked(urgent);
    until_parked(closed);
    EXPECT_EQ(send(client, "!", 1, MSG_OOB), 1);
    EXPECT_EQ(urgent.get(), POLLPRI);
    EXPECT_FALSE(closed.ready());
    EXPECT_EQ(shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(closed.get(), POLLRDHUP);
    close(server);
    close(client);
}

TEST(poll, select_for_all_three_sets) {
    auto in = fd_pair::pipe(), out = fd_pair::pipe();
    auto waiter = coir::spawn([&] {
        fd_set read_set, write_set, except_set;
        FD_ZERO(&read_set);
        FD_ZERO(&write_set);
        FD_ZERO(&except_set);
        FD_SET(in.first, &read_set);
        FD_SET(in.first, &except_set);
        int const n = select(in.first + 1, &read_set, &write_set, &except_set, nullptr);
        EXPECT_TRUE(FD_ISSET(in.first, &read_set));
        EXPECT_FALSE(FD_ISSET(in.first, &except_set));
        return n;
    });
    until_parked(waiter);
    EXPECT_EQ(write(in.second, "x", 1), 1);
    EXPECT_EQ(waiter.get(), 1);
}

TEST(poll, errors_are_libc_s) {
    coir::hub::current();
    pollfd bad{98765, POLLIN, 0};
    EXPECT_EQ(poll(&bad, 1, -1), 1);
    EXPECT_EQ(bad.revents, POLLNVAL);
    timespec const negative{-1, 0};
    EXPECT_EQ(ppoll(&bad, 1, &negative, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    fd_set set;
    FD_ZERO(&set);
    int const closed = dup(0);
    close(closed);
    FD_SET(closed, &set);
    EXPECT_EQ(select(closed + 1, &set, nullptr, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(select(-1, nullptr, nullptr, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    epoll_event event;
    EXPECT_EQ(epoll_wait(-1, &event, 1, -1), -1);
    EXPECT_EQ(errno, EBADF);
    auto ends = fd_pair::pipe();
    EXPECT_EQ(epoll_wait(ends.first, &event, 1, -1), -1);
    EXPECT_EQ(errno, EINVAL);
}

// The kernel overlooks numbers beyond its table for the process, whose size is nobody's business.
TEST(poll, select_of_a_high_number_that_is_not_open_is_as_the_kernel_has_it) {
    auto const ask = [] {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(1000, &set);
        timeval limit{0, 2'000};
        int const found = select(1001, &set, nullptr, nullptr, &limit);
        return std::pair(found, found < 0 ? errno : 0);
    };
    auto const plain = coir::offload(ask);
    EXPECT_EQ(ask(), plain);
}

TEST(poll, a_descriptor_closed_meanwhile_is_reported_as_invalid) {
    auto ends = fd_pair::pipe();
    auto waiter = coir::spawn([&] {
        pollfd one{ends.first, POLLIN, 0};
        int const n = poll(&one, 1, -1);
        EXPECT_EQ(one.revents, POLLNVAL);
        return n;
    });
    until_parked(waiter);
    ends.close_first();
    EXPECT_EQ(waiter.get(), 1);
}

// What the hub does not tell is asked of a set of its own, which takes memory.
TEST_ALONE(poll, without_memory_to_wait_says_so) {
    coir::hub::current(); // this thread is a fiber
    auto ends = fd_pair::pipe();
    pollfd one{ends.first, POLLPRI, 0};
    EXPECT_EQ(outcome_of([&] { return poll(&one, 1, 1); }), (outcome{0, 0}));
    sock_filter refuses[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_ctl, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog const program{std::size(refuses), refuses};
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    EXPECT_EQ(outcome_of([&] { return poll(&one, 1, 1000); }), (outcome{-1, ENOMEM}));
}

// Where a fiber is the only one left, and a signal the only thing that can come.
TEST(poll, of_nothing_and_for_ever_waits_for_a_handler) {
    struct sigaction action {
    }, before{};
    action.sa_handler = [](int) {};
    checked(sigaction(SIGALRM, &action, &before), "sigaction");
    coir::hub::current();
    for (auto const& way :
         {+[] { return poll(nullptr, 0, -1); }, +[] { return select(0, nullptr, nullptr, nullptr, nullptr); }}) {
        itimerval const soon{{}, {0, 10'000}};
        checked(setitimer(ITIMER_REAL, &soon, nullptr), "setitimer");
        EXPECT_EQ(way(), -1);
        EXPECT_EQ(errno, EINTR);
    }
    sigaction(SIGALRM, &before, nullptr);
}

TEST(poll, a_set_that_is_no_memory_is_EFAULT) {
    coir::hub::current();
    auto* volatile nowhere = reinterpret_cast<fd_set*>(8);
    timeval now{};
    EXPECT_EQ(select(3, nowhere, nullptr, nullptr, &now), -1);
    EXPECT_EQ(errno, EFAULT);
}
