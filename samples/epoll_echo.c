/* Sends back what it receives, to many clients on one thread: epoll(7), level-triggered, and sockets that do not block.
 * It knows nothing of coir.
 *
 *     epoll_echo [--port N]
 *     LD_PRELOAD=libcoir-monkey.so epoll_echo [--port N]
 *
 * Under the shim it does the same. Where a library has spawned fibers on its thread, they run while it waits in
 * epoll_wait.
 */
#include "listening.h"

#include <sys/epoll.h>
#include <sys/resource.h>

enum { room = 16 * 1024 }; /* bytes */

/* Who is connected is read from while nothing of his waits to be sent back, and is sent to otherwise. So one who does
 * not read is not read from any more, and disturbs nobody. */
struct client {
    int fd;
    uint32_t events;  /* that the set has for it */
    size_t sent, got; /* of data; what lies between them waits */
    char data[room];
};

static int set;
static struct client listening, ending; /* in the set, too */

/* 0, or -1 with errno. */
static int watch(int operation, struct client* about, uint32_t events) {
    struct epoll_event wanted = {.events = events, .data.ptr = about};
    about->events = events;
    return epoll_ctl(set, operation, about->fd, &wanted);
}

static void wait_for(struct client* about, uint32_t events) {
    if (about->events != events && watch(EPOLL_CTL_MOD, about, events) != 0) fail("epoll_ctl");
}

/* Whether there is still somebody. */
static int send_back(struct client* to) {
    ssize_t const count = send(to->fd, to->data + to->sent, to->got - to->sent, MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return 0;
    if (count > 0) to->sent += (size_t)count;
    wait_for(to, to->sent < to->got ? EPOLLOUT : EPOLLIN);
    return 1;
}

/* The same. */
static int receive(struct client* from) {
    ssize_t const count = recv(from->fd, from->data, room, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return 0;
    from->sent = 0;
    from->got = (size_t)count;
    return send_back(from);
}

static void hang_up(struct client* one) {
    close(one->fd); /* which takes it out of the set */
    free(one);
    wait_for(&listening, EPOLLIN);
}

static void welcome(int fd) {
    struct client* const fresh = malloc(sizeof *fresh);
    if (fresh) {
        fresh->fd = fd;
        fresh->sent = fresh->got = 0;
        if (watch(EPOLL_CTL_ADD, fresh, EPOLLIN) == 0) return;
    }
    fprintf(stderr, "epoll_echo: a client is sent away: %s\n",
            strerror(errno)); /* memory, or fs.epoll.max_user_watches */
    close(fd);
    free(fresh);
}

static void serve(void) {
    struct epoll_event events[64];
    for (;;) {
        /* Short of descriptors nobody is accepted until a client has gone, or a moment passed. */
        int const count = epoll_wait(set, events, 64, listening.events ? -1 : 100);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        if (count == 0) wait_for(&listening, EPOLLIN);
        for (int i = 0; i < count; ++i) {
            struct client* const one = events[i].data.ptr;
            if (one == &ending) return;
            if (one == &listening) {
                int const fd = accept4(listening.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd >= 0)
                    welcome(fd);
                else if (is_shortage(errno))
                    wait_for(&listening, 0);
            } else if (one->sent < one->got ? !send_back(one) : !receive(one)) {
                hang_up(one);
            }
        }
    }
}

/* Shells start programs with 1024; the hard limit needs no privilege. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit");
}

int main(int argc, char** argv) {
    int const port = port_of(argc, argv, "Sends back what it receives: many clients, one thread, epoll.", 7009);
    raise_descriptor_limit();
    set = epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) fail("epoll_create1");
    ending.fd = ending_signals();
    listening.fd = listen_on(port, SOCK_NONBLOCK);
    if (watch(EPOLL_CTL_ADD, &ending, EPOLLIN) != 0 || watch(EPOLL_CTL_ADD, &listening, EPOLLIN) != 0)
        fail("epoll_ctl");
    serve();
    return 0;
}
