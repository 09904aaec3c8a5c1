#include "hub/ring.h"

#include "hub/event.h"
#include "hub/fiber.h"
#include "tests/hub/watcher_fixture.h"
#include "tests/rerun.h"

#include <cerrno>
#include <chrono>
#include <thread>
#include <unistd.h>

using coir::ring;
using namespace std::chrono_literals;

namespace {

// Skips where the kernel has none: that is what the callers have another way for.
#define NEEDS_RING()                                                                                                   \
    if (!ring::here()) GTEST_SKIP() << "io_uring is not allowed here"

long read_byte(int fd, char& to, ring::how_to_wait const& how = {"read"}) {
    return ring::here()->perform(how, [&](io_uring_sqe* entry) { io_uring_prep_read(entry, fd, &to, 1, -1); });
}

void until_parked(coir::any_fiber const& one) {
    for (int turn = 0; turn < 3; ++turn) coir::yield();
    ASSERT_FALSE(one.ready());
}

} // namespace

TEST(ring, what_is_there_is_read_without_parking) {
    NEEDS_RING();
    pipe_ends pipe;
    pipe.put();
    bool other_ran = false;
    auto other = coir::spawn([&] { other_ran = true; });
    char byte = 0;
    bool waited = true;
    EXPECT_EQ(read_byte(pipe.in(), byte, {.what = "read", .waited = &waited}), 1);
    EXPECT_EQ(byte, 'x');
    EXPECT_FALSE(waited);
    EXPECT_EQ(read_byte(-1, byte), -EBADF);
    EXPECT_FALSE(other_ran);
    other.join();
}

TEST(ring, together_with_others_who_can_run) {
    NEEDS_RING();
    pipe_ends pipe;
    pipe.put();
    pipe.put();
    char first = 0, second = 0;
    bool other_asked = false;
    auto other = coir::spawn([&] {
        other_asked = true;
        return read_byte(pipe.in(), second, {.what = "read", .with_others = true});
    });
    bool waited = true;
    EXPECT_EQ(read_byte(pipe.in(), first, {.what = "read", .waited = &waited, .with_others = true}), 1);
    EXPECT_TRUE(other_asked);
    EXPECT_FALSE(waited); // but for the others
    EXPECT_EQ(other.get(), 1);
}

// The kernel looks at a number only when it is handed in.
TEST(ring, of_a_descriptor_that_another_closes) {
    NEEDS_RING();
    pipe_ends meant, other;
    meant.put();
    char first = 0;
    int const number = dup(meant.in());
    auto closing = coir::spawn([&] {
        coir::hub::forget_fd(number);
        dup2(other.in(), number); // where nothing is to be read
    });
    EXPECT_EQ(read_byte(number, first, {.what = "read", .until = 1s, .with_others = true}), 1);
    closing.join();
    close(number);
}

// What is queued is the parent's.
TEST(ring, with_entries_when_another_forks) {
    NEEDS_RING();
    pipe_ends pipe;
    pipe.put();
    pid_t const parent = getpid();
    pid_t child = -1;
    auto forking = coir::spawn([&] {
        child = fork();
        if (child == 0) _exit(5);
    });
    char byte = 0;
    EXPECT_EQ(read_byte(pipe.in(), byte, {.what = "read", .with_others = true}), 1);
    ASSERT_EQ(getpid(), parent);
    forking.join();
    EXPECT_EQ(exit_status_of(child), 5);
}

TEST(ring, parks_until_it_is_there) {
    NEEDS_RING();
    pipe_ends pipe;
    fcntl(pipe.in(), F_SETFL, 0);
    char byte = 0;
    auto reader = coir::spawn([&] { return read_byte(pipe.in(), byte); });
    until_parked(reader);
    pipe.put();
    EXPECT_EQ(reader.get(), 1);
    EXPECT_EQ(byte, 'x');
}

TEST(ring, more_than_it_has_room_for) {
    NEEDS_RING();
    constexpr int count = 1000;
    pipe_ends pipe;
    fcntl(pipe.in(), F_SETFL, 0);
    std::vector<coir::fiber<long>> readers;
    for (int i = 0; i < count; ++i)
        readers.push_back(coir::spawn([&] {
            char byte;
            return read_byte(pipe.in(), byte);
        }));
    until_parked(readers.back());
    for (int i = 0; i < count; ++i) pipe.put();
    for (auto& each : readers) EXPECT_EQ(each.get(), 1);
}

TEST(ring, ended_by_a_kill_a_deadline_and_a_handler) {
    NEEDS_RING();
    pipe_ends pipe;
    fcntl(pipe.in(), F_SETFL, 0);
    char byte = 0;
    EXPECT_EQ(read_byte(pipe.in(), byte, {.what = "read", .until = 1ms}), -ETIME);
    long result = 0;
    auto killed = coir::spawn([&] { result = read_byte(pipe.in(), byte); });
    until_parked(killed);
    killed.kill();
    EXPECT_EQ(result, -ECANCELED);
    auto interrupted = coir::spawn(
        [&] { return read_byte(pipe.in(), byte, {.what = "read", .ended_by = coir::handlers::without_restart}); });
    until_parked(interrupted);
    coir::handler_runs(true);
    until_parked(interrupted);
    coir::handler_runs(false);
    EXPECT_EQ(interrupted.get(), -EINTR);
    auto disk = coir::spawn([&] { return read_byte(pipe.in(), byte); });
    until_parked(disk);
    coir::handler_runs(false);
    until_parked(disk);
    pipe.put();
    EXPECT_EQ(disk.get(), 1); // none of the others has taken it
}

TEST(ring, alone_is_nothing_to_wait_for) {
    NEEDS_RING();
    pipe_ends pipe;
    pipe.put();
    char byte;
    EXPECT_EQ(read_byte(pipe.in(), byte), 1);
    coir::event never;
    EXPECT_THROW(never.wait(), coir::would_block_forever);
}

TEST(ring, of_a_thread_that_ends) {
    NEEDS_RING();
    std::thread([] {
        pipe_ends pipe;
        fcntl(pipe.in(), F_SETFL, 0);
        auto left = coir::spawn([fd = pipe.in()] {
            char byte;
            read_byte(fd, byte);
        });
        until_parked(left);
    }).join(); // which kills the fiber
}

TEST(ring, of_a_child_is_its_own) {
    NEEDS_RING();
    pipe_ends pipe;
    fcntl(pipe.in(), F_SETFL, 0);
    char byte = 0;
    auto reader = coir::spawn([&] { return read_byte(pipe.in(), byte); });
    until_parked(reader);
    pid_t const child = fork();
    if (child == 0) {
        pipe_ends own;
        fcntl(own.in(), F_SETFL, 0);
        auto mine = coir::spawn([&] { return read_byte(own.in(), byte); });
        coir::yield();
        own.put();
        _exit(mine.get() == 1 ? 5 : 1);
    }
    EXPECT_EQ(exit_status_of(child), 5);
    until_parked(reader);
    pipe.put();
    EXPECT_EQ(reader.get(), 1);
}

// The ring that it waits for is the parent's, and gone.
TEST(ring, whose_caller_goes_on_in_a_child_that_another_fiber_forked) {
    NEEDS_RING();
    pipe_ends pipe;
    fcntl(pipe.in(), F_SETFL, 0);
    pid_t const parent = getpid();
    pid_t child = -1;
    auto forking = coir::spawn([&] {
        child = fork();
        if (child != 0) pipe.put();
    });
    char byte = 0;
    long const result = read_byte(pipe.in(), byte);
    if (getpid() != parent) {
        EXPECT_THROW(coir::interruption_point(), coir::would_block_forever);
        pipe_ends own;
        own.put();
        _exit(result == -ECANCELED && read_byte(own.in(), byte) == 1 ? 5 : 1);
    }
    EXPECT_EQ(result, 1);
    forking.join();
    EXPECT_EQ(exit_status_of(child), 5);
}

TEST(ring, DISABLED_is_not_made) { EXPECT_EQ(ring::here(), nullptr); }

TEST(ring, can_be_refused_by_environment) {
    EXPECT_TRUE(rerun("ring.DISABLED_is_not_made", {"COIR_IO_URING=0"}).passed());
}
