// What the kernel refuses to put into an epoll set, for want of memory. epoll_ctl is this program's own here, for libev
// and the hub as well; and so is operator new.
#include "hub/event.h"
#include "hub/fiber.h"
#include "hub/hub.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <gtest/gtest.h>
#include <new>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using coir::hub;
using namespace std::chrono_literals;

namespace {

int to_pass = 0, to_refuse = 0; // additions from here on
bool refuse_memory = false;     // the next that is asked for

} // namespace

extern "C" [[gnu::visibility("default")]] int epoll_ctl(int set, int what, int fd, epoll_event* event) noexcept {
    if (what == EPOLL_CTL_ADD && to_refuse > 0 && to_pass-- <= 0) {
        --to_refuse;
        errno = ENOMEM;
        return -1;
    }
    return int(syscall(SYS_epoll_ctl, set, what, fd, event));
}

// Of libcoir.so, too.
[[gnu::visibility("default")]] void* operator new(std::size_t size) {
    if (refuse_memory) {
        refuse_memory = false;
        throw std::bad_alloc();
    }
    if (void* const place = std::malloc(size)) return place;
    std::abort();
}
[[gnu::visibility("default")]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    return std::exchange(refuse_memory, false) ? nullptr : std::malloc(size);
}
[[gnu::visibility("default")]] void operator delete(void* place) noexcept { std::free(place); }
[[gnu::visibility("default")]] void operator delete(void* place, std::size_t) noexcept { std::free(place); }

TEST(no_memory, a_descriptor_that_is_refused_is_registered_later) {
    coir::sleep(1ms);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    to_refuse = 3;
    auto reader = coir::spawn([&] { return hub::wait_fd(ends[0], hub::readable); });
    auto another = coir::spawn([&] { return hub::wait_fd(ends[0], hub::readable); });
    auto impatient = coir::spawn([&] { return hub::wait_fd(ends[0], hub::readable, 1ms); });
    while (to_refuse > 0) coir::yield();
    coir::sleep(1ms);
    EXPECT_FALSE(reader.ready());
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(reader.get(), coir::wake_reason::ready);
    EXPECT_EQ(another.get(), coir::wake_reason::ready);
    EXPECT_EQ(impatient.get(), coir::wake_reason::timed_out);
    for (int end : ends) {
        hub::forget_fd(end);
        close(end);
    }
}

// Each of the loop's own descriptors in turn.
TEST(no_memory, a_forked_childs_loop_that_is_refused_a_descriptor_is_made_again) {
    coir::sleep(1ms);
    for (int passed = 0; passed < 4; ++passed) {
        to_pass = passed;
        to_refuse = 1;
        pid_t const child = fork();
        if (child == 0) {
            alarm(10);
            coir::sleep(2ms);
            _exit(coir::spawn([] { return coir::sleep(1ms), 0; }).get());
        }
        to_refuse = 0;
        int status = 0;
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0) << "with " << passed << " before it";
    }
}

// Memory for a hub's deadlines grows with their number, by powers of two from 64 on: one of these waits finds none.
TEST(no_memory, a_wait_with_a_deadline_needs_none) {
    std::thread([] {
        coir::event set;
        std::vector<coir::fiber<void>> sleeping;
        int in_vain = 0;
        for (int i = 0; i < 70; ++i) {
            sleeping.push_back(coir::spawn([] { coir::sleep(1h); }));
            coir::yield();
            coir::spawn([&] {
                refuse_memory = true;
                EXPECT_FALSE(set.wait(1us));
                in_vain += !std::exchange(refuse_memory, false);
            }).get();
        }
        EXPECT_GT(in_vain, 0);
        set.set();
        coir::killall(sleeping);
    }).join();
}
