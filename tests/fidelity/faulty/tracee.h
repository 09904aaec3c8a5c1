// What is stopped before a system call: its registers, its memory and its descriptors, by ptrace(2),
// process_vm_readv(2) and pidfd_getfd(2). x86-64. The one thread that traces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <sys/user.h>
#include <utility>
#include <vector>

namespace faulty {

enum class file_kind {
    none,
    stream, ///< a socket whose messages have no bounds
    packets,
    pipe, ///< also a FIFO
    file, ///< regular, and not of the system's
    terminal,
    other,
};

/// A library, or what lies where the system keeps its own.
bool is_of_the_system(std::string_view path) noexcept;

struct file_about {
    file_kind kind = file_kind::none;
    bool nonblocking = false;
    bool reads = false, writes = false; ///< what it was opened for
    bool appends = false;
    short ready = 0;        ///< what poll says of it
    bool connected = false; ///< a stream
};

struct process {
    pid_t id;
    int number;                                         ///< in the order of their coming: what random numbers depend on
    bool active;                                        ///< it runs the program, and that has begun
    int descriptor = -1;                                ///< its pidfd
    std::uint64_t entry = 0;                            ///< where the program begins, while a trap lies there
    long instead = 0;                                   ///< what lay there
    std::vector<std::pair<long, unsigned>> how_often{}; ///< each call was made
};

/// One thread, stopped before a system call.
class stopped_call {
public:
    stopped_call(pid_t thread, process& of);

    long number() const noexcept { return long(registers_.orig_rax); }
    /// The argument, counted from 0.
    unsigned long long argument(int which) const noexcept;
    process& of() const noexcept { return of_; }

    /// What lies in its memory; nothing if there is none.
    template <class T>
    std::optional<T> load(unsigned long long address) const {
        T value;
        if (!copy_from(&value, address, sizeof value)) return {};
        return value;
    }
    bool store(unsigned long long address, void const* from, std::size_t size) const;
    std::string text(unsigned long long address) const;

    /// What its descriptor is.
    file_about file(int fd) const;
    /// Ends both directions of the socket, as a reset does.
    void break_connection(int fd) const;

    /// The call is not made, and fails.
    void fail_with(int error);
    /// The call is made with another argument, or with other memory; both are put back when it has returned.
    void change_argument(int which, unsigned long long to);
    bool change_memory(unsigned long long address, std::uint64_t to);

    struct undoing {
        int argument = -1;
        unsigned long long was = 0;
        unsigned long long address = 0;
        std::uint64_t held = 0;
    };
    /// For when it has returned.
    std::optional<undoing> const& to_undo() const noexcept { return undo_; }

private:
    bool copy_from(void* to, unsigned long long address, std::size_t size) const;
    int take(int fd) const;

    pid_t thread_;
    process& of_;
    user_regs_struct registers_;
    std::optional<undoing> undo_;
};

/// Of a thread that is stopped behind the call.
void undo(pid_t thread, process& of, stopped_call::undoing const& what);

} // namespace faulty
