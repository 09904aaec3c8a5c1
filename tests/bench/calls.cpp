// What a hooked call costs that does not have to wait, beside libc's own: made by a fiber, and by a thread that has
// none in a process that has.

#include "coir.h"
#include "monkey/monkey.h"
#include "sides.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

constexpr std::size_t rounds = 20'000;

template <class Pointer>
struct call {
    char const* name;
    Pointer hooked;

    Pointer libcs() const {
        void* const found = coir::monkey::get_original(name);
        if (!found || found == reinterpret_cast<void*>(hooked)) {
            std::fprintf(stderr, "bench-calls: %s is not hooked: the shim is not under this program\n", name);
            std::exit(2);
        }
        return reinterpret_cast<Pointer>(found);
    }
};

#pragma GCC diagnostic ignored "-Wignored-attributes" // of the declarations: a call through a pointer has none
#define CALL(name)                                                                                                     \
    call<decltype(&::name)> { #name, &::name }

// A row: `round(functions...)` makes each of the calls once.
template <class Round, class... Pointer>
void compare_calls(char const* what, Round round, call<Pointer>... calls) {
    auto const cost = [round](auto*... functions) {
        return bench::cost_of_each(rounds * sizeof...(functions), [&] {
            for (std::size_t i = 0; i < rounds; ++i) round(functions...);
        });
    };
    bench::compare(what,
                   {{"libc", [=] { return cost(calls.libcs()...); }},
                    {"coir", [=] { return cost(calls.hooked...); }},
                    {"on a thread without", [=] { return coir::offload([&] { return cost(calls.hooked...); }); }}},
                   {{1, "libc", 5}});
}

template <class T>
T checked(T result, char const* what) {
    if (result < 0) {
        std::perror(what);
        std::exit(2);
    }
    return result;
}

} // namespace

int main() {
    coir::yield(); // from here on the main thread's own context is a fiber
    char byte = 'x', page[4096] = {};

    int pipes[2], sockets[2];
    checked(pipe(pipes), "pipe");
    checked(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), "socketpair");
    compare_calls(
        "write and read of one byte, pipe",
        [&](auto put, auto get) {
            put(pipes[1], &byte, 1);
            get(pipes[0], &byte, 1);
        },
        CALL(write), CALL(read));
    compare_calls(
        "write and read of one byte, socket",
        [&](auto put, auto get) {
            put(sockets[1], &byte, 1);
            get(sockets[0], &byte, 1);
        },
        CALL(write), CALL(read));
    compare_calls(
        "send and recv of one byte",
        [&](auto put, auto get) {
            put(sockets[1], &byte, 1, 0);
            get(sockets[0], &byte, 1, 0);
        },
        CALL(send), CALL(recv));

    pollfd writable{sockets[1], POLLOUT, 0};
    compare_calls(
        "poll of a ready socket", [&](auto ask) { ask(&writable, 1, -1); }, CALL(poll));
    int const set = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    epoll_event event{};
    event.events = EPOLLOUT;
    checked(epoll_ctl(set, EPOLL_CTL_ADD, sockets[1], &event), "epoll_ctl");
    compare_calls(
        "epoll_wait with a ready socket", [&](auto ask) { ask(set, &event, 1, -1); }, CALL(epoll_wait));

    FILE* const file = tmpfile();
    if (!file || fwrite(page, sizeof page, 1, file) != 1 || fflush(file) != 0) checked(-1, "tmpfile");
    int const fd = fileno(file);
    compare_calls(
        "pread of a cached page", [&](auto get) { get(fd, page, sizeof page, 0); }, CALL(pread));
    compare_calls(
        "pwrite of a page", [&](auto put) { put(fd, page, sizeof page, 0); }, CALL(pwrite));
    struct stat about;
    compare_calls(
        "fstat", [&](auto ask) { ask(fd, &about); }, CALL(fstat));
    compare_calls(
        "stat of a cached path", [&](auto ask) { ask("/etc/passwd", &about); }, CALL(stat));
    compare_calls(
        "open of a cached path, and close",
        [&](auto open_it, auto close_it) { close_it(open_it("/etc/passwd", O_RDONLY)); }, CALL(open), CALL(close));

    FILE* const null = fopen("/dev/null", "r+");
    if (!null) checked(-1, "/dev/null");
    compare_calls(
        "fputc", [&](auto put) { put('x', null); }, CALL(fputc));
    compare_calls(
        "fwrite of 16 bytes", [&](auto put) { put(page, 1, 16, null); }, CALL(fwrite));
    compare_calls(
        "fprintf of a number", [&](auto print) { print(null, "%d\n", 12345); }, CALL(fprintf));
    FILE* const zeros = fopen("/dev/zero", "r");
    if (!zeros) checked(-1, "/dev/zero");
    compare_calls(
        "fgetc", [&](auto get) { get(zeros); }, CALL(fgetc));
    compare_calls(
        "fread of 16 bytes", [&](auto get) { (void)get(page, 1, 16, zeros); }, CALL(fread));

    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    compare_calls(
        "pthread_mutex_lock and unlock",
        [&](auto lock, auto unlock) {
            lock(&mutex);
            unlock(&mutex);
        },
        CALL(pthread_mutex_lock), CALL(pthread_mutex_unlock));
    pthread_rwlock_t both = PTHREAD_RWLOCK_INITIALIZER;
    compare_calls(
        "pthread_rwlock_rdlock and unlock",
        [&](auto lock, auto unlock) {
            lock(&both);
            unlock(&both);
        },
        CALL(pthread_rwlock_rdlock), CALL(pthread_rwlock_unlock));
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    compare_calls(
        "sem_post and sem_wait",
        [&](auto post, auto wait) {
            post(&semaphore);
            wait(&semaphore);
        },
        CALL(sem_post), CALL(sem_wait));
}
