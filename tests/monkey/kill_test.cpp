// A fiber that is killed, or whose timeout passes, while it is inside a hooked call: C code is not unwound, the call
// fails with ECANCELED, every later one that would wait does too, and C++ code of coir's throws what happened.
#include "tests/monkey/fixture.h"

#include <cerrno>
#include <cstdio>
#include <functional>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

using namespace std::chrono_literals;

namespace {

// `call` waits for ever. It fails twice, the second time without having to wait; then the kill is thrown.
void expect_cancelled(std::function<int()> const& call) {
    std::string log;
    auto blocked = coir::spawn([&] {
        for (int again = 0; again < 2; ++again) {
            errno = 0;
            log += call() == -1 && errno == ECANCELED ? "cancelled " : "returned " + std::to_string(errno) + " ";
        }
        try {
            coir::interruption_point();
        } catch (coir::fiber_exit const&) {
            log += "killed";
            throw;
        }
    });
    until_parked(blocked);
    EXPECT_TRUE(blocked.kill());
    EXPECT_EQ(log, "cancelled cancelled killed");
    EXPECT_TRUE(blocked.successful());
}

} // namespace

TEST(kill, ends_a_read_of_a_pipe) {
    auto const ends = fd_pair::pipe();
    expect_cancelled([&] {
        char byte;
        return int(read(ends.first, &byte, 1));
    });
}

TEST(kill, ends_a_receive_of_a_socket) {
    auto const ends = fd_pair::sockets();
    expect_cancelled([&] {
        char byte;
        return int(recv(ends.first, &byte, 1, 0));
    });
}

TEST(kill, ends_an_accept) {
    listener const waits;
    expect_cancelled([&] { return accept(waits.fd, nullptr, nullptr); });
}

TEST(kill, ends_a_write_into_a_full_pipe) {
    auto const ends = fd_pair::pipe();
    std::string const much(1 << 20, 'x');
    bool first = true;
    expect_cancelled([&] {
        // What went into the pipe before is no error: write(2) tells how much that was.
        if (std::exchange(first, false)) {
            EXPECT_EQ(write(ends.second, much.data(), much.size()), 65536);
        }
        return int(write(ends.second, much.data(), much.size()));
    });
}

TEST(kill, ends_a_sleep) {
    expect_cancelled([] {
        timespec const long_time{3600, 0};
        return nanosleep(&long_time, nullptr);
    });
    expect_cancelled([] { return usleep(3'600'000'000u); });
}

TEST(kill, ends_poll_select_and_epoll_wait) {
    auto const ends = fd_pair::pipe();
    expect_cancelled([&] {
        pollfd one{ends.first, POLLIN, 0};
        return poll(&one, 1, -1);
    });
    expect_cancelled([&] {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(ends.first, &set);
        return select(ends.first + 1, &set, nullptr, nullptr, nullptr);
    });
    int const set = epoll_create1(0);
    expect_cancelled([&] {
        epoll_event came;
        return epoll_wait(set, &came, 1, -1);
    });
    close(set);
}

// A worker makes the call, and goes on without the fiber.
TEST(kill, ends_a_connect) {
    listener const full; // when one connection waits to be accepted, which nobody does
    checked(listen(full.fd, 0), "listen");
    int const waits = full.connect();
    int const one = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
    auto blocked = coir::spawn([&] {
        EXPECT_EQ(connect(one, reinterpret_cast<sockaddr const*>(&full.address), sizeof full.address), -1);
        EXPECT_EQ(errno, ECANCELED);
        EXPECT_THROW(coir::interruption_point(), coir::fiber_exit);
    });
    until_parked(blocked);
    EXPECT_TRUE(blocked.kill());
    close(waits);
    close(one);
}

TEST(connect, of_a_bad_address_says_so) {
    int const one = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
    EXPECT_EQ(connect(one, reinterpret_cast<sockaddr const*>(8), sizeof(sockaddr_in)), -1);
    EXPECT_EQ(errno, EFAULT);
    close(one);
}

// Nothing is lost: the byte that comes later is still there.
TEST(kill, leaves_the_descriptor_as_it_was) {
    auto const ends = fd_pair::pipe();
    auto blocked = coir::spawn([&] {
        char byte;
        EXPECT_EQ(read(ends.first, &byte, 1), -1);
    });
    until_parked(blocked);
    blocked.kill();
    EXPECT_EQ(write(ends.second, "y", 1), 1);
    char byte = 0;
    EXPECT_EQ(read(ends.first, &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
}

// C code calls it, and libstdc++ where nothing may be thrown.
TEST(kill, is_not_thrown_by_sched_yield) {
    bool stop = false, killed = false;
    auto spins = coir::spawn([&] {
        while (!stop) sched_yield();
        try {
            coir::interruption_point();
        } catch (coir::fiber_exit const&) {
            killed = true;
            throw;
        }
    });
    until_parked(spins);
    spins.kill({.block = false});
    until_parked(spins);
    stop = true;
    spins.join();
    EXPECT_TRUE(killed);
}

TEST(timeout, ends_a_hooked_call_and_is_thrown_by_the_next_wait_of_ours) {
    auto const ends = fd_pair::pipe();
    coir::timeout limit{1ms};
    char byte;
    EXPECT_EQ(read(ends.first, &byte, 1), -1);
    EXPECT_EQ(errno, ECANCELED);
    EXPECT_TRUE(limit.expired());
    try {
        coir::sleep(1h);
        ADD_FAILURE() << "slept on";
    } catch (coir::timed_out const& late) {
        EXPECT_TRUE(limit.raised(late));
    }
    EXPECT_EQ(write(ends.second, "y", 1), 1);
    EXPECT_EQ(read(ends.first, &byte, 1), 1) << "it is thrown once";
}

TEST(timeout, that_ends_with_its_scope_leaves_nothing_behind) {
    auto const ends = fd_pair::pipe();
    char byte;
    {
        coir::timeout const limit{1ms};
        EXPECT_EQ(read(ends.first, &byte, 1), -1);
        EXPECT_TRUE(limit.expired());
    }
    EXPECT_EQ(write(ends.second, "y", 1), 1);
    EXPECT_EQ(read(ends.first, &byte, 1), 1);
    coir::interruption_point();
}

// Whoever unlocks it finds nobody who could be given it.
TEST(kill, a_file_that_is_unlocked_in_that_moment_is_had) {
    FILE* const file = tmpfile();
    bool had = false;
    flockfile(file);
    auto const waits = coir::spawn([&] {
        flockfile(file);
        had = true;
        funlockfile(file);
    });
    until_parked(waits);
    waits.kill({.block = false});
    funlockfile(file);
    EXPECT_TRUE(waits.join(10s));
    EXPECT_TRUE(had);
    fclose(file);
}

TEST(kill, code_that_tries_again_for_ever_does_not_keep_the_others_waiting) {
    bool stop = false;
    auto const stubborn = coir::spawn([&] {
        while (!stop) usleep(1000);
    });
    until_parked(stubborn);
    EXPECT_FALSE(stubborn.kill({.until = 1ms}));
    coir::spawn([&] {
        coir::sleep(1ms);
        stop = true;
    }).join();
    stubborn.join();
}
