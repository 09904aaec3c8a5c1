// Calls that are made by threads, where for a while no thread can be had: pthread_create is this program's own here.
// Each alone: a thread that another had left idle would be taken.
#include "tests/monkey/fixture.h"
#include "tests/rerun.h"

#include <atomic>
#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <string>
#include <sys/file.h>

namespace {

std::atomic<int> to_refuse{0};

struct locked_twice {
    int first, second; // open files of the same
    locked_twice() {
        char path[] = "/tmp/coir-few-threads-XXXXXX";
        first = checked(mkostemp(path, O_CLOEXEC), "mkostemp");
        second = checked(open(path, O_RDWR | O_CLOEXEC), "open");
        unlink(path);
        checked(flock(first, LOCK_EX), "flock");
    }
    locked_twice(locked_twice const&) = delete;
    ~locked_twice() {
        close(first);
        close(second);
    }
};

} // namespace

extern "C" int pthread_create(pthread_t* made, pthread_attr_t const* how, void* (*what)(void*), void* with) noexcept {
    static auto* const real = reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
    for (int left = to_refuse; left > 0;)
        if (to_refuse.compare_exchange_weak(left, left - 1)) return EAGAIN;
    return real(made, how, what, with);
}

TEST_ALONE(few_threads, a_call_waits_until_there_is_one) {
    to_refuse = 3;
    locked_twice file;
    auto waits = coir::spawn([&] { return flock(file.second, LOCK_EX); });
    while (to_refuse > 0) coir::sleep(std::chrono::milliseconds(1));
    ASSERT_FALSE(waits.ready());
    EXPECT_EQ(flock(file.first, LOCK_UN), 0);
    EXPECT_EQ(waits.get(), 0);
}

TEST_ALONE(few_threads, a_call_does_not_stand_behind_another) {
    locked_twice one, other;
    auto waits = coir::spawn([&] { return flock(one.second, LOCK_EX); });
    until_parked(waits);
    to_refuse = 2;
    auto waits_too = coir::spawn([&] { return flock(other.second, LOCK_EX); });
    while (to_refuse > 0) coir::sleep(std::chrono::milliseconds(1));
    EXPECT_EQ(flock(other.first, LOCK_UN), 0);
    EXPECT_EQ(waits_too.get(), 0) << "while the first one waits";
    EXPECT_EQ(flock(one.first, LOCK_UN), 0);
    EXPECT_EQ(waits.get(), 0);
}

TEST_ALONE(few_threads, a_call_of_stdio_that_cannot_be_made_says_so) {
    fd_pair const ends = fd_pair::pipe();
    FILE* const out = fdopen(dup(ends.second), "w");
    ASSERT_TRUE(out);
    EXPECT_EQ(coir::spawn([&] { return fwide(out, 1) > 0; }).get(), true);
    to_refuse = 1'000'000'000;
    auto writer = coir::spawn([&] {
        errno = 0;
        return fputws(L"hello", out) < 0 ? errno : 0;
    });
    EXPECT_TRUE(writer.join(std::chrono::seconds(20)));
    to_refuse = 0;
    EXPECT_EQ(writer.get(), ENOMEM);
    fclose(out);
}

TEST_ALONE(few_threads, a_call_is_ended_without_another) {
    locked_twice file;
    auto waits = coir::spawn([&] { return flock(file.second, LOCK_EX) == -1 ? errno : 0; });
    until_parked(waits);
    to_refuse = 1000;
    waits.kill();
    EXPECT_LT(to_refuse, 1000) << "none was refused";
    to_refuse = 0;
    EXPECT_TRUE(waits.ready());
}
