#include "fiber/at_fork.h"

#include <coir.h>
#include <csignal>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __SANITIZE_THREAD__ // its runtime registers, too, before anything can be called

namespace {

int registered = 0;

} // namespace

// What pthread_atfork calls in any library (nptl/pthread_atfork.c).
extern "C" int __register_atfork(void (*before)(), void (*in_parent)(), void (*in_child)(), void* library) {
    ++registered;
    auto const real = reinterpret_cast<decltype(&__register_atfork)>(dlsym(RTLD_NEXT, "__register_atfork"));
    return real(before, in_parent, in_child, library);
}

#endif

namespace {

using coir::at_fork;

std::string said;

COIR_AT_FORK(last) = {at_fork::order::others, [] { said += "C"; }, [] { said += "c"; }, [] { said += "3"; }};
COIR_AT_FORK(first) = {at_fork::order::locks, [] { said += "A"; }, [] { said += "a"; }, [] { said += "1"; }};
COIR_AT_FORK(middle) = {at_fork::order::threads, [] { said += "B"; }, nullptr, [] { said += "2"; }};

#ifndef __SANITIZE_THREAD__
// Who is told of forks only when it is first used knows nothing of one that another thread has begun.
TEST(at_fork, all_is_told_at_the_first_use_of_anything) {
    registered = 0; // the sanitizers', when they begin
    coir::on_unhandled_exception({});
    EXPECT_EQ(registered, 1);
    EXPECT_EQ(coir::spawn([] { return 1; }).get(), 1);
    EXPECT_EQ(coir::offload([] { return 2; }), 2);
    coir::thread_pool pool(1);
    EXPECT_EQ(pool.apply([] { return 3; }), 3);
    coir::signal_handler const watched(SIGUSR1, [] {});
    EXPECT_EQ(registered, 1);
}
#endif

TEST(at_fork, calls_them_in_their_order) {
    coir::fork_table::look_after();
    coir::fork_table::look_after(); // once is enough
    pid_t const child = fork();
    if (child == 0) _exit(said == "CBA123" ? 0 : 1);
    EXPECT_EQ(said, "CBAac");
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

} // namespace
