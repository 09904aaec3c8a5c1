// Questions to name servers, asked by libc's own code on a worker thread.
//
// A state of the resolver is one thread's, and must not be used by two calls at once: the worker has one of its own,
// made from resolv.conf as ever, to which it copies what the program may have set in its own. A connection that
// RES_STAYOPEN would keep is not kept. A fiber that is killed meanwhile leaves, with errno ECANCELED.

#include "hub/offload.h"
#include "monkey/bodies.h"
#include "monkey/lasting.h"
#include "monkey/lookup.h"
#include "monkey/real.h"
#include "monkey/times.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace coir::monkey {
namespace {

// What resolver(3) lets a program set. glibc keeps more behind it, which it drops where this differs from resolv.conf
// (resolv/resolv_conf.c, resolv_conf_matches).
void copy_settings(struct __res_state const& from, struct __res_state& to) noexcept {
    to.retrans = from.retrans;
    to.retry = from.retry;
    to.options = from.options & ~unsigned{RES_STAYOPEN};
    to.nscount = from.nscount;
    std::copy(std::begin(from.nsaddr_list), std::end(from.nsaddr_list), to.nsaddr_list);
    std::memcpy(to.defdname, from.defdname, sizeof to.defdname);
    for (std::size_t i = 0; i < std::size(to.dnsrch); ++i) {
        char* const domain = from.dnsrch[i];
        bool const is_inside = domain >= from.defdname && domain < std::end(from.defdname);
        to.dnsrch[i] = is_inside ? to.defdname + (domain - from.defdname) : domain;
    }
    to.pfcode = from.pfcode;
    to.ndots = from.ndots;
    to.nsort = from.nsort;
    std::copy(std::begin(from.sort_list), std::end(from.sort_list), to.sort_list);
}

struct reply {
    int size = -1;
    int error = ENOMEM;
    int resolver_error = NETDB_INTERNAL;
    std::unique_ptr<unsigned char[]> bytes;
};

template <class Ask>
reply ask_with_settings(struct __res_state const& settings, int room, Ask& ask) {
    reply got;
    got.bytes.reset(new (std::nothrow) unsigned char[std::size_t(room)]);
    if (!got.bytes) return got;
    struct __res_state own {};
    if (res_ninit(&own) == 0) {
        copy_settings(settings, own);
        got.size = ask(&own, got.bytes.get(), room);
        got.resolver_error = own.res_h_errno;
    }
    got.error = errno;
    res_nclose(&own);
    return got;
}

// `ask(state, answer, room)` on a worker.
template <class Ask>
long ask_a_server(res_state state, unsigned char* answer, int room, Ask ask, char const* what) {
    if (room < 0 || !(state->options & RES_INIT)) return ask(state, answer, room); // which says what is wrong
    auto const got = offload_or_leave([settings = std::make_unique<struct __res_state>(*state), room,
                                       ask = std::move(ask)] { return ask_with_settings(*settings, room, ask); },
                                      what);
    errno = got ? got->error : ECANCELED;
    h_errno = state->res_h_errno = got ? got->resolver_error : NETDB_INTERNAL;
    if (!got || got->size < 0) return -1;
    std::memcpy(answer, got->bytes.get(), std::size_t(std::min(got->size, room))); // the size may be of more
    return got->size;
}

} // namespace

// Looking up an address begins, as every call of the resolver does, with seeing whether resolv.conf has changed
// (nss/getXXbyYY_r.c), and asks nobody.
res_state own_resolver() {
    hostent entry;
    char room[256];
    hostent* found;
    int error, before = errno;
    real.gethostbyname2_r("0.0.0.0", AF_INET, &entry, room, sizeof room, &found, &error);
    errno = before;
    return &_res;
}

long body::res_nquery(res_state state, char const* name, int type_class, int type, unsigned char* answer, int room) {
    return ask_a_server(
        state, answer, room,
        [name = std::string(name), type_class, type](res_state with, unsigned char* to, int size) {
            return real.res_nquery(with, name.c_str(), type_class, type, to, size);
        },
        "res_query");
}

long body::res_nsearch(res_state state, char const* name, int type_class, int type, unsigned char* answer, int room) {
    return ask_a_server(
        state, answer, room,
        [name = std::string(name), type_class, type](res_state with, unsigned char* to, int size) {
            return real.res_nsearch(with, name.c_str(), type_class, type, to, size);
        },
        "res_search");
}

long body::res_nquerydomain(res_state state, char const* name, char const* domain, int type_class, int type,
                            unsigned char* answer, int room) {
    return ask_a_server(
        state, answer, room,
        [name = std::string(name), domain = domain ? std::optional<std::string>(domain) : std::nullopt, type_class,
         type](res_state with, unsigned char* to, int size) {
            return real.res_nquerydomain(with, name.c_str(), domain ? domain->c_str() : nullptr, type_class, type, to,
                                         size);
        },
        "res_querydomain");
}

long body::res_nsend(res_state state, unsigned char const* question, int length, unsigned char* answer, int room) {
    return ask_a_server(
        state, answer, room,
        [question = std::string(reinterpret_cast<char const*>(question), std::size_t(std::max(length, 0)))](
            res_state with, unsigned char* to, int size) {
            return real.res_nsend(with, reinterpret_cast<unsigned char const*>(question.data()), int(question.size()),
                                  to, size);
        },
        "res_send");
}

// Whoever waits for each of them by gai_error() may come before libc is done with it: with GAI_WAIT libc itself waits.
long body::getaddrinfo_a(int mode, gaicb** list, int count, sigevent* told) {
    auto const libcs = [&] { return real.getaddrinfo_a(mode, list, count, told); };
    return mode == GAI_WAIT ? by_worker(libcs, "getaddrinfo_a") : libcs();
}

// Its errors are negative as the kernel's are, and others: they are turned round on the way. Where the time is over
// glibc means to say EAI_AGAIN, and says EAI_SYSTEM (2.36, resolv/gai_suspend.c): either is passed on.
long body::gai_suspend(gaicb const* const* list, int count, timespec const* limit) {
    if (limit && !valid(*limit)) return real.gai_suspend(list, count, limit);
    timespec const at_once{};
    deadline const until = limit ? deadline_after(*limit) : deadline::never();
    long const now = real.gai_suspend(list, count, &at_once);
    if ((now != EAI_AGAIN && now != EAI_SYSTEM) || over(until)) return now;
    long const then = lasting(
        [&]() -> long {
            timespec const left = left_until(until);
            int const result = real.gai_suspend(list, count, limit ? &left : nullptr);
            return result == EAI_INTR ? -EINTR : -result;
        },
        "gai_suspend", limit ? handlers::any : handlers::without_restart);
    if (then >= 0) return -then;
    errno = int(-then);
    return then == -EINTR ? EAI_INTR : EAI_SYSTEM;
}

} // namespace coir::monkey
