/* Sends back what it receives, to many clients on one thread: select(2), as in any textbook. It knows nothing of coir.
 *
 *     select_echo [--port N]
 *     LD_PRELOAD=libcoir-monkey.so select_echo [--port N]
 *
 * Under the shim it does the same. Where a library has spawned fibers on its thread, they run while it waits in select.
 */
#include "listening.h"

#include <sys/select.h>

enum { room = 16 * 1024 }; /* bytes */

/* Who is connected is read from while nothing of his waits to be sent back, and is sent to otherwise. So one who does
 * not read is not read from any more, and disturbs nobody. */
static struct client {
    int is_connected;
    size_t sent, got; /* of data; what lies between them waits */
    char data[room];
} clients[FD_SETSIZE]; /* by descriptor */

/* Whether there is still somebody. The sockets may block: of all calls only this one would, until the last byte had
 * gone. */
static int send_back(int fd) {
    struct client* const to = &clients[fd];
    ssize_t const count = send(fd, to->data + to->sent, to->got - to->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    to->sent += (size_t)count;
    return 1;
}

/* The same. select has said that there is something, or the end. */
static int receive(int fd) {
    struct client* const from = &clients[fd];
    ssize_t const count = recv(fd, from->data, room, 0);
    if (count < 0 && errno == EINTR) return 1;
    if (count <= 0) return 0;
    from->sent = 0;
    from->got = (size_t)count;
    return send_back(fd);
}

static void hang_up(int fd) {
    clients[fd].is_connected = 0;
    close(fd);
}

/* A descriptor from FD_SETSIZE on has no place in an fd_set, whatever ulimit -n is. */
static void welcome(int fd) {
    static int said;
    if (fd < FD_SETSIZE) {
        clients[fd].is_connected = 1;
        clients[fd].sent = clients[fd].got = 0;
        return;
    }
    close(fd);
    if (!said++)
        fprintf(stderr, "select_echo: select knows no descriptors above %d; serving on, new clients are sent away\n",
                FD_SETSIZE - 1);
}

static void serve(int listener, int signals) {
    int is_short = 0; /* of descriptors: nobody is accepted until a client has gone, or a moment passed */
    for (;;) {
        fd_set readable, writable;
        FD_ZERO(&readable);
        FD_ZERO(&writable);
        FD_SET(signals, &readable);
        if (!is_short) FD_SET(listener, &readable);
        int highest = listener > signals ? listener : signals;
        for (int fd = 0; fd < FD_SETSIZE; ++fd) {
            if (!clients[fd].is_connected) continue;
            FD_SET(fd, clients[fd].sent < clients[fd].got ? &writable : &readable);
            if (fd > highest) highest = fd;
        }
        struct timeval moment = {0, 100000};
        int const count = select(highest + 1, &readable, &writable, NULL, is_short ? &moment : NULL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("select");
        if (count == 0) is_short = 0;
        if (FD_ISSET(signals, &readable)) return;
        for (int fd = 0; fd <= highest; ++fd) {
            if (!clients[fd].is_connected) continue;
            if ((FD_ISSET(fd, &readable) && !receive(fd)) || (FD_ISSET(fd, &writable) && !send_back(fd))) {
                hang_up(fd);
                is_short = 0;
            }
        }
        if (FD_ISSET(listener, &readable)) {
            int const fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                welcome(fd);
            else
                is_short = is_shortage(errno);
        }
    }
}

int main(int argc, char** argv) {
    int const port = port_of(argc, argv, "Sends back what it receives: many clients, one thread, select.", 7008);
    int const signals = ending_signals();
    int const listener = listen_on(port, 0);
    if (listener >= FD_SETSIZE) {
        errno = EMFILE;
        fail("too many descriptors are open already");
    }
    serve(listener, signals);
    return 0;
}
