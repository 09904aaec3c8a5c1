#include "monkey/monkey.h"

#include "fiber/sanitizer.h"
#include "tests/monkey/fixture.h"
#include "tests/rerun.h"

#include <poll.h>
#include <stdexcept>

namespace monkey = coir::monkey;

namespace {

// A sleep of a fiber lets another run if the shim has it.
bool sleeping_parks() {
    bool other_ran = false;
    auto other = coir::spawn([&] { other_ran = true; });
    usleep(1);
    bool const parked = other_ran;
    other.join();
    return parked;
}

bool reading_parks() {
    fd_pair const pipe = fd_pair::pipe();
    auto other = coir::spawn([&] { return write(pipe.second, "x", 1); });
    pollfd ready{pipe.first, POLLIN, 0};
    return poll(&ready, 1, 20) == 1; // a thread that blocks would never see it
}

// A sanitizer's interceptors come before the shim: whose a symbol is cannot be told there.
class patching : public testing::Test {
    void SetUp() override {
#if COIR_ASAN || COIR_TSAN
        GTEST_SKIP() << "a sanitizer has the symbols";
#endif
    }
};

} // namespace

TEST_F(patching, of_everything_by_default) {
    EXPECT_TRUE(monkey::is_patched("poll"));
    EXPECT_TRUE(monkey::is_patched("__read_chk"));
    EXPECT_TRUE(monkey::is_patched("mkdir"));
    EXPECT_FALSE(monkey::is_patched("strlen"));
    EXPECT_FALSE(monkey::is_patched("no_such_call"));
    EXPECT_TRUE(sleeping_parks());
}

TEST_F(patching, by_family) {
    monkey::patch_all("-time");
    EXPECT_FALSE(monkey::is_patched("usleep"));
    EXPECT_TRUE(monkey::is_patched("poll"));
    EXPECT_FALSE(sleeping_parks());
    EXPECT_TRUE(reading_parks());
    monkey::patch_all("time,stream");
    EXPECT_TRUE(sleeping_parks());
    EXPECT_FALSE(monkey::is_patched("poll"));
    EXPECT_TRUE(monkey::is_patched("read"));
    EXPECT_TRUE(monkey::is_patched("sendfile")); // of the family's other section
    monkey::patch_all("none");
    EXPECT_FALSE(monkey::is_patched("read"));
    EXPECT_TRUE(monkey::is_patched("close")); // is seen in any case
    EXPECT_TRUE(monkey::is_patched("pthread_barrier_wait"));
    monkey::patch_all();
    EXPECT_TRUE(monkey::is_patched("read"));
}

// Unlocking is seen in any case, for those that wait.
TEST_F(patching, without_locks_a_mutex_can_be_unlocked) {
    monkey::patch_all("-thread");
    coir::spawn([] {
        for (int const kind : {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK}) {
            pthread_mutexattr_t how;
            pthread_mutexattr_init(&how);
            pthread_mutexattr_settype(&how, kind);
            pthread_mutex_t mutex;
            pthread_mutex_init(&mutex, &how);
            EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
            EXPECT_EQ(pthread_mutex_unlock(&mutex), 0) << kind;
            EXPECT_EQ(pthread_mutex_destroy(&mutex), 0);
        }
    }).join();
    monkey::patch_all();
}

TEST_F(patching, of_what_is_no_family) {
    try {
        monkey::patch_all("time,sokcet");
        FAIL() << "was accepted";
    } catch (std::invalid_argument const& error) {
        EXPECT_NE(std::string(error.what()).find("'sokcet' is no family of calls: there are all, none, time, stream"),
                  std::string::npos)
            << error.what();
    }
    EXPECT_TRUE(monkey::is_patched("poll")); // as before
}

TEST_F(patching, get_original_is_libcs_own) {
    auto* const original = reinterpret_cast<int (*)(useconds_t)>(monkey::get_original("usleep"));
    ASSERT_NE(original, nullptr);
    bool other_ran = false;
    auto other = coir::spawn([&] { other_ran = true; });
    original(1);
    EXPECT_FALSE(other_ran);
    other.join();
    EXPECT_EQ(monkey::get_original("no_such_call"), nullptr);
}

TEST_F(patching, DISABLED_by_environment) {
    EXPECT_FALSE(sleeping_parks());
    EXPECT_TRUE(reading_parks());
}
TEST_F(patching, by_environment) {
    EXPECT_TRUE(rerun("patching.DISABLED_by_environment", {"COIR_PATCH=select,stream"}).passed());
    auto const wrong = rerun("patching.DISABLED_by_environment", {"COIR_PATCH=sokcet"});
    EXPECT_FALSE(wrong.passed()); // all of them are patched then
    EXPECT_NE(wrong.error.find("coir: COIR_PATCH: 'sokcet' is no family"), std::string::npos) << wrong.error;
}
