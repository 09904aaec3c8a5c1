// A touched guard page raises SIGSEGV on a stack that has no room left, so the handler runs on an alternate stack. It
// names the fiber and lets the fault happen again under the default action: one line, then the usual core dump.
// Any other fault goes to whoever handled SIGSEGV before.

#include "fiber/overflow.h"

#include "fiber/switch.h"
#include "fiber/thread_end.h"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace coir {
namespace {

struct sigaction previous;

// The write is a bare system call: this must not meet an interposed write(2).
void print_overflow(context const& fiber) noexcept {
    char line[512];
    char name[128];
    if (fiber.given_name)
        std::snprintf(name, sizeof name, "%s", fiber.given_name->c_str());
    else
        std::snprintf(name, sizeof name, "%s-%llu", fiber.kind, static_cast<unsigned long long>(fiber.id));
    int const length = std::snprintf(line, sizeof line,
                                     "coir: stack overflow in fiber '%s': it has %zu bytes; give it more with "
                                     "spawn_options::stack_size or COIR_STACK_SIZE\n",
                                     name, fiber.place.size);
    [[maybe_unused]] auto written = syscall(SYS_write, STDERR_FILENO, line, std::size_t(length));
}

void on_fault(int signal, siginfo_t* info, void* machine_context) {
    auto const* fault = static_cast<std::byte const*>(info->si_addr);
    context const* running = this_thread.current;
    if (info->si_code > 0 && running && running->place && fault < running->place.base &&
        fault >= running->place.base - stack_guard_size) {
        print_overflow(*running);
        std::signal(signal, SIG_DFL);
        return;
    }
    if (previous.sa_flags & SA_SIGINFO) return previous.sa_sigaction(signal, info, machine_context);
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
    if (previous.sa_handler == SIG_IGN && info->si_code <= 0) return;
    std::signal(signal, SIG_DFL);
    if (info->si_code <= 0) raise(signal); // sent, not faulted: it would not come again by itself
}

void install_handler() noexcept {
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &previous);
}

// The alternate stack of a thread that had none; goes with the thread.
struct alternate_stack : thread_ending {
    static constexpr std::size_t size = 64 * 1024;
    void* memory = MAP_FAILED;

    alternate_stack() noexcept
        : thread_ending{[](thread_ending& self) noexcept { delete static_cast<alternate_stack*>(&self); }} {
        stack_t present;
        if (sigaltstack(nullptr, &present) != 0 || !(present.ss_flags & SS_DISABLE)) return;
        memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return; // without it an overflow is an unexplained SIGSEGV, as before
        stack_t own{};
        own.ss_sp = memory;
        own.ss_size = size;
        sigaltstack(&own, nullptr);
    }

    ~alternate_stack() {
        if (memory == MAP_FAILED) return;
        stack_t present;
        if (sigaltstack(nullptr, &present) == 0 && present.ss_sp == memory) {
            stack_t none{};
            none.ss_flags = SS_DISABLE;
            sigaltstack(&none, nullptr);
        }
        munmap(memory, size);
    }
};

} // namespace

void report_overflows_on_this_thread() noexcept {
    static std::once_flag once;
    std::call_once(once, install_handler);
    if (auto* own = new (std::nothrow) alternate_stack) at_thread_end(*own); // which the cache of stacks has prepared
}

} // namespace coir
