// Hosts, networks, users and groups, as nsswitch.conf has them looked up: by a worker thread, as names.cpp does.
//
// These are the forms whose result is libc's own memory until the next call. Another fiber's call may come before the
// caller looks at it: so each thread has a result of its own for each function, filled in when the caller goes on.

#include "hub/offload.h"
#include "monkey/bodies.h"
#include "monkey/real.h"

#include <cerrno>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace coir::monkey {
namespace {

template <class Entry>
struct found_entry {
    Entry entry{}; // points into `room`
    std::unique_ptr<char[]> room;
    bool is_there = false;
    int error = 0;
    int resolver_error = 0; // h_errno, if it is to change
};

// What the `_r` form `ask(entry, room, size, found, resolver_error)` finds, which returns an errno.
template <class Entry, class Ask>
found_entry<Entry> ask_with_room(Ask& ask) {
    found_entry<Entry> answer;
    for (std::size_t size = 1024;; size *= 2) { // NSS_BUFLEN_* of glibc's nss/nss.h
        answer.room.reset(new (std::nothrow) char[size]);
        if (!answer.room) {
            answer.error = ENOMEM;
            return answer;
        }
        Entry* found = nullptr;
        answer.error = ask(&answer.entry, answer.room.get(), size, &found, &answer.resolver_error);
        answer.is_there = found != nullptr;
        if (answer.error != ERANGE) return answer;
    }
}

// One result for each function that calls it: each has its own Ask.
template <class Entry, class Ask>
long look_up(Ask ask, char const* what) {
    static thread_local found_entry<Entry> result;
    int const before = errno;
    auto answer = offload_or_leave([ask = std::move(ask)] { return ask_with_room<Entry>(ask); }, what);
    if (!answer) {
        h_errno = NETDB_INTERNAL;
        return -ECANCELED;
    }
    if (answer->resolver_error) h_errno = answer->resolver_error;
    errno = before;
    if (!answer->is_there) return -answer->error;
    result = std::move(*answer);
    return reinterpret_cast<long>(&result.entry);
}

} // namespace

long body::gethostbyname2(char const* name, int family) {
    return look_up<hostent>(
        [name = std::string(name), family](auto* entry, char* room, std::size_t size, auto** found, int* error) {
            return real.gethostbyname2_r(name.c_str(), family, entry, room, size, found, error);
        },
        "gethostbyname");
}

long body::gethostbyaddr(void const* address, socklen_t size, int family) {
    return look_up<hostent>(
        [address = std::string(static_cast<char const*>(address), size),
         family](auto* entry, char* room, std::size_t size, auto** found, int* error) {
            return real.gethostbyaddr_r(address.data(), socklen_t(address.size()), family, entry, room, size, found,
                                        error);
        },
        "gethostbyaddr");
}

long body::getnetbyname(char const* name) {
    return look_up<netent>(
        [name = std::string(name)](auto* entry, char* room, std::size_t size, auto** found, int* error) {
            return real.getnetbyname_r(name.c_str(), entry, room, size, found, error);
        },
        "getnetbyname");
}

long body::getnetbyaddr(uint32_t number, int family) {
    return look_up<netent>(
        [=](auto* entry, char* room, std::size_t size, auto** found, int* error) {
            return real.getnetbyaddr_r(number, family, entry, room, size, found, error);
        },
        "getnetbyaddr");
}

long body::getpwnam(char const* name) {
    return look_up<passwd>(
        [name = std::string(name)](auto* entry, char* room, std::size_t size, auto** found, int*) {
            return real.getpwnam_r(name.c_str(), entry, room, size, found);
        },
        "getpwnam");
}

long body::getpwuid(uid_t user) {
    return look_up<passwd>([=](auto* entry, char* room, std::size_t size, auto** found,
                               int*) { return real.getpwuid_r(user, entry, room, size, found); },
                           "getpwuid");
}

long body::getgrnam(char const* name) {
    return look_up<struct group>(
        [name = std::string(name)](auto* entry, char* room, std::size_t size, auto** found, int*) {
            return real.getgrnam_r(name.c_str(), entry, room, size, found);
        },
        "getgrnam");
}

long body::getgrgid(gid_t group) {
    return look_up<struct group>([=](auto* entry, char* room, std::size_t size, auto** found,
                                     int*) { return real.getgrgid_r(group, entry, room, size, found); },
                                 "getgrgid");
}

long body::getspnam(char const* name) {
    return look_up<spwd>(
        [name = std::string(name)](auto* entry, char* room, std::size_t size, auto** found, int*) {
            return real.getspnam_r(name.c_str(), entry, room, size, found);
        },
        "getspnam");
}

} // namespace coir::monkey
