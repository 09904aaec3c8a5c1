// The end of a thread, and of the process: what may still use fibers then.

#include "fiber/greenlet.h"
#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/offload.h"
#include "tests/rerun.h"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>

using namespace std::chrono_literals;
using coir::greenlet;

namespace {

void use_everything(char const* where) {
    greenlet g([] { coir::sleep(1us); });
    g.switch_to();
    if (coir::spawn([] {
            coir::sleep(1us);
            return coir::offload([] { return 42; });
        }).get() == 42)
        std::fprintf(stderr, "%s\n", where);
}

struct uses_at_end {
    char const* where;
    ~uses_at_end() { use_everything(where); }
};

int open_descriptors() {
    int count = 0;
    DIR* const all = opendir("/proc/self/fd");
    while (readdir(all)) ++count;
    closedir(all);
    return count;
}

} // namespace

TEST(thread_end, DISABLED_static_destructors) {
    static uses_at_end before{"made before the hub"};
    static greenlet held([] {
        uses_at_end unwound{"unwound"};
        greenlet::current().parent().switch_to();
    });
    held.switch_to();
    use_everything("main");
    static uses_at_end after{"made after the hub"};
}
TEST(thread_end, static_destructors_may_use_fibers) {
    auto const child = rerun("thread_end.DISABLED_static_destructors");
    EXPECT_TRUE(child.passed()) << child.status;
    EXPECT_EQ(child.error, "main\nmade after the hub\nunwound\nmade before the hub\n");
}

TEST(thread_end, thread_locals_may_use_fibers) {
    int const before = (std::thread([] { coir::sleep(1us); }).join(), open_descriptors());
    testing::internal::CaptureStderr();
    for (int i = 0; i < 3; ++i)
        std::thread([] {
            thread_local uses_at_end outlives_hub{"made before the hub"};
            ASSERT_TRUE(outlives_hub.where);
            use_everything("thread");
            thread_local uses_at_end outlived{"made after the hub"};
            ASSERT_TRUE(outlived.where);
        }).join();
    auto const said = testing::internal::GetCapturedStderr();
    std::string const once = "thread\nmade after the hub\nmade before the hub\n";
    EXPECT_EQ(said, once + once + once);
    EXPECT_EQ(open_descriptors(), before) << "the hub went with its thread";
}

TEST(thread_end, DISABLED_exit_in_a_fiber) {
    static uses_at_end last{"at exit"};
    coir::spawn([] {
        thread_local uses_at_end own{"thread local"};
        std::exit(own.where ? 7 : 0);
    }).join();
}
TEST(thread_end, exit_may_be_called_in_a_fiber) {
    auto const child = rerun("thread_end.DISABLED_exit_in_a_fiber", {"ASAN_OPTIONS=detect_leaks=0"}); // gtest's own
    EXPECT_TRUE(WIFEXITED(child.status)) << child.status << child.error;
    EXPECT_EQ(WEXITSTATUS(child.status), 7);
    EXPECT_EQ(child.error, "thread local\nat exit\n");
}

namespace {

// proc(5): the state follows the name. A main thread that has ended stays, as a zombie, until the process goes.
bool main_has_ended() {
    char line[256] = {};
    int const fd = open(("/proc/self/task/" + std::to_string(getpid()) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
    bool const any = fd >= 0 && read(fd, line, sizeof line - 1) > 0;
    close(fd);
    char const* const name_ends = any ? std::strrchr(line, ')') : nullptr;
    return name_ends && name_ends[1] && name_ends[2] == 'Z';
}

} // namespace

TEST(thread_end, DISABLED_main_leaves_first) {
    coir::sleep(1us);
    static std::thread other([] {
        while (!main_has_ended()) coir::sleep(1ms);
        std::fprintf(stderr, "other\n");
        std::_Exit(5);
    });
    pthread_exit(nullptr);
}
TEST(thread_end, the_main_thread_may_end_before_the_process) {
    auto const child = rerun("thread_end.DISABLED_main_leaves_first", {"GTEST_CATCH_EXCEPTIONS=0"});
    EXPECT_TRUE(WIFEXITED(child.status)) << child.status << child.error;
    EXPECT_EQ(WEXITSTATUS(child.status), 5);
}

TEST(thread_end, handles_outlive_their_thread) {
    coir::fiber<int> ended, parked;
    greenlet own, hub;
    std::thread([&] {
        own = greenlet::current();
        ended = coir::spawn([&] {
            hub = greenlet::current().parent();
            return 6;
        });
        parked = coir::spawn([] {
            coir::sleep(1h);
            return 0;
        });
        ended.join();
    }).join();
    EXPECT_EQ(ended.get(), 6);
    EXPECT_TRUE(parked.ready()) << "it was killed";
    EXPECT_TRUE(parked.successful());
    EXPECT_THROW(parked.get(), coir::fiber_exit);
    EXPECT_TRUE(own.dead());
    EXPECT_THROW(hub.switch_to(), std::logic_error);
    EXPECT_THROW(own.switch_to(), std::logic_error);
}

TEST(thread_end, DISABLED_no_key_is_left) {
    pthread_key_t taken;
    while (pthread_key_create(&taken, nullptr) == 0) {}
    try {
        coir::yield();
    } catch (std::system_error const& error) {
        std::fprintf(stderr, "%s\n", error.what());
        std::_Exit(error.code().value());
    }
}
TEST(thread_end, a_thread_that_can_keep_nothing_is_told) {
    auto const child = rerun("thread_end.DISABLED_no_key_is_left");
    EXPECT_TRUE(WIFEXITED(child.status)) << child.status << child.error;
    EXPECT_EQ(WEXITSTATUS(child.status), EAGAIN) << child.error;
    EXPECT_NE(child.error.find("PTHREAD_KEYS_MAX"), std::string::npos) << child.error;
}
