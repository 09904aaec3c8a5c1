// libdw is no dependency of libcoir: it is loaded when something is to be printed, if it is there. Its header says what
// its functions look like.

#include "fiber/source_lines.h"

#include "fiber/describe.h"
#include "fiber/futex.h"

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <limits.h>
#include <unistd.h>

#if __has_include(<elfutils/libdwfl.h>) && !defined(COIR_NO_LIBDW)
#include <csignal>
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <pthread.h>
#include <system_error>
#include <thread>
#define COIR_LIBDW 1
#endif

namespace coir {
namespace {

std::string hexadecimal(std::uintptr_t number) {
    char text[32];
    std::snprintf(text, sizeof text, "0x%zx", std::size_t(number));
    return text;
}

// The path of the program; the dynamic linker knows only argv[0].
std::string program_path() {
    char path[PATH_MAX];
    ssize_t const length = readlink("/proc/self/exe", path, sizeof path);
    return length > 0 ? std::string(path, std::size_t(length)) : "";
}

// A function and how far into it.
struct symbol {
    char const* name = nullptr; // of the linker, mangled; null: not known
    std::uintptr_t offset = 0;
};

// In the terms of the dynamic linker, which knows exported symbols only.
std::string from_symbols(void* code, symbol known) {
    auto const at = reinterpret_cast<std::uintptr_t>(code);
    Dl_info found;
    if (dladdr(code, &found) == 0 || !found.dli_fname) return hexadecimal(at);
    if (!known.name && found.dli_sname)
        known = {found.dli_sname, at - reinterpret_cast<std::uintptr_t>(found.dli_saddr)};
    std::string module = found.dli_fname;
    if (module.find('/') == std::string::npos) module = program_path();
    return (known.name ? demangled(known.name) + "+" + hexadecimal(known.offset) : "??") + " (" + module + "+" +
           hexadecimal(at - reinterpret_cast<std::uintptr_t>(found.dli_fbase)) + ")";
}

#if COIR_LIBDW

// The functions of libdw that are used, under their own names.
struct libdw {
    bool loaded = true;
    void* library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL); // for good

    decltype(&::dwfl_begin) dwfl_begin = find("dwfl_begin");
    decltype(&::dwfl_end) dwfl_end = find("dwfl_end");
    decltype(&::dwfl_linux_proc_report) dwfl_linux_proc_report = find("dwfl_linux_proc_report");
    decltype(&::dwfl_report_end) dwfl_report_end = find("dwfl_report_end");
    decltype(&::dwfl_linux_proc_find_elf) dwfl_linux_proc_find_elf = find("dwfl_linux_proc_find_elf");
    decltype(&::dwfl_build_id_find_debuginfo) dwfl_build_id_find_debuginfo = find("dwfl_build_id_find_debuginfo");
    decltype(&::dwfl_addrmodule) dwfl_addrmodule = find("dwfl_addrmodule");
    decltype(&::dwfl_module_addrinfo) dwfl_module_addrinfo = find("dwfl_module_addrinfo");
    decltype(&::dwfl_module_addrdie) dwfl_module_addrdie = find("dwfl_module_addrdie");
    decltype(&::dwfl_module_nextcu) dwfl_module_nextcu = find("dwfl_module_nextcu");
    decltype(&::dwarf_haspc) dwarf_haspc = find("dwarf_haspc");
    decltype(&::dwarf_getsrc_die) dwarf_getsrc_die = find("dwarf_getsrc_die");
    decltype(&::dwarf_linesrc) dwarf_linesrc = find("dwarf_linesrc");
    decltype(&::dwarf_lineno) dwarf_lineno = find("dwarf_lineno");
    decltype(&::dwarf_getscopes) dwarf_getscopes = find("dwarf_getscopes");
    decltype(&::dwarf_getscopes_die) dwarf_getscopes_die = find("dwarf_getscopes_die");
    decltype(&::dwarf_tag) dwarf_tag = find("dwarf_tag");
    decltype(&::dwarf_diename) dwarf_diename = find("dwarf_diename");
    decltype(&::dwarf_attr) dwarf_attr = find("dwarf_attr");
    decltype(&::dwarf_attr_integrate) dwarf_attr_integrate = find("dwarf_attr_integrate");
    decltype(&::dwarf_formstring) dwarf_formstring = find("dwarf_formstring");
    decltype(&::dwarf_formudata) dwarf_formudata = find("dwarf_formudata");
    decltype(&::dwarf_formref_die) dwarf_formref_die = find("dwarf_formref_die");
    decltype(&::dwarf_getsrcfiles) dwarf_getsrcfiles = find("dwarf_getsrcfiles");
    decltype(&::dwarf_filesrc) dwarf_filesrc = find("dwarf_filesrc");

private:
    struct found_symbol {
        void* address;
        template <class F>
        operator F*() const noexcept {
            return reinterpret_cast<F*>(address);
        }
    };
    found_symbol find(char const* name) noexcept {
        void* const address = library ? dlsym(library, name) : nullptr;
        loaded &= address != nullptr;
        return {address};
    }
};

// What libdw can tell of this process. Used by one thread.
class debug_information {
public:
    explicit debug_information(libdw const& library) : dw_(library) {
        callbacks_.find_elf = dw_.dwfl_linux_proc_find_elf;
        callbacks_.find_debuginfo = dw_.dwfl_build_id_find_debuginfo; // the standard one would ask debuginfod
        callbacks_.debuginfo_path = &path_;
        session_ = dw_.dwfl_begin(&callbacks_);
        if (session_) dw_.dwfl_linux_proc_report(session_, getpid()), dw_.dwfl_report_end(session_, nullptr, nullptr);
    }
    ~debug_information() {
        if (session_) dw_.dwfl_end(session_);
    }
    debug_information(debug_information const&) = delete;
    debug_information& operator=(debug_information const&) = delete;

    // The call at an address, and those that it was inlined into.
    std::vector<std::string> calls(void* code) const {
        auto const at = Dwarf_Addr(reinterpret_cast<std::uintptr_t>(code));
        Dwfl_Module* const module = session_ ? dw_.dwfl_addrmodule(session_, at) : nullptr;
        if (!module) return {from_symbols(code, {})};
        GElf_Off offset = 0;
        GElf_Sym found_symbol;
        char const* const name =
            dw_.dwfl_module_addrinfo(module, at, &offset, &found_symbol, nullptr, nullptr, nullptr);
        Dwarf_Addr bias = 0;
        Dwarf_Die* const unit = unit_of(module, at, &bias);
        Dwarf_Line* const row = unit ? dw_.dwarf_getsrc_die(unit, at - bias) : nullptr;
        if (!row) return {from_symbols(code, {name, offset})};
        char const* file = dw_.dwarf_linesrc(row, nullptr, nullptr);
        int line = 0;
        dw_.dwarf_lineno(row, &line);

        std::vector<std::string> found;
        for (Dwarf_Die& scope : scopes(dw_, unit, at - bias)) {
            int const tag = dw_.dwarf_tag(&scope);
            if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
            bool const whole = tag == DW_TAG_subprogram; // it has a symbol
            found.push_back(function_name(scope, whole ? name : nullptr) + " at " + place(file, line));
            if (whole) break;
            file = file_name(*unit, number(scope, DW_AT_call_file));
            line = int(number(scope, DW_AT_call_line));
        }
        if (found.empty()) found.push_back((name ? demangled(name) : "??") + " at " + place(file, line));
        return found;
    }

private:
    // Clang leaves out the table that dwfl_module_addrdie looks into (.debug_aranges): then all are asked.
    Dwarf_Die* unit_of(Dwfl_Module* module, Dwarf_Addr at, Dwarf_Addr* bias) const {
        Dwarf_Die* unit = dw_.dwfl_module_addrdie(module, at, bias);
        if (unit) return unit;
        while ((unit = dw_.dwfl_module_nextcu(module, unit, bias)))
            if (dw_.dwarf_haspc(unit, at - *bias) > 0) return unit;
        return nullptr;
    }

    // What is around something, innermost first.
    class scopes {
    public:
        // The blocks and functions around an address, as they lie in the code.
        scopes(libdw const& dw, Dwarf_Die* unit, Dwarf_Addr at) {
            Dwarf_Die* innermost =
                nullptr; // followed by the scopes of the source, where an inlined function is defined
            int const any = dw.dwarf_getscopes(unit, at, &innermost);
            if (any > 0) count_ = dw.dwarf_getscopes_die(&innermost[0], &all_);
            std::free(innermost);
        }
        // The classes and namespaces around a function, and itself.
        scopes(libdw const& dw, Dwarf_Die* function) { count_ = dw.dwarf_getscopes_die(function, &all_); }
        ~scopes() { std::free(all_); }
        scopes(scopes const&) = delete;
        scopes& operator=(scopes const&) = delete;

        Dwarf_Die* begin() const { return all_; }
        Dwarf_Die* end() const { return count_ > 0 ? all_ + count_ : all_; }

    private:
        Dwarf_Die* all_ = nullptr;
        int count_ = 0;
    };

    static std::string place(char const* file, int line) {
        return std::string(file ? file : "??") + ":" + std::to_string(line);
    }

    // Null if it has none, as functions that are local to a unit.
    char const* linkage_name(Dwarf_Die& function) const {
        Dwarf_Attribute attribute;
        return dw_.dwarf_attr_integrate(&function, DW_AT_linkage_name, &attribute) ? dw_.dwarf_formstring(&attribute)
                                                                                   : nullptr;
    }

    std::string function_name(Dwarf_Die& function, char const* symbol) const {
        if (char const* const name = linkage_name(function)) return demangled(name);
        if (!symbol) return qualified_name(function);
        std::string const name = demangled(symbol);
        return name.substr(0, name.find(" [clone "));
    }

    // "namespace::class::function" of one that is inlined, and so has no symbol.
    std::string qualified_name(Dwarf_Die definition) const {
        Dwarf_Attribute attribute;
        Dwarf_Die origin; // it refers to one, and that perhaps to its declaration in a class
        for (unsigned link : {DW_AT_abstract_origin, DW_AT_specification})
            if (dw_.dwarf_attr(&definition, link, &attribute) && dw_.dwarf_formref_die(&attribute, &origin))
                definition = origin;
        std::string name;
        auto const prepend = [&](std::string const& part) { name = part + (name.empty() ? "" : "::") + name; };
        for (Dwarf_Die& around : scopes(dw_, &definition)) {
            char const* const own = dw_.dwarf_diename(&around);
            switch (dw_.dwarf_tag(&around)) {
            case DW_TAG_namespace: prepend(own ? own : "(anonymous namespace)"); break;
            case DW_TAG_class_type:
            case DW_TAG_structure_type:
            case DW_TAG_union_type: prepend(own ? own : "{unnamed}"); break;
            case DW_TAG_subprogram:
                if (char const* const whole = linkage_name(around)) {
                    prepend(demangled(whole));
                    return name;
                }
                prepend(own ? own : "??");
            }
        }
        return name;
    }

    Dwarf_Word number(Dwarf_Die& of, unsigned name) const {
        Dwarf_Attribute attribute;
        Dwarf_Word value = 0;
        if (dw_.dwarf_attr(&of, name, &attribute)) dw_.dwarf_formudata(&attribute, &value);
        return value;
    }

    char const* file_name(Dwarf_Die& unit, Dwarf_Word index) const {
        Dwarf_Files* files;
        std::size_t count;
        if (dw_.dwarf_getsrcfiles(&unit, &files, &count) != 0 || index >= count) return nullptr;
        return dw_.dwarf_filesrc(files, index, nullptr, nullptr);
    }

    libdw const& dw_;
    char* path_ = nullptr; // where separate debug information lies: libdw's default
    Dwfl_Callbacks callbacks_{};
    Dwfl* session_ = nullptr;
};

// Calls function() on another thread's stack, and blocks until it has returned: libdw has frames of 100 KiB and more,
// fibers have 64. A join would be the shim's, and let others run with all signals blocked.
template <class F>
void call_elsewhere(F&& function) {
    std::exception_ptr error;
    sigset_t all, before; // signals are for the program's own threads
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::atomic<int> done{0};
        std::thread([&] {
            try {
                function();
            } catch (...) {
                error = std::current_exception();
            }
            done.store(1, std::memory_order_release);
            futex_wake(done, 1); // it may be gone already: the address is enough
        }).detach();
        while (!done.load(std::memory_order_acquire)) futex_wait(done, 0);
    } catch (...) { // no thread can be started, or no memory
        error = std::current_exception();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error) std::rethrow_exception(error);
}

#endif

} // namespace

std::vector<std::string> source_lines(std::span<void* const> code) {
    std::vector<std::string> lines;
    if (code.empty()) return lines;
#if COIR_LIBDW
    static libdw const library;
    if (library.loaded) try {
            call_elsewhere([&] {
                debug_information const information(library);
                for (void* each : code)
                    for (auto& call : information.calls(each)) lines.push_back(std::move(call));
            });
            return lines;
        } catch (std::system_error const&) { // then symbols must do
            lines.clear();
        }
#endif
    for (void* each : code) lines.push_back(from_symbols(each, {}));
    return lines;
}

} // namespace coir
