// What the kernel refuses to put into an epoll set, for want of memory. epoll_ctl is this program's own here, for libev
// and the hub as well.
#include "hub/fiber.h"
#include "hub/hub.h"

#include <cerrno>
#include <chrono>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

using coir::hub;
using namespace std::chrono_literals;

namespace {

int to_pass = 0, to_refuse = 0; // additions from here on

bool readable(int fd) {
    pollfd one{fd, POLLIN, 0};
    return poll(&one, 1, 0) == 1;
}

} // namespace

extern "C" [[gnu::visibility("default")]] int epoll_ctl(int set, int what, int fd, epoll_event* event) noexcept {
    if (what == EPOLL_CTL_ADD && to_refuse > 0 && to_pass-- <= 0) {
        --to_refuse;
        errno = ENOMEM;
        return -1;
    }
    return int(syscall(SYS_epoll_ctl, set, what, fd, event));
}

TEST(no_memory, who_waits_for_a_descriptor_that_is_refused_looks_again) {
    coir::sleep(1ms);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    to_refuse = 3;
    int looks = 0;
    auto reader = coir::spawn([&] {
        for (; !readable(ends[0]); ++looks) {
            EXPECT_EQ(hub::wait_fd(ends[0], hub::readable), coir::wake_reason::ready);
            if (looks == 5) ADD_FAILURE() << "it is refused no more";
            if (looks == 5) return;
        }
    });
    while (to_refuse > 0) coir::yield();
    coir::sleep(1ms);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    reader.join();
    EXPECT_GE(looks, 3);
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
