// The functions that throw here are exported by this program, so that their names are known with and without libdw.

#include "fiber/backtrace.h"

#include "fiber/greenlet.h"
#include "hub/fiber.h"
#include "tests/rerun.h"

#include <cstdlib>
#include <cxxabi.h>
#include <exception>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <vector>

using coir::describe;
using coir::stack_trace;
using coir::watch_throws;

#if defined(__x86_64__)

// A call that the compiler may neither inline nor make a jump.
#define APART [[gnu::noinline, gnu::visibility("default")]]
#define STAY asm volatile("" ::: "memory")

APART void throws_number(int number) {
    if (number) throw number;
    STAY;
}
APART void calls_throws_number(int number) {
    throws_number(number);
    STAY;
}
APART void calls_it_all(int number) {
    calls_throws_number(number);
    STAY;
}
APART void catches_it() {
    try {
        calls_throws_number(1);
    } catch (int) {}
    STAY;
}
APART void rethrows_it() {
    try {
        calls_throws_number(1);
    } catch (int) {
        STAY;
        throw;
    }
}
APART void rethrows_a_kept_one() {
    std::exception_ptr kept;
    try {
        calls_throws_number(1);
    } catch (...) {
        kept = std::current_exception();
    }
    std::rethrow_exception(kept);
}
APART void goes_down(int depth) {
    if (depth == 0)
        throws_number(1);
    else
        goes_down(depth - 1);
    STAY;
}

namespace {

// The place of each name in the text, or npos.
std::vector<std::size_t> places(std::string const& text, std::vector<std::string> const& names) {
    std::vector<std::size_t> all;
    for (auto const& name : names) all.push_back(text.find(" " + name + "("));
    return all;
}

void expect_in_order(std::string const& text, std::vector<std::string> const& names) {
    std::size_t before = 0;
    for (std::size_t place : places(text, names)) {
        EXPECT_NE(place, std::string::npos) << text;
        EXPECT_GE(place, before) << text;
        before = place;
    }
}

std::string trace_of(std::function<void()> const& function) {
    stack_trace trace;
    EXPECT_ANY_THROW(watch_throws(trace, function));
    return describe(trace);
}

std::string first_line(std::string const& text) { return text.substr(0, text.find('\n')); }

} // namespace

TEST(backtrace, names_the_calls_from_the_throw_outwards) {
    auto const text = trace_of([] { calls_it_all(1); });
    expect_in_order(text, {"throws_number", "calls_throws_number", "calls_it_all"});
    EXPECT_EQ(text.find("  #0 throws_number(int)"), 0u) << text;
    EXPECT_EQ(text.find("__cxa_throw"), std::string::npos) << text;
    EXPECT_EQ(text.find("_Unwind"), std::string::npos) << text;
    EXPECT_EQ(text.find("coir_"), std::string::npos) << text;
    EXPECT_EQ(text.find(" testing::"), std::string::npos) << "it ends where the watch began: " << text;
}

TEST(backtrace, is_empty_when_nothing_leaves) {
    stack_trace trace;
    EXPECT_THROW(watch_throws(trace, [] { calls_it_all(1); }), int);
    EXPECT_GE(trace.count, 3u);
    watch_throws(trace, [] { calls_it_all(0); });
    EXPECT_EQ(trace.count, 0u);
    EXPECT_EQ(describe(trace), "");
}

TEST(backtrace, what_is_caught_inside_has_not_left) {
    stack_trace trace;
    watch_throws(trace, [] { catches_it(); });
    EXPECT_EQ(trace.count, 0u);
    auto const text = trace_of([] {
        catches_it();
        throws_number(2);
    });
    expect_in_order(text, {"throws_number"});
    EXPECT_EQ(text.find("catches_it"), std::string::npos) << text;
}

TEST(backtrace, a_rethrown_one_was_thrown_where_that_was_done_last) {
    EXPECT_EQ(first_line(trace_of([] { rethrows_it(); })).find("  #0 rethrows_it()"), 0u);
    EXPECT_EQ(first_line(trace_of([] { rethrows_a_kept_one(); })).find("  #0 rethrows_a_kept_one()"), 0u);
}

TEST(backtrace, destructors_that_throw_and_catch_on_the_way_change_nothing) {
    struct noisy {
        ~noisy() { catches_it(); }
    };
    auto const text = trace_of([] {
        noisy one;
        calls_it_all(1);
    });
    expect_in_order(text, {"throws_number", "calls_throws_number", "calls_it_all"});
    EXPECT_EQ(text.find("catches_it"), std::string::npos) << text;
}

TEST(backtrace, nested) {
    stack_trace inner, outer;
    EXPECT_THROW(watch_throws(outer,
                              [&] {
                                  watch_throws(inner, [] { throws_number(1); });
                                  STAY;
                              }),
                 int);
    EXPECT_LT(inner.count, outer.count);
    ASSERT_GT(inner.count, 0u);
    for (unsigned i = 0; i < inner.count; ++i) EXPECT_EQ(inner.frames[i], outer.frames[i]);

    // What the outer one is not to see.
    watch_throws(outer, [&] { EXPECT_THROW(watch_throws(inner, [] { throws_number(1); }), int); });
    EXPECT_GT(inner.count, 0u);
    EXPECT_EQ(outer.count, 0u);
}

TEST(backtrace, says_when_there_were_more) {
    stack_trace trace;
    EXPECT_THROW(watch_throws(trace, [] { goes_down(40); }), int);
    EXPECT_EQ(trace.count, trace.frames.size());
    EXPECT_FALSE(trace.complete);
    auto const text = describe(trace);
    EXPECT_NE(text.find("and more"), std::string::npos) << text;
    expect_in_order(text, {"throws_number", "goes_down"});
    EXPECT_THROW(watch_throws(trace, [] { goes_down(3); }), int);
    EXPECT_TRUE(trace.complete);
}

TEST(backtrace, on_the_smallest_stack_of_a_fiber) {
    std::string text;
    auto fiber = coir::spawn(coir::spawn_options{.stack_size = 16 * 1024}, [&] {
        text = trace_of([] { calls_it_all(1); });
        coir::greenlet([&] { text += trace_of([] { throws_number(1); }); }, 16 * 1024).switch_to();
    });
    EXPECT_TRUE(fiber.join());
    expect_in_order(text, {"throws_number", "calls_throws_number", "calls_it_all"});
    EXPECT_NE(text.find("#0 throws_number", 10), std::string::npos) << text;
}

// Forced unwinding passes: it has no search phase, and ends the thread.
TEST(backtrace, pthread_exit_passes) {
    static stack_trace trace;
    static bool unwound;
    unwound = false;
    pthread_t thread;
    auto const body = [](void*) -> void* {
        struct on_end {
            ~on_end() { unwound = true; }
        } end;
        watch_throws(trace, [] { pthread_exit(&trace); });
        return nullptr;
    };
    ASSERT_EQ(pthread_create(&thread, nullptr, body, nullptr), 0);
    void* result = nullptr;
    ASSERT_EQ(pthread_join(thread, &result), 0);
    EXPECT_EQ(result, &trace);
    EXPECT_TRUE(unwound);
    EXPECT_EQ(trace.count, 0u);
}

#if __has_include(<elfutils/libdwfl.h>) && !defined(COIR_NO_LIBDW)
namespace {
inline int inlined_everywhere(int number) {
    if (number == 1) throw number;
    return number + 1;
}
} // namespace

// With debug information, which this program is built with, unless it is built without.
TEST(backtrace, shows_files_and_lines_and_what_was_inlined) {
    int const line = __LINE__ + 2;
    auto const text = trace_of([] {
        throws_number(1);
        STAY;
    });
    if (text.find(".cpp:") == std::string::npos) GTEST_SKIP() << "no debug information, or no libdw: " << text;
    EXPECT_NE(text.find("backtrace_test.cpp:" + std::to_string(line)), std::string::npos) << text;
    auto const inlined = trace_of([] { inlined_everywhere(1); });
    EXPECT_EQ(first_line(inlined).find("  #0 (anonymous namespace)::inlined_everywhere"), 0u) << inlined;
}
#endif

TEST(backtrace, DISABLED_prints_one) {
    std::fputs(trace_of([] { calls_it_all(1); }).c_str(), stdout);
}

// A libdw.so.1 that is none, found first.
TEST(backtrace, without_libdw_symbols_must_do) {
    char directory[] = "/tmp/coir-backtrace-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    std::string const library = std::string(directory) + "/libdw.so.1";
    std::ofstream(library) << "no library";
    char const* const path = std::getenv("LD_LIBRARY_PATH");
    auto const run = rerun("backtrace.DISABLED_prints_one",
                           {"LD_LIBRARY_PATH=" + std::string(directory) + (path ? ":" + std::string(path) : "")});
    std::remove(library.c_str());
    rmdir(directory);
    EXPECT_TRUE(run.passed()) << run.error;
    // The throw itself may lie apart from its function, under no exported symbol: it is unlikely.
    expect_in_order(run.output, {"calls_throws_number", "calls_it_all"});
    EXPECT_NE(run.output.find("#2 calls_it_all(int)+0x"), std::string::npos) << run.output;
    EXPECT_NE(run.output.find("backtrace_test+0x"), std::string::npos) << run.output;
}

#else

TEST(backtrace, is_empty_on_other_processors) {
    stack_trace trace;
    EXPECT_THROW(watch_throws(trace, [] { throw 1; }), int);
    EXPECT_EQ(trace.count, 0u);
}

#endif
