#include "fiber/stack.h"

#include "fiber/greenlet.h"
#include "fiber/sanitizer.h"
#include "tests/rerun.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <set>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

using coir::acquire_stack;
using coir::release_stack;
using coir::stack;

namespace {

std::size_t resident_pages(stack const& of) {
    std::size_t const page = 4096;
    std::vector<unsigned char> in_core(of.size / page);
    EXPECT_EQ(mincore(of.base, of.size, in_core.data()), 0) << std::strerror(errno);
    return std::size_t(std::count_if(in_core.begin(), in_core.end(), [](unsigned char c) { return c & 1; }));
}

// Ends by SIGSEGV if the address cannot be written. In a child, for it may.
bool faults(std::byte* address) {
    pid_t const child = fork();
    if (child == 0) {
        std::signal(SIGSEGV, SIG_DFL);
        rlimit const no_core{0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        *const_cast<std::byte volatile*>(address) = std::byte{1};
        _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

void expect_guard(stack const& of) {
    for (std::size_t below = 1; below <= coir::stack_guard_size; below += 4096) {
        EXPECT_TRUE(faults(of.base - below)) << below;
        EXPECT_TRUE(faults(of.base - below - 4095)) << below;
    }
    EXPECT_FALSE(faults(of.base));
    EXPECT_FALSE(faults(of.top() - 1));
}

// From here on this process lives on a kernel that does not know the advice that `call` is given as its argument of
// this number.
void refuse_lightweight_guards(unsigned call = SYS_madvise, unsigned argument = 2) {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, unsigned(offsetof(seccomp_data, args) + argument * sizeof(__u64))),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 102, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog const program{sizeof code / sizeof *code, code};
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0) << std::strerror(errno);
}

std::string message_of(auto&& action) {
    try {
        action();
    } catch (std::system_error const& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST(stack, sizes_are_rounded_up_to_a_power_of_two) {
    struct {
        std::size_t wanted, got;
    } const cases[] = {{1, 16384},
                       {16384, 16384},
                       {16385, 32768},
                       {32768, 32768},
                       {65537, 131072},
                       {(1u << 20) - 1, 1u << 20},
                       {(1u << 20) + 1, 2u << 20},
                       {coir::largest_stack, coir::largest_stack}};
    for (auto const& each : cases) {
        stack const one = acquire_stack(each.wanted);
        EXPECT_EQ(one.size, each.got) << each.wanted;
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(one.base) % 4096, 0u);
        one.base[0] = one.top()[-1] = std::byte{1};
        release_stack(one);
    }
}

TEST(stack, one_that_is_too_big_is_refused_by_name) {
    auto const message = message_of([] { acquire_stack(coir::largest_stack + 1); });
    EXPECT_NE(message.find(std::to_string(coir::largest_stack + 1)), std::string::npos) << message;
    EXPECT_NE(message.find(std::strerror(EINVAL)), std::string::npos) << message;
}

TEST(stack, the_last_released_is_the_next_acquired) {
    std::vector<stack> all;
    for (int i = 0; i < 5; ++i) all.push_back(acquire_stack(65536));
    for (auto const& each : all) release_stack(each);
    for (auto each = all.rbegin(); each != all.rend(); ++each) EXPECT_EQ(acquire_stack(65536).base, each->base);
    for (auto const& each : all) release_stack(each);
}

TEST(stack, classes_do_not_mix) {
    stack const small = acquire_stack(16384);
    release_stack(small);
    stack const large = acquire_stack(65536);
    EXPECT_NE(small.base, large.base);
    release_stack(large);
}

TEST(stack, tops_are_staggered_and_aligned) {
    std::vector<stack> all;
    std::set<std::size_t> offsets;
    for (int i = 0; i < 48; ++i) {
        stack const one = acquire_stack(65536);
        all.push_back(one);
        std::byte* const place = coir::place_on_top(one, 200);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(place) % 64, 0u);
        EXPECT_GE(place, one.base);
        EXPECT_LE(place + 200, one.top());
        offsets.insert(std::size_t(one.top() - place));
    }
    EXPECT_GE(offsets.size(), 40u) << "of 48 stacks";
    for (auto const& each : all) release_stack(each);
}

TEST(stack, what_does_not_fit_is_refused_by_size) {
    stack const one = acquire_stack(16384);
    auto const message = message_of([&] { coir::place_on_top(one, 20000); });
    EXPECT_NE(message.find("20000"), std::string::npos) << message;
    EXPECT_NE(message.find("16384"), std::string::npos) << message;
    release_stack(one);
    struct big {
        char bytes[70000];
        void operator()() const {}
    };
    EXPECT_THROW(coir::greenlet(big{}, 65536), std::system_error);
    coir::greenlet roomy(big{}, 256 * 1024);
    roomy.switch_to();
    EXPECT_TRUE(roomy.dead());
}

TEST(stack, a_trim_gives_idle_memory_back_and_keeps_what_is_in_use) {
    while (coir::trim_stacks()) {}
    stack const idle = acquire_stack(std::size_t{1} << 20), busy = acquire_stack(std::size_t{1} << 20);
    std::memset(idle.base, 1, idle.size);
    std::memset(busy.base, 1, busy.size);
    EXPECT_EQ(resident_pages(idle), idle.size / 4096);
    release_stack(idle);
    coir::trim_stacks(); // the first only notes what lies idle
    EXPECT_EQ(resident_pages(idle), idle.size / 4096);
    EXPECT_FALSE(coir::trim_stacks());
    EXPECT_EQ(resident_pages(idle), 0u);
    EXPECT_EQ(resident_pages(busy), busy.size / 4096);
    EXPECT_EQ(busy.base[busy.size / 2], std::byte{1});
    expect_guard(idle);
    EXPECT_EQ(acquire_stack(std::size_t{1} << 20).base, idle.base) << "its address space comes back from the pool";
    release_stack(idle);
    release_stack(busy);
}

TEST(stack, a_trim_spares_stacks_that_were_needed_since_the_last) {
    while (coir::trim_stacks()) {}
    stack const one = acquire_stack(65536);
    std::memset(one.base, 1, one.size);
    release_stack(one);
    for (int i = 0; i < 3; ++i) {
        coir::trim_stacks();
        release_stack(acquire_stack(65536));
        EXPECT_EQ(resident_pages(one), one.size / 4096);
    }
}

TEST(stack, go_from_thread_to_thread) {
    stack taken;
    std::thread([&] { taken = acquire_stack(128 * 1024); }).join();
    release_stack(taken);
    EXPECT_EQ(acquire_stack(128 * 1024).base, taken.base);
    std::thread([&] { release_stack(taken); }).join(); // by way of that thread's cache back to the pool
    EXPECT_EQ(acquire_stack(128 * 1024).base, taken.base);
    release_stack(taken);
}

TEST(stack, every_page_of_the_guard_faults) {
    stack const one = acquire_stack(65536);
    expect_guard(one);
    release_stack(one);
}

TEST(stack, DISABLED_fallback) {
    refuse_lightweight_guards();
    EXPECT_EQ(coir::guard_in_use(), coir::stack_guard::undecided);
    stack const one = acquire_stack(65536);
    EXPECT_EQ(coir::guard_in_use(), coir::stack_guard::mprotect);
    expect_guard(one);
    int ran = 0;
    for (int i = 0; i < 100; ++i) coir::greenlet([&] { ++ran; }).switch_to();
    EXPECT_EQ(ran, 100);
    std::memset(one.base, 1, one.size);
    release_stack(one);
    while (coir::trim_stacks()) {}
    EXPECT_EQ(resident_pages(one), 0u);
    expect_guard(one);
}
TEST(stack, guards_are_mprotect_where_the_kernel_knows_no_others) {
    auto const child = rerun("stack.DISABLED_fallback");
    EXPECT_TRUE(child.passed()) << child.output << child.error;
}

void expect_guards_of(std::vector<stack> const& all) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0) << std::strerror(errno);
    for (stack const& one : all) {
        for (std::size_t below = 1; below <= coir::stack_guard_size; below += 4096) {
            errno = 0;
            ASSERT_EQ(write(ends[1], one.base - below, 1), -1) << &one - all.data() << ", " << below;
            EXPECT_EQ(errno, EFAULT);
        }
        one.base[0] = one.top()[-1] = std::byte{1};
    }
    close(ends[0]);
    close(ends[1]);
}

// Of so many that several get theirs at once, where the kernel takes that, and that several slabs are used up.
void expect_guards_of_many() {
    std::vector<stack> all;
    for (int i = 0; i < 200; ++i) all.push_back(acquire_stack(1 << 20));
    expect_guards_of(all);
}

bool takes_several_guards() {
    void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    iovec const guard{page, 4096};
    constexpr int this_thread = -10000; // PIDFD_SELF_THREAD
    return syscall(SYS_process_madvise, this_thread, &guard, 1, 102, 0) == 4096;
}

TEST_ALONE(stack, of_many_each_has_its_guard) { expect_guards_of_many(); }
TEST_ALONE(stack, of_many_each_has_its_guard_where_each_takes_a_call) {
    refuse_lightweight_guards(SYS_process_madvise, 3);
    expect_guards_of_many();
}
TEST_ALONE(stack, guards_of_many_take_no_call_each) {
    if (!takes_several_guards()) GTEST_SKIP() << "this kernel, or Valgrind, wants one: " << std::strerror(errno);
    std::vector<stack> all;
    for (int i = 0; i < 64; ++i) all.push_back(acquire_stack(16384));
    refuse_lightweight_guards();
    for (int i = 0; i < 300; ++i) all.push_back(acquire_stack(16384));
    expect_guards_of(all);
}
TEST_ALONE(stack, has_a_guard_in_memory_that_is_locked) {
    std::vector<stack> all;
    for (int i = 0; i < 100; ++i) all.push_back(acquire_stack(65536));
    std::ptrdiff_t const stride = all[99].base - all[98].base;
    for (int ahead : {20, 21, 40}) {
        ASSERT_EQ(mlock(all[99].base + ahead * stride - coir::stack_guard_size, 4096), 0) << std::strerror(errno);
    }
    for (int i = 0; i < 100; ++i) all.push_back(acquire_stack(65536));
    expect_guards_of(all);
}

TEST(stack, DISABLED_too_many_mappings) {
    refuse_lightweight_guards();
    std::vector<stack> all;
    all.reserve(1'000'000);
    auto const message = message_of([&] {
        while (all.size() < 1'000'000) all.push_back(acquire_stack(16384));
    });
    EXPECT_NE(message.find("vm.max_map_count"), std::string::npos) << message << " after " << all.size();
    EXPECT_NE(message.find(std::strerror(ENOMEM)), std::string::npos) << message;
    EXPECT_GT(all.size(), 1000u);
    release_stack(all.back());
    EXPECT_EQ(acquire_stack(16384).base, all.back().base) << "those that exist go on working";
}
TEST(stack, the_error_names_the_limit_on_mappings) {
#if COIR_ASAN || COIR_TSAN
    GTEST_SKIP() << "the sanitizer's own allocator does not survive this";
#endif
    auto const child = rerun("stack.DISABLED_too_many_mappings");
    EXPECT_TRUE(child.passed()) << child.output << child.error;
}

TEST(stack, DISABLED_size_of_environment) {
    EXPECT_EQ(coir::default_stack_size(), std::stoull(std::getenv("WANT")));
    EXPECT_EQ(acquire_stack(0).size, std::stoull(std::getenv("CLASS")));
}
TEST(stack, DISABLED_bad_size_of_environment) {
    for (int again = 0; again < 2; ++again) {
        auto const message = message_of([] { coir::greenlet([] {}); });
        EXPECT_NE(message.find(std::getenv("COIR_STACK_SIZE")), std::string::npos) << message;
        EXPECT_NE(message.find("COIR_STACK_SIZE="), std::string::npos) << message;
    }
}
TEST(stack, the_default_is_the_environments) {
    struct {
        char const *text, *size, *of_class;
    } const good[] = {{"65536", "65536", "65536"},  {"256K", "262144", "262144"},          {"100k", "102400", "131072"},
                      {"1M", "1048576", "1048576"}, {"1024m", "1073741824", "1073741824"}, {"1", "1", "16384"}};
    for (auto const& each : good) {
        auto const child = rerun("stack.DISABLED_size_of_environment",
                                 {std::string("COIR_STACK_SIZE=") + each.text, std::string("WANT=") + each.size,
                                  std::string("CLASS=") + each.of_class});
        EXPECT_TRUE(child.passed()) << each.text << child.output;
    }
    for (char const* bad : {"", "0", "-1", "64 K", "64Kb", "K", "1G", "1025M", "18446744073709551616", "0x10000"}) {
        auto const child = rerun("stack.DISABLED_bad_size_of_environment", {std::string("COIR_STACK_SIZE=") + bad});
        EXPECT_TRUE(child.passed()) << "'" << bad << "'" << child.output;
    }
}
