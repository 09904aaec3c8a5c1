// Each case ends, or might end, its process: the DISABLED_ halves run in one of their own.

#include "fiber/greenlet.h"
#include "tests/rerun.h"

#include <csignal>
#include <cstddef>
#include <gtest/gtest.h>
#include <setjmp.h>
#include <string>
#include <sys/mman.h>
#include <thread>

using coir::greenlet;

namespace {

// Larger frames than a page, so that the guard's size is tested too.
[[gnu::noinline]] int endless(int depth) {
    char volatile frame[6000];
    frame[0] = char(depth);
    return depth < 0 ? 0 : endless(depth + 1) + frame[0];
}

void overrun() {
    coir::context::current().given_name = std::make_unique<std::string>("digger");
    endless(0);
}

void expect_one_line(rerun_result const& child) {
    EXPECT_TRUE(child.killed_by(SIGSEGV)) << child.status;
    EXPECT_EQ(child.error, "coir: stack overflow in fiber 'digger': it has 65536 bytes; give it more with "
                           "spawn_options::stack_size or COIR_STACK_SIZE\n");
}

sigjmp_buf after_fault;
int volatile handled = 0;

void jump_out(int) {
    handled = handled + 1;
    siglongjmp(after_fault, 1);
}

void jump_out_with_information(int, siginfo_t* info, void* machine) {
    handled = info->si_code == SEGV_ACCERR && machine ? 100 : -1;
    siglongjmp(after_fault, 1);
}

char* no_access() { return static_cast<char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); }

} // namespace

TEST(overflow, DISABLED_overrun) { greenlet(overrun).switch_to(); }
TEST(overflow, ends_the_process_with_one_line_that_names_it) {
    expect_one_line(rerun("overflow.DISABLED_overrun", {"COIR_STACK_SIZE=64K"}));
}

TEST(overflow, DISABLED_overrun_on_another_thread) {
    std::thread([] { greenlet(overrun).switch_to(); }).join();
}
TEST(overflow, is_named_on_every_thread) {
    expect_one_line(rerun("overflow.DISABLED_overrun_on_another_thread", {"COIR_STACK_SIZE=64K"}));
}

// The handlers below were there first, and see every fault that is not an overflow.
TEST(overflow, DISABLED_earlier_handlers) {
    struct sigaction own {};
    own.sa_handler = jump_out;
    sigaction(SIGSEGV, &own, nullptr);
    char* const forbidden = no_access();
    greenlet([&] {
        if (sigsetjmp(after_fault, 1) == 0) *forbidden = 1;
    }).switch_to();
    EXPECT_EQ(handled, 1);
    if (sigsetjmp(after_fault, 1) == 0) raise(SIGSEGV);
    EXPECT_EQ(handled, 2);
    greenlet(overrun).switch_to();
}
TEST(overflow, an_earlier_handler_still_gets_every_other_fault) {
    expect_one_line(rerun("overflow.DISABLED_earlier_handlers", {"COIR_STACK_SIZE=64K"}));
}

TEST(overflow, DISABLED_earlier_handler_with_information) {
    struct sigaction own {};
    own.sa_sigaction = jump_out_with_information;
    own.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &own, nullptr);
    char* const forbidden = no_access();
    greenlet([&] {
        if (sigsetjmp(after_fault, 1) == 0) *forbidden = 1;
    }).switch_to();
    EXPECT_EQ(handled, 100);
}
TEST(overflow, an_earlier_handler_gets_the_signals_information) {
    auto const child = rerun("overflow.DISABLED_earlier_handler_with_information");
    EXPECT_TRUE(child.passed()) << child.output << child.error;
}

TEST(overflow, DISABLED_sent) {
    std::signal(SIGSEGV, SIG_DFL); // a sanitizer's handler would report
    greenlet([] { raise(SIGSEGV); }).switch_to();
}
TEST(overflow, a_sent_signal_ends_the_process_silently) {
    auto const child = rerun("overflow.DISABLED_sent");
    EXPECT_TRUE(child.killed_by(SIGSEGV)) << child.status;
    EXPECT_EQ(child.error, "");
}

TEST(overflow, DISABLED_sent_and_ignored) {
    std::signal(SIGSEGV, SIG_IGN);
    bool went_on = false;
    greenlet([&] {
        raise(SIGSEGV);
        went_on = true;
    }).switch_to();
    EXPECT_TRUE(went_on);
}
TEST(overflow, a_sent_signal_that_was_ignored_stays_ignored) {
    auto const child = rerun("overflow.DISABLED_sent_and_ignored");
    EXPECT_TRUE(child.passed()) << child.status << child.error;
}

TEST(overflow, DISABLED_plain_fault) {
    std::signal(SIGSEGV, SIG_DFL);
    greenlet([] { *no_access() = 1; }).switch_to();
}
TEST(overflow, another_fault_is_not_called_an_overflow) {
    auto const child = rerun("overflow.DISABLED_plain_fault");
    EXPECT_TRUE(child.killed_by(SIGSEGV)) << child.status;
    EXPECT_EQ(child.error, "");
}
