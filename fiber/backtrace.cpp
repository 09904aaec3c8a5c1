#include "fiber/backtrace.h"

#include "fiber/source_lines.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cxxabi.h>
#include <dlfcn.h>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <unwind.h>

#if defined(__x86_64__)
// Calls call(argument), and keeps `into` in rbx, where coir_note_throw finds it.
asm(R"(
    .pushsection .text
    .globl coir_call_watched
    .hidden coir_call_watched
    .type coir_call_watched, @function
    .p2align 4
coir_call_watched:
    .cfi_startproc
    .cfi_personality 0x1b, coir_note_throw
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_offset %rbx, -16
    movq %rdx, %rbx
    movq %rdi, %rax
    movq %rsi, %rdi
    call *%rax
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    ret
    .cfi_endproc
    .size coir_call_watched, . - coir_call_watched
    .popsection
)");

extern "C" [[gnu::visibility("hidden")]] void coir_call_watched(void (*call)(void*), void* argument,
                                                                std::unique_ptr<coir::stack_trace>* into);

namespace coir {
namespace {

constexpr int rbx = 3; // its DWARF number (System V ABI for x86-64, figure 3.36)

template <class F>
std::uintptr_t address(F* function) noexcept {
    return reinterpret_cast<std::uintptr_t>(function);
}

// The functions by which others throw: the frames nearest to the unwinder are theirs. Where a sanitizer puts its own in
// their place, both are meant.
struct throwing_functions {
    std::array<std::uintptr_t, 10> all{address(abi::__cxa_throw), address(abi::__cxa_rethrow),
                                       address(std::rethrow_exception), address(_Unwind_RaiseException),
                                       address(_Unwind_Resume_or_Rethrow)};

    throwing_functions() noexcept {
        auto* next = all.begin() + 5;
        for (char const* behind :
             {"__cxa_throw", "__cxa_rethrow", "_ZSt17rethrow_exceptionNSt15__exception_ptr13exception_ptrE",
              "_Unwind_RaiseException", "_Unwind_Resume_or_Rethrow"})
            *next++ = reinterpret_cast<std::uintptr_t>(dlsym(RTLD_NEXT, behind));
    }

    bool contain(std::uintptr_t function) const noexcept {
        return std::find(all.begin(), all.end(), function) != all.end();
    }

    // Looked up by the first watch_throws: there must be no need to while something is thrown.
    static throwing_functions const& known() noexcept {
        static throwing_functions const made;
        return made;
    }
};

_Unwind_Reason_Code note_frame(_Unwind_Context* frame, void* noted) {
    auto* const slot = static_cast<std::unique_ptr<stack_trace>*>(noted);
    stack_trace& into = **slot;
    std::uintptr_t const function = _Unwind_GetRegionStart(frame);
    if (throwing_functions::known().contain(function)) {
        into.count = 0;
        into.complete = true;
        return _URC_NO_REASON;
    }
    if (function == address(coir_call_watched) && _Unwind_GetGR(frame, rbx) == address(slot)) return _URC_NORMAL_STOP;
    if (into.count == into.frames.size()) {
        into.complete = false;
        return _URC_NORMAL_STOP;
    }
    int before_instruction = 0; // of a signal's frame
    std::uintptr_t const at = _Unwind_GetIPInfo(frame, &before_instruction);
    if (at) into.frames[into.count++] = reinterpret_cast<void*>(at - (before_instruction ? 0 : 1));
    return _URC_NO_REASON;
}

} // namespace
} // namespace coir

// The personality routine of coir_call_watched's frame (Itanium C++ ABI, "Exception Handling", 1.6.2). Forced unwinding
// has no search phase.
extern "C" [[gnu::visibility("hidden"), gnu::used]] _Unwind_Reason_Code
coir_note_throw(int, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception*, _Unwind_Context* frame) {
    if (actions & _UA_SEARCH_PHASE) {
        auto& into = *reinterpret_cast<std::unique_ptr<coir::stack_trace>*>(_Unwind_GetGR(frame, coir::rbx));
        into.reset(new (std::nothrow) coir::stack_trace);
        if (into) _Unwind_Backtrace(coir::note_frame, &into);
    }
    return _URC_CONTINUE_UNWIND;
}
#else
static void coir_call_watched(void (*call)(void*), void* argument, std::unique_ptr<coir::stack_trace>*) {
    call(argument);
}
#endif

namespace coir {

void watch_throws(stack_trace& into, void (*call)(void*), void* argument) {
    struct copying {
        stack_trace& to;
        std::unique_ptr<stack_trace> from{};
        ~copying() { to = from ? *from : stack_trace(); }
    } at_end{into};
    watch_throws(at_end.from, call, argument);
}

void prepare_to_watch_throws() {
#if defined(__x86_64__)
    throwing_functions::known();
#endif
}

void watch_throws_prepared(std::unique_ptr<stack_trace>& into, void (*call)(void*), void* argument) {
    coir_call_watched(call, argument, &into);
}

void watch_throws(std::unique_ptr<stack_trace>& into, void (*call)(void*), void* argument) {
    into.reset();
    prepare_to_watch_throws();
    watch_throws_prepared(into, call, argument);
}

std::string describe(stack_trace const& trace) {
    std::string lines;
    int number = 0;
    for (auto const& call : source_lines(std::span(trace.frames).first(trace.count)))
        lines += "  #" + std::to_string(number++) + " " + call + "\n";
    if (!trace.complete) lines += "  … and more\n";
    return lines;
}

} // namespace coir
