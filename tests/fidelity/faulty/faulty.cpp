// faulty: runs a program, and lets system calls of it and of its children fail or fall short, at random but legally. It
// sits below whatever makes the calls, libc or the shim, whose are made by inline instructions: it traces the program.
//
//     faulty [--tell] [--kinds=short,eintr,…] [--one-in=N] [--report=FILE] [--preload=LIBRARIES]
//            SEED program [argument…]
//
// Only the calls that may have a fault stop, by a seccomp filter. Faults begin where the program itself does, when its
// libraries are there; another program that a child becomes has none. Descriptors 0 to 2 have none. The same seed makes
// the same faults of the same calls of a process. LIBRARIES are preloaded into the program, not into this one. FILE
// gets one line: the seed, the program's process, how many calls there were and how many faults of each kind; --tell
// tells each fault on stderr. The status is the program's, or 128 and the number of the signal that killed it; when it
// has ended, the children that it left are killed. x86-64 only.

#include "tests/fidelity/faulty/faults.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <fstream>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <map>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#if !defined(__x86_64__)
#error "faulty knows the registers of x86-64 only"
#endif

namespace faulty {
namespace {

constexpr int own_trouble = 125;
constexpr long what_is_told = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
                              PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;

[[noreturn]] void give_up(char const* what) { throw std::system_error(errno, std::generic_category(), what); }

// The process that a thread is of.
pid_t process_id_of(pid_t thread) {
    std::ifstream lines("/proc/" + std::to_string(thread) + "/status");
    pid_t id = thread;
    for (std::string word; lines >> word;)
        if (word == "Tgid:") {
            lines >> id;
            break;
        }
    return id;
}

void filter_calls() {
    auto const calls = calls_of_interest();
    std::vector<sock_filter> program{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
    };
    for (long const call : calls) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, unsigned(call), 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog const all{static_cast<unsigned short>(program.size()), program.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) != 0)
        give_up("seccomp");
}

class tracer {
public:
    tracer(faults& of, char const* preload) : faults_(of), preload_(preload) {}

    pid_t first() const noexcept { return first_; } ///< the program's process

    // Its status as wait tells it.
    int run(char** arguments) {
        first_ = start(arguments);
        for (;;) {
            int status = 0;
            pid_t const thread = waitpid(-1, &status, __WALL);
            if (thread == -1 && errno == EINTR) continue;
            if (thread == -1) give_up("waitpid");
            if (WIFEXITED(status) || WIFSIGNALED(status)) {
                undoings_.erase(thread);
                if (thread == first_) return status;
                forget(thread);
            } else if (WIFSTOPPED(status)) {
                on_stop(thread, status);
            }
        }
    }

private:
    // A process group of its own: what the program signals is not us.
    pid_t start(char** arguments) {
        int go[2];
        if (pipe2(go, O_CLOEXEC) != 0) give_up("pipe2");
        pid_t const made = fork();
        if (made == -1) give_up("fork");
        if (made == 0) {
            char byte;
            setpgid(0, 0);
            close(go[1]);
            while (::read(go[0], &byte, 1) == -1 && errno == EINTR) {}
            if (preload_) setenv("LD_PRELOAD", preload_, 1);
            filter_calls();
            execvp(arguments[0], arguments);
            std::perror(arguments[0]);
            _exit(127);
        }
        if (ptrace(PTRACE_SEIZE, made, nullptr, what_is_told) != 0) give_up("PTRACE_SEIZE");
        processes_.emplace(made, process{made, count_++, false});
        close(go[0]);
        close(go[1]); // it goes on
        return made;
    }

    process& process_of(pid_t thread) {
        if (auto const known = processes_.find(thread); known != processes_.end()) return known->second;
        auto const [known, is_new] = threads_.try_emplace(thread);
        if (is_new) known->second = process_id_of(thread);
        pid_t const id = known->second;
        return processes_.emplace(id, process{id, count_, false}).first->second;
    }

    void forget(pid_t thread) {
        threads_.erase(thread);
        auto const known = processes_.find(thread);
        if (known == processes_.end()) return;
        if (known->second.descriptor >= 0) close(known->second.descriptor);
        processes_.erase(known);
    }

    void go_on(pid_t thread, int signal = 0) {
        bool const undoes = undoings_.contains(thread);
        ptrace(undoes ? PTRACE_SYSCALL : PTRACE_CONT, thread, nullptr, signal); // it may have been killed meanwhile
    }

    void on_stop(pid_t thread, int status) {
        int const signal = WSTOPSIG(status), event = status >> 16;
        switch (event) {
        case PTRACE_EVENT_SECCOMP: return on_call(thread);
        case PTRACE_EVENT_EXEC: on_exec(thread); return go_on(thread);
        case PTRACE_EVENT_FORK:
        case PTRACE_EVENT_VFORK: on_fork(thread); return go_on(thread);
        case PTRACE_EVENT_CLONE: on_clone(thread); return go_on(thread);
        case PTRACE_EVENT_STOP:
            if (signal == SIGTRAP) return go_on(thread);
            ptrace(PTRACE_LISTEN, thread, nullptr, nullptr); // stopped, as it would be without us
            return;
        default: break;
        }
        if (signal == (SIGTRAP | 0x80)) {
            if (auto const found = undoings_.find(thread); found != undoings_.end()) {
                try {
                    undo(thread, process_of(thread), found->second);
                } catch (std::system_error const&) {} // killed
                undoings_.erase(found);
            }
            return go_on(thread);
        }
        if (signal == SIGTRAP && begins(thread)) return go_on(thread);
        go_on(thread, signal);
    }

    void on_call(pid_t thread) {
        process& of = process_of(thread);
        if (of.active) {
            try {
                stopped_call call(thread, of);
                faults_.meet(call);
                if (call.to_undo()) undoings_[thread] = *call.to_undo();
            } catch (std::system_error const& error) {
                if (error.code().value() != ESRCH) throw; // killed
            }
        }
        go_on(thread);
    }

    pid_t told(pid_t thread) {
        unsigned long made = 0;
        ptrace(PTRACE_GETEVENTMSG, thread, nullptr, &made);
        return pid_t(made);
    }

    // A child may have stopped before its parent tells of it: then it was made an entry, without a number of its own.
    void on_fork(pid_t thread) {
        pid_t const made = told(thread);
        bool const active = process_of(thread).active;
        auto& child = processes_.emplace(made, process{made, 0, false}).first->second;
        child.number = count_++;
        child.active = active;
    }

    void on_clone(pid_t thread) {
        pid_t const made = told(thread);
        pid_t const id = process_id_of(made);
        if (id == made) return on_fork(thread); // a process that clone(2) made
        threads_[made] = id;
    }

    // The first program only. Faults begin when it gets to its entry.
    void on_exec(pid_t thread) {
        process& of = process_of(thread);
        of.active = false;
        undoings_.erase(thread);
        if (thread != first_ || begun_) return;
        begun_ = true;
        std::ifstream vector("/proc/" + std::to_string(thread) + "/auxv", std::ios::binary);
        Elf64_auxv_t entry;
        while (vector.read(reinterpret_cast<char*>(&entry), sizeof entry))
            if (entry.a_type == AT_ENTRY) of.entry = entry.a_un.a_val;
        if (!of.entry) throw std::runtime_error("no entry is known");
        errno = 0;
        of.instead = ptrace(PTRACE_PEEKTEXT, thread, of.entry, nullptr);
        if (errno) give_up("PTRACE_PEEKTEXT");
        if (ptrace(PTRACE_POKETEXT, thread, of.entry, (of.instead & ~0xffL) | 0xcc) != 0) give_up("PTRACE_POKETEXT");
    }

    bool begins(pid_t thread) {
        process& of = process_of(thread);
        user_regs_struct registers;
        if (!of.entry || ptrace(PTRACE_GETREGS, thread, nullptr, &registers) != 0) return false;
        if (registers.rip != of.entry + 1) return false;
        registers.rip = of.entry;
        if (ptrace(PTRACE_POKETEXT, thread, of.entry, of.instead) != 0) give_up("PTRACE_POKETEXT");
        if (ptrace(PTRACE_SETREGS, thread, nullptr, &registers) != 0) give_up("PTRACE_SETREGS");
        of.entry = 0;
        of.active = true;
        return true;
    }

    faults& faults_;
    char const* const preload_; // null: nothing
    pid_t first_ = 0;
    bool begun_ = false;
    int count_ = 0;
    std::map<pid_t, process> processes_;
    std::map<pid_t, pid_t> threads_; // and their processes
    std::map<pid_t, stopped_call::undoing> undoings_;
};

std::uint64_t number(std::string_view text, char const* what) {
    std::uint64_t value = 0;
    auto const [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || rest != text.data() + text.size())
        throw std::invalid_argument(std::string(what) + " '" + std::string(text) + "': want a number");
    return value;
}

std::bitset<kind_count> kinds(std::string_view text) {
    std::bitset<kind_count> wanted;
    while (!text.empty()) {
        auto const name = text.substr(0, text.find(','));
        auto const found = std::ranges::find(kind_names, name);
        if (found == kind_names.end()) throw std::invalid_argument("no kind of fault: " + std::string(name));
        wanted.set(std::size_t(found - kind_names.begin()));
        text.remove_prefix(std::min(text.size(), name.size() + 1));
    }
    return wanted;
}

int main(int count, char** arguments) {
    auto wanted = std::bitset<kind_count>{}.set();
    std::uint64_t one_in = 8;
    char const *report = nullptr, *preload = nullptr;
    bool tells = false;
    int at = 1;
    for (; at < count && std::string_view(arguments[at]).starts_with("--"); ++at) {
        std::string_view const option = arguments[at];
        if (option.starts_with("--kinds="))
            wanted = kinds(option.substr(8));
        else if (option.starts_with("--one-in="))
            one_in = std::max<std::uint64_t>(1, number(option.substr(9), "--one-in"));
        else if (option.starts_with("--report="))
            report = arguments[at] + 9;
        else if (option == "--tell")
            tells = true;
        else if (option.starts_with("--preload="))
            preload = arguments[at] + 10;
        else
            throw std::invalid_argument("no such option: " + std::string(option));
    }
    if (count - at < 2)
        throw std::invalid_argument(
            "usage: faulty [--tell] [--kinds=short,…] [--one-in=N] [--report=FILE] [--preload=LIBRARIES]"
            " SEED program [argument…]");
    auto const seed = number(arguments[at], "the seed");
    faults all(seed, wanted, unsigned(one_in), tells);
    tracer tracing(all, preload);
    int const status = tracing.run(arguments + at + 1);

    std::FILE* const to = report ? std::fopen(report, "w") : stderr;
    if (!to) give_up(report);
    std::fprintf(to, "seed %llu, process %d: %u calls", static_cast<unsigned long long>(seed), int(tracing.first()),
                 all.calls());
    for (unsigned each = 0; each < kind_count; ++each)
        std::fprintf(to, ", %u %s", all.counts()[each], std::string(kind_names[each]).c_str());
    std::fprintf(to, "\n");
    if (report) std::fclose(to);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace
} // namespace faulty

int main(int count, char** arguments) {
    try {
        return faulty::main(count, arguments);
    } catch (std::exception const& error) {
        std::fprintf(stderr, "faulty: %s\n", error.what());
        return faulty::own_trouble;
    }
}
