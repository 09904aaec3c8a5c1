/* waits: accept read readv recv recvmsg send write */
/* Stream sockets: TCP and socketpairs, every call that moves bytes, timeouts, and how a conversation ends. */
#include "plain.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static int ends[2];
static char buffer[64];
enum { large = 700000 };

static void pair(void) { MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends)); }
static void close_pair(void) {
    close(ends[0]);
    close(ends[1]);
}

static void sends_pieces(void) {
    close(ends[0]);
    until_parent_waits();
    write_all(ends[1], "one", 3);
    until_parent_waits();
    write_all(ends[1], "two", 3);
    until_parent_waits();
    write_all(ends[1], "three", 5);
}

static void echoes(void) {
    close(ends[0]);
    char got[100];
    ssize_t count;
    while ((count = AGAIN(read(ends[1], got, sizeof got))) > 0) {
        until_parent_waits();
        write_all(ends[1], got, (size_t)count);
    }
    unless_hard(count, "read");
}

static void simple(void) {
    pair();
    pid_t const other = child(sends_pieces);
    close(ends[1]);
    show("read", buffer, PIECES(3, read(ends[0], buffer + done, sizeof buffer - done)));
    show("recv", buffer, PIECES(3, recv(ends[0], buffer + done, 3 - done, 0)));
    PIECES(1, recv(ends[0], buffer, 1, MSG_PEEK));
    show("recv", buffer, PIECES(5, recv(ends[0], buffer + done, 5 - done, MSG_WAITALL)));
    TELL(read(ends[0], buffer, sizeof buffer));
    ended(other);
    close(ends[0]);
}

static void wait_all(void) {
    pair();
    pid_t const other = child(sends_pieces);
    close(ends[1]);
    show("waitall", buffer, PIECES(11, recv(ends[0], buffer + done, 11 - done, MSG_WAITALL)));
    TELL(recv(ends[0], buffer, 11, MSG_WAITALL));
    ended(other);
    close(ends[0]);

    pair();
    pid_t const shorter = child(sends_pieces);
    close(ends[1]);
    show("the end comes first", buffer, PIECES(40, recv(ends[0], buffer + done, 40 - done, MSG_WAITALL)));
    ended(shorter);
    close(ends[0]);
}

/* Behind the first `done` bytes. */
static int rest_of(struct iovec* to, struct iovec const* from, int count, long done) {
    int kept = 0;
    for (int i = 0; i < count; ++i) {
        if (done >= (long)from[i].iov_len) {
            done -= (long)from[i].iov_len;
            continue;
        }
        to[kept].iov_base = (char*)from[i].iov_base + done;
        to[kept++].iov_len = from[i].iov_len - (size_t)done;
        done = 0;
    }
    return kept;
}

static void vectors(void) {
    pair();
    pid_t const other = child(echoes);
    close(ends[1]);
    char first[4], second[5], third[6];
    struct iovec const out[] = {{"abcd", 4}, {"", 0}, {"efghi", 5}, {"jklmno", 6}}, in[] = {{first, 4}, {second, 5}, {third, 6}};
    struct iovec rest[4];
    PIECES(15, writev(ends[0], rest, rest_of(rest, out, 4, done)));
    PIECES(15, readv(ends[0], rest, rest_of(rest, in, 3, done)));
    show("first", first, 4);
    show("second", second, 5);
    show("third", third, 6);
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = rest;
    PIECES(15, (message.msg_iovlen = (size_t)rest_of(rest, out, 4, done), sendmsg(ends[0], &message, MSG_NOSIGNAL)));
    memset(third, '-', sizeof third);
    PIECES(15, (message.msg_iovlen = (size_t)rest_of(rest, in, 3, done), recvmsg(ends[0], &message, MSG_WAITALL)));
    show("third", third, 6);
    printf("flags %#x\n", (unsigned)message.msg_flags);
    PIECES(4, send(ends[0], "send" + done, 4 - done, 0));
    show("read", buffer, PIECES(4, read(ends[0], buffer + done, sizeof buffer - done)));
    TELL(shutdown(ends[0], SHUT_WR));
    TELL(read(ends[0], buffer, sizeof buffer));
    ended(other);
    close(ends[0]);
}

static void several_messages(void) {
    pair();
    pid_t const other = child(echoes);
    close(ends[1]);
    struct iovec parts[3] = {{"mess", 4}, {"age by", 6}, {" message", 8}};
    struct mmsghdr messages[3];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < 3; ++i) {
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    if (IS_CAREFUL) /* a piece of one would be lost among the others */
        write_all(ends[0], "message by message", 18), printf("sendmmsg(ends[0], messages, 3, 0) = 3\n");
    else
        TELL(sendmmsg(ends[0], messages, 3, 0));
    char whole[19] = "";
    printf("echoed %zu\n", read_all(ends[0], whole, 18));
    show("whole", whole, 18);
    shutdown(ends[0], SHUT_WR);
    ended(other);
    close(ends[0]);
}

static void reads_slowly(void) {
    close(ends[0]);
    until_parent_waits();
    tell_bytes(ends[1], large);
    write_all(ends[1], "got it", 6);
}

static void much(void) {
    char* data = malloc(large);
    if (!data) give_up("malloc");
    fill_pattern(data, large, 1);
    pair();
    pid_t const other = child(reads_slowly);
    close(ends[1]);
    PIECES(large, write(ends[0], data + done, large - done));
    show("read", buffer, PIECES(6, read(ends[0], buffer + done, sizeof buffer - done)));
    ended(other);
    close(ends[0]);
    free(data);
}

static void limits(void) {
    pair();
    struct timeval const soon = {0, 30000};
    TELL(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
    TELL(setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon));
    TELL(read(ends[0], buffer, sizeof buffer));
    TELL(recv(ends[0], buffer, sizeof buffer, MSG_WAITALL));
    write_all(ends[1], "part", 4);
    show("part", buffer, PIECES(4, recv(ends[0], buffer + done, 10 - done, MSG_WAITALL)));
    char* data = calloc(1, large);
    if (!data) give_up("calloc");
    long sent = 0, count;
    while ((count = AGAIN(send(ends[0], data, large, 0))) > 0) sent += count;
    unless_hard(count, "send");
    printf("full: %s %s\n", sent > 0 ? "some went" : "nothing went", strerrorname_np(errno));
    free(data);
    close_pair();
}

static void the_end(void) {
    pair();
    signal(SIGPIPE, SIG_IGN);
    TELL(shutdown(ends[1], SHUT_RD));
    FAILS(EPIPE, write(ends[0], "x", 1));
    FAILS(EPIPE, send(ends[0], "x", 1, MSG_NOSIGNAL));
    close(ends[1]);
    TELL(read(ends[0], buffer, sizeof buffer));
    close(ends[0]);
    FAILS(EBADF, read(ends[0], buffer, 1));
    FAILS(EBADF, send(ends[0], "x", 1, 0));
    signal(SIGPIPE, SIGPIPE_BEFORE);
}

static struct sockaddr_in address;

static void resets(void) {
    until_parent_waits();
    int const fd = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(fd, (struct sockaddr*)&address, sizeof address));
    read_all(fd, buffer, 1);
    until_parent_waits();
    struct linger const at_once = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static void talks(void) {
    until_parent_waits();
    int const fd = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(fd, (struct sockaddr*)&address, sizeof address));
    until_parent_waits();
    write_all(fd, "over tcp", 8);
    char got[9] = "";
    size_t const count = read_all(fd, got, 8);
    printf("other side: %zu %s\n", count, got);
    close(fd);
}

static void tcp(void) {
    int const listener = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    socklen_t length = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(bind(listener, (struct sockaddr*)&address, sizeof address));
    MUST(listen(listener, 5));
    MUST(getsockname(listener, (struct sockaddr*)&address, &length));
    pid_t const other = child(talks);
    int fd = (int)MUST(accept(listener, NULL, NULL));
    int yes = 1;
    TELL(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes));
    show("read", buffer, PIECES(8, read(fd, buffer + done, 8 - done)));
    PIECES(8, write(fd, "answered" + done, 8 - done));
    TELL(read(fd, buffer, sizeof buffer));
    close(fd);
    ended(other);
    pid_t const another = child(resets);
    fd = (int)MUST(accept(listener, NULL, NULL));
    write_all(fd, "r", 1);
    FAILS(ECONNRESET, read(fd, buffer, sizeof buffer));
    if (!IS_CAREFUL) {
        TELL(read(fd, buffer, sizeof buffer));
        FAILS(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
    }
    close(fd);
    ended(another);
    close(listener);
}

int main(void) {
    simple();
    wait_all();
    vectors();
    several_messages();
    much();
    limits();
    the_end();
    tcp();
    return finish();
}
