/* waits: read recv recvfrom recvmmsg recvmsg */
/* Messages with bounds: UDP, Unix datagrams and packets, descriptors sent along. */
#include "plain.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/un.h>

static int ends[2];
static char buffer[64];
static struct sockaddr_in here;

static int udp(struct sockaddr_in* bound) {
    int const fd = (int)MUST(socket(AF_INET, SOCK_DGRAM, 0));
    socklen_t length = sizeof *bound;
    memset(bound, 0, sizeof *bound);
    bound->sin_family = AF_INET;
    bound->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(bind(fd, (struct sockaddr*)bound, sizeof *bound));
    MUST(getsockname(fd, (struct sockaddr*)bound, &length));
    return fd;
}

static void sends_to_here(void) {
    struct sockaddr_in own;
    int const fd = udp(&own);
    until_parent_waits();
    MUST(sendto(fd, "first", 5, 0, (struct sockaddr*)&here, sizeof here));
    MUST(sendto(fd, "", 0, 0, (struct sockaddr*)&here, sizeof here));
    MUST(sendto(fd, "longer than it is read", 22, 0, (struct sockaddr*)&here, sizeof here));
    char got[20];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    show("other side", got, MUST(recvfrom(fd, got, sizeof got, 0, (struct sockaddr*)&from, &length)));
    printf("from there: %d\n", from.sin_port == here.sin_port);
    until_parent_waits();
    for (int i = 0; i < 3; ++i) {
        char text[] = {'m', (char)('0' + i)};
        MUST(sendto(fd, text, sizeof text, 0, (struct sockaddr*)&here, sizeof here));
    }
    close(fd);
}

static void by_udp(void) {
    int const fd = udp(&here);
    pid_t const other = child(sends_to_here);
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    show("recvfrom", buffer, TELL(recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr*)&from, &length)));
    printf("from %s, %u bytes\n", inet_ntoa(from.sin_addr), (unsigned)length);
    TELL(recv(fd, buffer, sizeof buffer, 0));
    show("cut", buffer, TELL(recv(fd, buffer, 6, 0)));
    TELL(sendto(fd, "answer", 6, 0, (struct sockaddr*)&from, length));
    char texts[3][8];
    struct iovec parts[3];
    struct mmsghdr messages[3];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < 3; ++i) {
        parts[i] = (struct iovec){texts[i], sizeof texts[i]};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    if (!IS_CAREFUL) { /* an error after the first message keeps the others for the next call */
        TELL(recvmmsg(fd, messages, 3, 0, NULL));
        for (int i = 0; i < 3; ++i) show("message", texts[i], messages[i].msg_len);
        struct timespec soon = {0, 20000000};
        TELL(recvmmsg(fd, messages, 3, MSG_DONTWAIT, &soon));
    } else {
        printf("recvmmsg(fd, messages, 3, 0, NULL) = 3\n");
        for (int i = 0; i < 3; ++i) show("message", buffer, MUST(recv(fd, buffer, sizeof buffer, 0)));
        printf("recvmmsg(fd, messages, 3, MSG_DONTWAIT, &soon) = -1 EAGAIN\n");
    }
    ended(other);
    struct timeval const limit = {0, 20000};
    TELL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    TELL(recv(fd, buffer, sizeof buffer, 0));
    FAILS(EMSGSIZE, sendto(fd, calloc(1, 70000), 70000, 0, (struct sockaddr*)&here, sizeof here));
    FAILS(EDESTADDRREQ, send(fd, "x", 1, 0));
    close(fd);
}

static void refused(void) {
    struct sockaddr_in gone, own;
    int const dead = udp(&gone), fd = udp(&own);
    close(dead);
    TELL(connect(fd, (struct sockaddr*)&gone, sizeof gone));
    TELL(send(fd, "x", 1, 0));
    FAILS(ECONNREFUSED, recv(fd, buffer, sizeof buffer, 0));
    close(fd);
}

static struct sockaddr_un named;

static void fills(void) {
    int const fd = (int)MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    MUST(connect(fd, (struct sockaddr*)&named, sizeof named));
    int sent = 0;
    for (; sent < 1500; ++sent) MUST(send(fd, &sent, sizeof sent, 0)); /* more than fits: it waits */
    printf("other side: %d sent\n", sent);
    close(fd);
}

static void unix_datagrams(void) {
    int const fd = (int)MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    named.sun_family = AF_UNIX;
    strcpy(named.sun_path, "datagrams");
    TELL(bind(fd, (struct sockaddr*)&named, sizeof named));
    pid_t const other = child(fills);
    int number, wrong = 0;
    for (int i = 0; i < 1500; ++i) {
        if (i == 700) a_while();
        wrong += MUST(recv(fd, &number, sizeof number, 0)) != sizeof number || number != i;
    }
    printf("%d out of order\n", wrong);
    ended(other);
    unlink("datagrams");
    int const late = (int)MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    FAILS(ENOENT, connect(late, (struct sockaddr*)&named, sizeof named));
    close(late);
    close(fd);
}

static void packs(void) {
    close(ends[0]);
    until_parent_waits();
    MUST(send(ends[1], "one packet", 10, 0));
    MUST(send(ends[1], "another", 7, 0));
    until_parent_waits();
}

static void packets(void) {
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
    pid_t const other = child(packs);
    close(ends[1]);
    show("packet", buffer, TELL(read(ends[0], buffer, sizeof buffer)));
    struct iovec whole = {buffer, 3};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &whole;
    message.msg_iovlen = 1;
    show("cut", buffer, TELL(recvmsg(ends[0], &message, 0)));
    printf("truncated: %d\n", (message.msg_flags & MSG_TRUNC) != 0);
    TELL(read(ends[0], buffer, sizeof buffer));
    ended(other);
    close(ends[0]);
}

/* Sends two descriptors; they are read from on the other side. */
static void sends_descriptors(void) {
    close(ends[0]);
    int pipes[2];
    MUST(pipe(pipes));
    until_parent_waits();
    struct iovec whole = {"!", 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct msghdr message;
    memset(&message, 0, sizeof message);
    memset(&control, 0, sizeof control);
    message.msg_iov = &whole;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control.room;
    struct cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), pipes, sizeof pipes);
    MUST(sendmsg(ends[1], &message, 0));
    close(pipes[0]);
    until_parent_waits();
    write_all(pipes[1], "through a pipe that was sent", 28);
}

static void descriptors(void) {
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    pid_t const other = child(sends_descriptors);
    close(ends[1]);
    struct iovec whole = {buffer, sizeof buffer};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &whole;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control.room;
    TELL(recvmsg(ends[0], &message, MSG_CMSG_CLOEXEC));
    struct cmsghdr* const header = CMSG_FIRSTHDR(&message);
    int got[2] = {-1, -1};
    printf("control: %zu, type %d\n", (size_t)message.msg_controllen, header ? header->cmsg_type : -1);
    if (header) memcpy(got, CMSG_DATA(header), sizeof got);
    printf("close on exec: %d %d\n", fcntl(got[0], F_GETFD), fcntl(got[1], F_GETFD));
    close(got[1]);
    show("read", buffer, PIECES(28, read(got[0], buffer + done, sizeof buffer - done)));
    TELL(read(got[0], buffer, sizeof buffer));
    close(got[0]);
    ended(other);
    close(ends[0]);
}

int main(void) {
    by_udp();
    refused();
    unix_datagrams();
    packets();
    descriptors();
    return finish();
}
