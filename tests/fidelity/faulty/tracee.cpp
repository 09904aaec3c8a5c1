#include "tests/fidelity/faulty/tracee.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>

namespace faulty {
namespace {

void check(long result, char const* what) {
    if (result == -1) throw std::system_error(errno, std::generic_category(), what);
}

unsigned long long& place_of(user_regs_struct& registers, int which) noexcept {
    switch (which) {
    case 0: return registers.rdi;
    case 1: return registers.rsi;
    case 2: return registers.rdx;
    case 3: return registers.r10;
    case 4: return registers.r8;
    default: return registers.r9;
    }
}

bool move(pid_t process, bool out, void* here, unsigned long long address, std::size_t size) noexcept {
    iovec const own{here, size}, theirs{reinterpret_cast<void*>(address), size};
    ssize_t const moved =
        out ? process_vm_writev(process, &own, 1, &theirs, 1, 0) : process_vm_readv(process, &own, 1, &theirs, 1, 0);
    return moved == ssize_t(size);
}

std::string path_of(int fd) {
    std::array<char, 4096> path;
    ssize_t const size = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
    return {path.data(), size > 0 ? std::size_t(size) : 0};
}

file_kind kind_of(int fd) {
    struct stat about;
    if (fstat(fd, &about) != 0) return file_kind::none;
    int type = 0;
    socklen_t size = sizeof type;
    switch (about.st_mode & S_IFMT) {
    case S_IFIFO: return file_kind::pipe;
    case S_IFREG: return is_of_the_system(path_of(fd)) ? file_kind::other : file_kind::file;
    case S_IFCHR: return isatty(fd) ? file_kind::terminal : file_kind::other;
    case S_IFSOCK:
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
        return type == SOCK_STREAM ? file_kind::stream : file_kind::packets;
    default: return file_kind::other;
    }
}

} // namespace

bool is_of_the_system(std::string_view path) noexcept {
    for (char const* each : {"/usr/", "/lib", "/etc/", "/proc/", "/sys/", "/dev/", "/run/", "/var/"})
        if (path.starts_with(each)) return true;
    return path.find(".so") != path.npos;
}

stopped_call::stopped_call(pid_t thread, process& of) : thread_(thread), of_(of) {
    check(ptrace(PTRACE_GETREGS, thread, nullptr, &registers_), "PTRACE_GETREGS");
}

unsigned long long stopped_call::argument(int which) const noexcept {
    return place_of(const_cast<user_regs_struct&>(registers_), which);
}

bool stopped_call::copy_from(void* to, unsigned long long address, std::size_t size) const {
    return address && move(of_.id, false, to, address, size);
}

bool stopped_call::store(unsigned long long address, void const* from, std::size_t size) const {
    return move(of_.id, true, const_cast<void*>(from), address, size);
}

std::string stopped_call::text(unsigned long long address) const {
    std::string all;
    while (all.size() < 4096) {
        auto const next = load<char>(address + all.size());
        if (!next || !*next) break;
        all += *next;
    }
    return all;
}

int stopped_call::take(int fd) const {
    if (of_.descriptor < 0) of_.descriptor = int(syscall(SYS_pidfd_open, of_.id, 0));
    return int(syscall(SYS_pidfd_getfd, of_.descriptor, fd, 0));
}

file_about stopped_call::file(int fd) const {
    int const own = take(fd);
    if (own < 0) return {};
    int const flags = fcntl(own, F_GETFL), access = flags & O_ACCMODE;
    file_about about{
        kind_of(own), (flags & O_NONBLOCK) != 0, access != O_WRONLY, access != O_RDONLY, (flags & O_APPEND) != 0, 0,
        false};
    pollfd one{own, POLLIN | POLLOUT, 0};
    poll(&one, 1, 0);
    about.ready = one.revents;
    sockaddr_storage peer;
    socklen_t size = sizeof peer;
    about.connected =
        about.kind == file_kind::stream && getpeername(own, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
    close(own);
    return about;
}

void stopped_call::break_connection(int fd) const {
    int const own = take(fd);
    if (own < 0) return;
    shutdown(own, SHUT_RDWR);
    close(own);
}

void stopped_call::fail_with(int error) {
    registers_.orig_rax = static_cast<unsigned long long>(-1); // no call
    registers_.rax = static_cast<unsigned long long>(-error);
    check(ptrace(PTRACE_SETREGS, thread_, nullptr, &registers_), "PTRACE_SETREGS");
}

void stopped_call::change_argument(int which, unsigned long long to) {
    auto& place = place_of(registers_, which);
    undo_ = undoing{which, place, 0, 0};
    place = to;
    check(ptrace(PTRACE_SETREGS, thread_, nullptr, &registers_), "PTRACE_SETREGS");
}

bool stopped_call::change_memory(unsigned long long address, std::uint64_t to) {
    auto const held = load<std::uint64_t>(address);
    if (!held || !store(address, &to, sizeof to)) return false; // it may be constant
    undo_ = undoing{-1, 0, address, *held};
    return true;
}

void undo(pid_t thread, process& of, stopped_call::undoing const& what) {
    if (what.address) {
        std::uint64_t held = what.held;
        move(of.id, true, &held, what.address, sizeof held);
    }
    if (what.argument < 0) return;
    user_regs_struct registers;
    check(ptrace(PTRACE_GETREGS, thread, nullptr, &registers), "PTRACE_GETREGS");
    place_of(registers, what.argument) = what.was;
    check(ptrace(PTRACE_SETREGS, thread, nullptr, &registers), "PTRACE_SETREGS");
}

} // namespace faulty
