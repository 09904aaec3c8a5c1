// A wait allocates nothing: its waiter lies on the stack of the fiber that waits. Counted where memory is asked for.

#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/timeout.h"
#include "tests/hub/wait_kinds.h"

#include <chrono>
#include <cstddef>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;

static long allocations = 0; // of this process's one thread

// glibc's own, under the names that it keeps for those who replace them.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
[[gnu::visibility("default")]] void* malloc(std::size_t size) { return ++allocations, __libc_malloc(size); }
[[gnu::visibility("default")]] void* calloc(std::size_t count, std::size_t size) {
    return ++allocations, __libc_calloc(count, size);
}
[[gnu::visibility("default")]] void* realloc(void* place, std::size_t size) {
    return ++allocations, __libc_realloc(place, size);
}
[[gnu::visibility("default")]] void* aligned_alloc(std::size_t alignment, std::size_t size) {
    return ++allocations, __libc_memalign(alignment, size);
}
}

namespace {

// How often memory was asked for by what a fiber does in `wait`, without what `grant` does, which lets it go on.
template <class Wait, class Grant>
long allocations_of(Wait wait, Grant grant) {
    long begun = 0, ended = 0;
    auto const waiting = coir::spawn([&] {
        begun = allocations;
        wait();
        ended = allocations;
    });
    coir::yield();
    long const parked = allocations;
    EXPECT_FALSE(waiting.ready()) << "it does not wait";
    grant();
    long const granted = allocations;
    waiting.join();
    return parked - begun + (ended - granted);
}

template <class Kind>
struct a_wait : testing::Test {
    static long count(coir::deadline until) {
        Kind it;
        it.prepare();
        return allocations_of([&] { it.wait(until); }, [&] { it.grant(); });
    }
};

using all_kinds =
    testing::Types<waits_for_event, waits_for_semaphore, waits_for_lock<coir::mutex>, waits_for_lock<coir::rlock>,
                   waits_for_condition<coir::mutex>, waits_for_condition<coir::rlock>, waits_at_barrier, waits_at_latch,
                   waits_to_get<coir::queue<int>>, waits_to_get<coir::lifo_queue<int>>,
                   waits_to_get<coir::priority_queue<int>>, waits_to_get<coir::joinable_queue<int>>, waits_for_work,
                   waits_to_get_from_channel, waits_to_put_to_channel, waits_for_result, selects>;
TYPED_TEST_SUITE(a_wait, all_kinds);

} // namespace

TYPED_TEST(a_wait, allocates_nothing) {
    TestFixture::count({}); // the hub, its queues
    EXPECT_EQ(TestFixture::count({}), 0);
}

TYPED_TEST(a_wait, with_a_deadline_allocates_nothing) {
    TestFixture::count(1h);
    EXPECT_EQ(TestFixture::count(1h), 0);
}

TEST(allocations, are_counted) {
    long const before = allocations;
    auto* const volatile made = new int;
    delete made;
    EXPECT_EQ(allocations, before + 1);
    std::string const report = coir::hub::current().report();
    EXPECT_GT(allocations, before + 1) << "not in the library";
}

TEST(allocations, of_waits_for_descriptors) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    auto const count = [&](coir::deadline until, coir::closing how) {
        return allocations_of(
            [&] {
                EXPECT_EQ(coir::hub::wait_fd(ends[0], coir::hub::readable, until, how), coir::wake_reason::ready);
                char byte;
                EXPECT_EQ(read(ends[0], &byte, 1), 1);
            },
            [&] { EXPECT_EQ(write(ends[1], "x", 1), 1); });
    };
    for (auto const how : {coir::closing::seen, coir::closing::unseen}) {
        count(1h, how); // its entry, and the room for what libev is told
        EXPECT_EQ(count({}, how), 0);
        EXPECT_EQ(count(1h, how), 0);
    }
    coir::hub::forget_fd(ends[0]);
    close(ends[0]);
    close(ends[1]);
}

TEST(allocations, of_sleeps_yields_and_joins) {
    auto const count = [](auto what) {
        what();
        long const before = allocations;
        what();
        return allocations - before;
    };
    EXPECT_EQ(count([] { coir::sleep(1us); }), 0);
    EXPECT_EQ(count(coir::yield), 0);
    EXPECT_EQ(count([] { coir::timeout const limit(1h); }), 0);
    // The control block and the stack of a fiber are one.
    EXPECT_EQ(count([] { coir::spawn([] { coir::yield(); }).join(); }), 0);
}
