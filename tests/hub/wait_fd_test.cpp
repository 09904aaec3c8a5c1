#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/offload.h"
#include "hub/wait.h"
#include "tests/rerun.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits>
#include <netinet/in.h>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using coir::closing;
using coir::hub;
using coir::wake_reason;
using namespace std::chrono_literals;

// Rounds of the loop, counted where libev asks the kernel.
static std::atomic<long> polls{0};
extern "C" int epoll_wait(int set, epoll_event* events, int count, int timeout) {
    ++polls;
    return int(syscall(SYS_epoll_wait, set, events, count, timeout));
}

namespace {

struct pair {
    int ends[2] = {-1, -1};
    explicit pair(int type = SOCK_STREAM) { EXPECT_EQ(socketpair(AF_UNIX, type, 0, ends), 0); }
    ~pair() {
        for (int end : ends)
            if (end >= 0) {
                hub::forget_fd(end);
                close(end);
            }
    }
    int operator[](int i) const { return ends[i]; }
    void close_end(int i) { ::close(std::exchange(ends[i], -1)); }
};

void send_byte(int fd) { EXPECT_EQ(write(fd, "x", 1), 1); }
void take_byte(int fd) {
    char byte;
    EXPECT_EQ(read(fd, &byte, 1), 1);
}

class both_closings : public testing::TestWithParam<closing> {};

} // namespace

TEST_P(both_closings, readable_when_bytes_come) {
    pair p;
    auto reading = coir::spawn([&] {
        for (int i = 0; i < 100; ++i) {
            EXPECT_EQ(hub::wait_fd(p[0], hub::readable, {}, GetParam()), wake_reason::ready);
            take_byte(p[0]);
        }
    });
    for (int i = 0; i < 100; ++i) {
        send_byte(p[1]);
        coir::yield();
    }
    reading.get();
}

TEST_P(both_closings, a_pipe_that_is_full_becomes_writable) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
    std::array<char, 4096> block{};
    while (write(ends[1], block.data(), block.size()) > 0) {}
    bool wrote = false;
    auto writing = coir::spawn([&] {
        EXPECT_EQ(hub::wait_fd(ends[1], hub::writable, {}, GetParam()), wake_reason::ready);
        wrote = true;
    });
    EXPECT_FALSE(writing.join(1ms));
    while (read(ends[0], block.data(), block.size()) > 0) {}
    writing.get();
    hub::forget_fd(ends[0]);
    hub::forget_fd(ends[1]);
    close(ends[0]);
    close(ends[1]);
    EXPECT_TRUE(wrote);
}

TEST_P(both_closings, hang_up_is_readable) {
    pair p;
    auto reading = coir::spawn([&] { return hub::wait_fd(p[0], hub::readable, {}, GetParam()); });
    coir::yield();
    p.close_end(1);
    EXPECT_EQ(reading.get(), wake_reason::ready);
}

TEST_P(both_closings, the_deadline_passes) {
    pair p;
    EXPECT_EQ(hub::wait_fd(p[0], hub::readable, 1ms, GetParam()), wake_reason::timed_out);
    EXPECT_EQ(hub::wait_fd(p[0], hub::readable, -1s, GetParam()), wake_reason::timed_out);
    send_byte(p[1]);
    EXPECT_EQ(hub::wait_fd(p[0], hub::readable, 1h, GetParam()), wake_reason::ready);
}

TEST_P(both_closings, no_descriptor_is_closed) {
    int const closed = dup(0);
    close(closed);
    for (int fd : {closed, -1, std::numeric_limits<int>::min(), std::numeric_limits<int>::max(), 1 << 30})
        for (int again = 0; again < 2; ++again)
            EXPECT_EQ(hub::wait_fd(fd, hub::readable, {}, GetParam()), wake_reason::closed) << fd;
}

TEST_P(both_closings, several_for_one_descriptor_are_woken_in_their_order) {
    pair p(SOCK_DGRAM);
    std::string order;
    std::vector<coir::fiber<void>> all;
    for (char name : std::string("abcd"))
        all.push_back(coir::spawn([&, name] {
            auto const why =
                hub::wait_fd(p[0], hub::readable, name == 'b' ? coir::deadline(0s) : coir::deadline(), GetParam());
            if (why == wake_reason::timed_out) return;
            EXPECT_EQ(why, wake_reason::ready);
            take_byte(p[0]);
            order += name;
        }));
    EXPECT_TRUE(all[1].join());
    for (int i = 0; i < 3; ++i) send_byte(p[1]);
    coir::joinall(all);
    EXPECT_EQ(order, "acd");
}

// As many as the loop wakes together, a few times over.
TEST_P(both_closings, hundreds_that_are_ready_at_once_are_each_woken_once) {
    constexpr std::size_t count = 300;
    std::vector<pair> pairs(count);
    std::vector<int> woken(count);
    std::vector<coir::fiber<void>> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(coir::spawn([&, i] {
            for (int times = 0; times < 3; ++times) {
                EXPECT_EQ(hub::wait_fd(pairs[i][0], hub::readable, {}, GetParam()), wake_reason::ready);
                take_byte(pairs[i][0]);
                ++woken[i];
            }
        }));
    for (int times = 1; times <= 3; ++times) {
        for (pair const& each : pairs) send_byte(each[1]);
        while (std::ranges::count(woken, times) < std::ptrdiff_t(count)) coir::yield();
    }
    coir::joinall(all);
}

TEST_P(both_closings, both_directions_at_once) {
    pair p;
    auto reading = coir::spawn([&] { return hub::wait_fd(p[0], hub::readable, {}, GetParam()); });
    auto writing = coir::spawn([&] { return hub::wait_fd(p[0], hub::writable, {}, GetParam()); });
    EXPECT_EQ(writing.get(), wake_reason::ready);
    EXPECT_FALSE(reading.ready());
    send_byte(p[1]);
    EXPECT_EQ(reading.get(), wake_reason::ready);
}

TEST_P(both_closings, the_number_of_an_ended_wait_comes_back_as_another_file) {
    for (int i = 0; i < 50; ++i) {
        pair first;
        int const number = first[0];
        EXPECT_EQ(hub::wait_fd(number, hub::readable, i % 2 ? 0s : 1us, GetParam()), wake_reason::timed_out);
        pair second;
        if (GetParam() == closing::seen) hub::forget_fd(number);
        ASSERT_EQ(dup2(second[0], number), number);
        send_byte(second[1]);
        EXPECT_EQ(hub::wait_fd(number, hub::readable, 1h, GetParam()), wake_reason::ready) << i;
    }
}

// One fiber waits while the number is closed and comes back; the next one to wait must see the new file.
TEST_P(both_closings, the_number_comes_back_while_another_waits) {
    pair first, second;
    int const number = first[0];
    auto old = coir::spawn([&] { return hub::wait_fd(number, hub::readable, {}, GetParam()); });
    EXPECT_FALSE(old.join(1us));
    if (GetParam() == closing::seen) hub::forget_fd(number);
    ASSERT_EQ(dup2(second[0], number), number);
    auto fresh = coir::spawn([&] { return hub::wait_fd(number, hub::readable, {}, GetParam()); });
    EXPECT_FALSE(fresh.join(1us));
    send_byte(second[1]);
    EXPECT_EQ(fresh.get(1h), wake_reason::ready);
    EXPECT_EQ(old.get(1h), GetParam() == closing::seen ? wake_reason::closed : wake_reason::ready);
}

TEST_P(both_closings, forget_wakes_all_who_wait) {
    pair p;
    std::vector<coir::fiber<wake_reason>> all;
    for (auto way : {hub::readable, hub::readable})
        all.push_back(coir::spawn([&, way] { return hub::wait_fd(p[0], way, {}, GetParam()); }));
    EXPECT_FALSE(all[0].join(1us));
    hub::forget_fd(p[0]);
    p.close_end(0);
    for (auto& each : all) EXPECT_EQ(each.get(), wake_reason::closed);
}

TEST_P(both_closings, closed_after_the_wait_began_and_before_the_loop_saw_it) {
    pair p;
    int const number = p[0];
    auto waiting = coir::spawn([&] { return hub::wait_fd(number, hub::readable, {}, GetParam()); });
    auto closes = coir::spawn([&] {
        if (GetParam() == closing::seen) hub::forget_fd(number);
        p.close_end(0);
    });
    EXPECT_EQ(waiting.get(), wake_reason::closed);
    closes.get();
}

// What libev still has to tell the kernel about the direction that goes on.
TEST_P(both_closings, closed_when_one_of_two_directions_was_left) {
    pair p;
    std::array<char, 4096> block{};
    while (send(p[0], block.data(), block.size(), MSG_DONTWAIT) > 0) {}
    int const number = p[0];
    auto writing = coir::spawn([&] { return hub::wait_fd(number, hub::writable, {}, GetParam()); });
    auto reading = coir::spawn([&] {
        EXPECT_EQ(hub::wait_fd(number, hub::readable, 1us, GetParam()), wake_reason::timed_out);
        p.close_end(0); // unannounced even where that was promised
    });
    reading.get();
    if (GetParam() == closing::unseen)
        EXPECT_EQ(writing.get(), wake_reason::closed);
    else
        hub::forget_fd(number);
    EXPECT_EQ(writing.get(), wake_reason::closed);
}

TEST_P(both_closings, a_regular_file_is_always_ready) {
    char name[] = "/tmp/coir-wait-XXXXXX";
    int const file = mkstemp(name);
    unlink(name);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(hub::wait_fd(file, hub::readable, {}, GetParam()), wake_reason::ready);
        EXPECT_EQ(hub::wait_fd(file, hub::writable, {}, GetParam()), wake_reason::ready);
    }
    hub::forget_fd(file);
    close(file);
    long const before = polls;
    coir::sleep(1ms);
    coir::sleep(1ms);
    EXPECT_LE(polls - before, 6) << "nothing of it may keep the loop busy";
}

TEST_P(both_closings, the_first_of_several) {
    std::vector<std::unique_ptr<pair>> pairs;
    std::vector<hub::interest> all;
    for (int i = 0; i < 20; ++i) {
        pairs.push_back(std::make_unique<pair>());
        all.push_back({(*pairs.back())[0], hub::readable});
    }
    for (std::size_t count : {1, 8, 9, 20}) {
        std::span<hub::interest const> const some(all.data(), count);
        EXPECT_EQ(hub::wait_any_fd(some, 1us, GetParam()), wake_reason::timed_out);
        auto waiting = coir::spawn([&] { return hub::wait_any_fd(some, {}, GetParam()); });
        EXPECT_FALSE(waiting.join(1us));
        send_byte((*pairs[count - 1])[1]);
        EXPECT_EQ(waiting.get(), wake_reason::ready);
        EXPECT_EQ(hub::wait_any_fd(some, 1h, GetParam()), wake_reason::ready);
        take_byte((*pairs[count - 1])[0]);
    }
    EXPECT_EQ(hub::wait_any_fd({}, 1us, GetParam()), wake_reason::timed_out);
    hub::interest const twice[] = {all[0], {all[0].fd, hub::writable}, all[0]};
    EXPECT_EQ(hub::wait_any_fd(twice, {}, GetParam()), wake_reason::ready);
    hub::interest const one_closed[] = {all[0], {-1, hub::readable}};
    EXPECT_EQ(hub::wait_any_fd(one_closed, {}, GetParam()), wake_reason::closed);
}

INSTANTIATE_TEST_SUITE_P(wait_fd, both_closings, testing::Values(closing::unseen, closing::seen),
                         [](auto const& of) { return of.param == closing::seen ? "seen" : "unseen"; });

TEST(wait_fd, a_loop_that_waits_for_nothing_else_is_not_stuck) {
    pair p;
    std::thread other([&] { send_byte(p[1]); });
    EXPECT_EQ(hub::wait_fd(p[0], hub::readable), wake_reason::ready);
    other.join();
}

TEST(wait_fd, the_same_descriptor_on_two_threads) {
    pair p;
    auto const wait = [&] {
        EXPECT_EQ(hub::wait_fd(p[0], hub::readable, {}, closing::seen), wake_reason::ready);
        EXPECT_EQ(hub::wait_fd(p[0], hub::writable, {}, closing::seen), wake_reason::ready);
    };
    std::thread a(wait), b(wait);
    send_byte(p[1]);
    a.join();
    b.join();
}

TEST(wait_fd, forget_reaches_waiters_of_other_threads) {
    for (int i = 0; i < 300; ++i) {
        pair p;
        std::atomic<bool> waits{false};
        std::thread other([&] {
            auto waiting = coir::spawn([&] { return hub::wait_fd(p[0], hub::readable, {}, closing::seen); });
            coir::yield();
            waits = true; // in this loop's books, perhaps not yet in the kernel's
            EXPECT_EQ(waiting.get(), wake_reason::closed);
        });
        while (!waits) coir::yield();
        hub::forget_fd(p[0]);
        int const number = p[0];
        p.close_end(0);
        EXPECT_NE(number, -1);
        other.join();
    }
}

// A steady conversation costs one round per message, and a parked one nothing.
TEST(wait_fd, idle_registrations_cost_no_rounds) {
    pair p;
    send_byte(p[1]);
    EXPECT_EQ(hub::wait_fd(p[0], hub::readable, {}, closing::seen), wake_reason::ready);
    // The byte stays unread, so that the watcher fires with nobody waiting: it must be stopped the first
    // time.
    long const before = polls;
    for (int i = 0; i < 5; ++i) coir::sleep(1ms);
    EXPECT_LE(polls - before, 20);
    take_byte(p[0]);
}

// The hub looks after its stacks once a second: only after that is there no earlier deadline, and the timer has fired.
TEST(wait_fd, a_deadline_near_the_end_of_time_costs_no_rounds) {
    auto const never = coir::spawn([] { coir::sleep(std::chrono::steady_clock::time_point::max() - 1us); });
    coir::sleep(1us);
    long const before = polls;
    coir::offload([] { usleep(1'200'000); });
    EXPECT_LE(polls - before, 60) << "a loop that spins makes thousands";
    never.kill();
}

// A forked child holds an accepted connection, the parent has closed it, and the peer goes on sending: the
// kernel keeps the description and would report it for ever under a number that is gone.
class held_by_a_child : public testing::TestWithParam<std::tuple<closing, bool>> {};

TEST_P(held_by_a_child, leaves_the_hub_idle) {
    auto const [how, reuse] = GetParam();
    int const listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(bind(listener, generic, size), 0);
    ASSERT_EQ(listen(listener, 5), 0);
    ASSERT_EQ(getsockname(listener, generic, &size), 0);
    int const peer = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(connect(peer, generic, size), 0);
    int const accepted = accept(listener, nullptr, nullptr);
    ASSERT_GE(accepted, 0);
    EXPECT_EQ(hub::wait_fd(accepted, hub::readable, 1us, how), wake_reason::timed_out);

    int hold[2];
    ASSERT_EQ(pipe(hold), 0);
    pid_t const child = fork();
    if (child == 0) { // a plain holder, that ends when the other end of the pipe does
        close(hold[1]);
        char byte;
        while (read(hold[0], &byte, 1) > 0) {}
        _exit(0);
    }
    close(hold[0]);
    EXPECT_EQ(hub::wait_fd(accepted, hub::readable, 1us, how), wake_reason::timed_out);
    if (how == closing::seen) hub::forget_fd(accepted);
    close(accepted);
    if (reuse) {
        ASSERT_EQ(dup(listener), accepted);
    }
    long const before = polls;
    for (int i = 0; i < 20; ++i) {
        send_byte(peer);
        coir::sleep(1ms);
    }
    EXPECT_LE(polls - before, 60) << "three rounds for each sleep at most; a loop that spins makes thousands";
    for (int fd : {hold[1], peer, listener}) close(fd);
    if (reuse) close(accepted);
    int status;
    EXPECT_EQ(waitpid(child, &status, 0), child);
}

INSTANTIATE_TEST_SUITE_P(wait_fd, held_by_a_child,
                         testing::Combine(testing::Values(closing::unseen, closing::seen), testing::Bool()));
