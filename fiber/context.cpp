// The only file that knows Boost.Context.

#include "fiber/context.h"

#include "fiber/switch.h"
#include "fiber/thread_end.h"

#include <boost/context/detail/fcontext.hpp>
#include <cassert>
#include <cxxabi.h>

// jump_fcontext is entered by `call` and left by an indirect jump, so the processor's return stack keeps an entry for
// a `ret` that never comes, and every later `ret` up the other context's stack is mispredicted. Here the return
// address is pushed by hand and the jump is a jump; the `ret` at 1: then pairs with the call of coir_jump itself,
// which every context left through. The `nop` gives unwinders, who look up the address before a return address, a
// place where the frame is as it will be at 1:.
//
// Under shadow stacks the pushed address would not be on the shadow stack: then, and on other processors, a call.
#if defined(__x86_64__) && !(defined(__CET__) && (__CET__ & 2))
asm(R"(
    .pushsection .text
    .globl coir_jump
    .hidden coir_jump
    .type coir_jump, @function
    .p2align 4
coir_jump:
    .cfi_startproc
    leaq 1f(%rip), %rax
    pushq %rax
    .cfi_adjust_cfa_offset 8
    jmpq *jump_fcontext@GOTPCREL(%rip)
    .cfi_adjust_cfa_offset -8
    nop
1:  ret
    .cfi_endproc
    .size coir_jump, . - coir_jump
    .popsection
)");

// Leaves for good. By a jump and not a call: then `to` finds on the return stack what the one that began this context
// left there, and its `ret`s, right up to main, are predicted.
[[noreturn, gnu::always_inline]] static inline void coir_leave(void* to, void* data) noexcept {
    asm volatile("jmpq *jump_fcontext@GOTPCREL(%%rip)" : : "D"(to), "S"(data) : "memory");
    __builtin_unreachable();
}
#else
[[noreturn]] static void coir_leave(void* to, void* data) noexcept {
    boost::context::detail::jump_fcontext(to, data);
    __builtin_unreachable();
}

extern "C" coir::jump_result coir_jump(void* to, void* data) noexcept {
    auto came = boost::context::detail::jump_fcontext(to, data);
    return {came.fctx, came.data};
}
#endif

namespace coir {

using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;
static_assert(sizeof(transfer_t) == sizeof(jump_result));

constinit thread_local thread_state this_thread{};

// Where a context starts and ends on its own stack.
struct context_entry {
    static void start(transfer_t came) noexcept {
        context& self = *this_thread.current;
        arrive_from({came.fctx, came.data});
        context& next = self.body();
        assert(self.ended() && this_thread.exceptions->empty());
        next.become(run_state::running);
        this_thread.current = &next;
        *this_thread.error = next.error;
        sanitizer_leave(self.sanitizer, next.sanitizer, true);
        coir_leave(next.resume_point, &self);
    }
};

namespace {

// Ids are handed to threads in blocks: one contended increment per thousand contexts.
std::uint64_t next_id() noexcept {
    constexpr std::uint64_t block = 1024;
    static constinit std::atomic<std::uint64_t> next_block{0};
    static constinit thread_local std::uint64_t next = 0;
    if (next % block == 0) next = next_block.fetch_add(block, std::memory_order_relaxed);
    return ++next;
}

std::uint64_t number_of_this_thread() noexcept {
    static constinit std::atomic<std::uint64_t> last{0};
    if (this_thread.number == 0) this_thread.number = last.fetch_add(1, std::memory_order_relaxed) + 1;
    return this_thread.number;
}

// Stands for the thread itself, whose stack is not ours. Freed when the thread has ended and no handle is
// left.
struct thread_context final : context, thread_ending {
    thread_context() : context(stack{}, "thread"), thread_ending{&at_end} { become(run_state::running); }

private:
    static void at_end(thread_ending& which) noexcept {
        auto& self = static_cast<thread_context&>(which);
        if (this_thread.current == &self) self.become(run_state::ended); // it is not, if a fiber called pthread_exit
        this_thread.current = nullptr;
        self.release();
    }
    context& body() noexcept override { std::terminate(); } // never entered: it runs already
    void unreferenced() noexcept override { delete this; }
};

} // namespace

context& adopt_thread() {
    this_thread.error = &errno;
    this_thread.exceptions = reinterpret_cast<exception_globals*>(abi::__cxa_get_globals());
    auto made = std::make_unique<thread_context>();
    at_thread_end(*made);
    this_thread.current = made.get();
    return *made.release();
}

void arrive_from_stopped(context& left) noexcept {
    if (left.ended())
        left.release_on_leaving();
    else if (left.references.now() == 1)
        left.abandoned();
}

void switch_from_catch(context& from, context& to) noexcept {
    exception_globals const own = std::exchange(*this_thread.exceptions, {});
    switch_context(from, to);
    *this_thread.exceptions = own;
}

context::context(stack where, char const* kind_name) noexcept
    : thread(number_of_this_thread()), place(where), id(next_id()), kind(kind_name) {
    sanitizer_stack(sanitizer, where.base, where.size);
}

context::~context() {
    delete locals;
    sanitizer_forget(sanitizer);
}

void context::throw_pending() { std::rethrow_exception(std::exchange(pending, nullptr)); }

void context::prepare(std::byte* usable_top) noexcept {
    resume_point = make_fcontext(usable_top, std::size_t(usable_top - place.base), context_entry::start);
}

std::string context::name() const {
    if (given_name) return *given_name;
    std::string made = kind;
    made += '-';
    return made += std::to_string(id);
}

} // namespace coir
