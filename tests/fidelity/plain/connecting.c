/* waits: accept accept4 connect */
/* How connections come about, and how they do not. */
#include "plain.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/un.h>

static struct sockaddr_in address;
static struct sockaddr_un named;
static char buffer[16];

static void bound(int fd) {
    socklen_t length = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(bind(fd, (struct sockaddr*)&address, sizeof address));
    MUST(getsockname(fd, (struct sockaddr*)&address, &length));
}

static void connects_late(void) {
    for (int i = 0; i < 3; ++i) {
        until_parent_waits();
        int const fd = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(connect(fd, (struct sockaddr*)&address, sizeof address));
        write_all(fd, "hello", 5);
        read_all(fd, buffer, 1);
        close(fd);
    }
}

static void accepting(void) {
    int const listener = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    FAILS(EINVAL, accept(listener, NULL, NULL));
    bound(listener);
    TELL(listen(listener, 4));
    pid_t const other = child(connects_late);
    for (int i = 0; i < 3; ++i) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        int const fd = (int)MUST(i == 1 ? accept4(listener, (struct sockaddr*)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK)
                                        : accept(listener, (struct sockaddr*)&peer, &length));
        printf("from %s, %u bytes, cloexec %d, nonblocking %d\n", inet_ntoa(peer.sin_addr), (unsigned)length,
               fcntl(fd, F_GETFD), (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        if (i == 1) fcntl(fd, F_SETFL, 0);
        show("read", buffer, PIECES(5, read(fd, buffer + done, 5 - done)));
        write_all(fd, "x", 1);
        TELL(read(fd, buffer, 1));
        close(fd);
    }
    ended(other);
    int const second = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    FAILS(EADDRINUSE, bind(second, (struct sockaddr*)&address, sizeof address));
    close(second);
    struct timeval const soon = {0, 20000};
    TELL(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
    FAILS(EAGAIN, accept(listener, NULL, NULL));
    TELL(fcntl(listener, F_SETFL, O_NONBLOCK));
    FAILS(EAGAIN, accept(listener, NULL, NULL));
    close(listener);
    FAILS(EBADF, accept(listener, NULL, NULL));
}

static void refusing(void) {
    int const listener = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    bound(listener);
    int const fd = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    FAILS(ECONNREFUSED, connect(fd, (struct sockaddr*)&address, sizeof address));
    FAILS(ENOTCONN, recv(fd, buffer, 1, 0));
    FAILS(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
    TELL(listen(listener, 4));
    TELL(connect(fd, (struct sockaddr*)&address, sizeof address));
    FAILS(EISCONN, connect(fd, (struct sockaddr*)&address, sizeof address));
    FAILS(EINVAL, accept(fd, NULL, NULL));
    FAILS(EAFNOSUPPORT, connect(fd, (struct sockaddr*)&named, sizeof named));
    close(fd);
    close(listener);
    FAILS(ENOTSOCK, connect(1, (struct sockaddr*)&address, sizeof address));
    FAILS(EBADF, connect(-1, (struct sockaddr*)&address, sizeof address));
    int const other = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    FAILS(EINVAL, connect(other, (struct sockaddr*)&address, 1));
    FAILS(EFAULT, connect(other, (struct sockaddr*)1, sizeof address));
    close(other);
}

static void in_the_background(void) {
    int const listener = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    bound(listener);
    MUST(listen(listener, 1));
    int const fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    FAILS(EINPROGRESS, connect(fd, (struct sockaddr*)&address, sizeof address));
    struct pollfd one = {fd, POLLOUT, 0};
    TELL(poll(&one, 1, -1));
    int error = -1;
    socklen_t length = sizeof error;
    TELL(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
    printf("error %d\n", error);
    close(fd);
    close(listener);
}

static void waits_for_its_turn(void) {
    for (int i = 0; i < 4; ++i) {
        int const fd = (int)MUST(socket(AF_UNIX, SOCK_STREAM, 0));
        MUST(connect(fd, (struct sockaddr*)&named, sizeof named)); /* waits: the queue is full */
        write_all(fd, &"abcd"[i], 1);
        close(fd);
    }
}

static void a_full_queue(void) {
    int const listener = (int)MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    named.sun_family = AF_UNIX;
    strcpy(named.sun_path, "queue");
    int const early = (int)MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    FAILS(ENOENT, connect(early, (struct sockaddr*)&named, sizeof named));
    TELL(bind(listener, (struct sockaddr*)&named, sizeof named));
    FAILS(ECONNREFUSED, connect(early, (struct sockaddr*)&named, sizeof named));
    close(early);
    TELL(listen(listener, 0));
    pid_t const other = child(waits_for_its_turn);
    for (int i = 0; i < 4; ++i) {
        a_while();
        int const fd = (int)MUST(accept(listener, NULL, NULL));
        show("read", buffer, PIECES(1, read(fd, buffer, 1)));
        close(fd);
    }
    ended(other);

    int const fits = (int)MUST(socket(AF_UNIX, SOCK_STREAM, 0)), waits = (int)MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    struct timeval const soon = {0, 20000};
    TELL(connect(fits, (struct sockaddr*)&named, sizeof named));
    TELL(setsockopt(waits, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon));
    FAILS(EAGAIN, connect(waits, (struct sockaddr*)&named, sizeof named));
    close(fits);
    close(waits);
    close(listener);
    unlink("queue");
}

int main(void) {
    accepting();
    refusing();
    in_the_background();
    a_full_queue();
    return finish();
}
