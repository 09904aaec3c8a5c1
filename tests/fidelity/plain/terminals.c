/* waits: read */
/* Pseudoterminals: lines and bytes, echo, signals of the keyboard, and the end. */
#include "plain.h"

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master, slave;
static char buffer[256];

static void types(void) {
    close(slave);
    until_parent_waits();
    write_all(master, "a line\n", 7);
    until_parent_waits();
    write_all(master, "half ", 5);
    until_parent_waits();
    write_all(master, "and half\n", 9);
    until_parent_waits();
    write_all(master, "\004", 1); /* the end */
    until_parent_waits();
}

static void lines(void) {
    struct winsize const size = {24, 80, 0, 0};
    MUST(openpty(&master, &slave, NULL, NULL, &size));
    printf("terminal: %d %d\n", isatty(slave), isatty(master));
    struct winsize seen;
    TELL(ioctl(slave, TIOCGWINSZ, &seen));
    printf("%d x %d\n", seen.ws_row, seen.ws_col);
    pid_t const other = child(types);
    show("read", buffer, PIECES(7, read(slave, buffer + done, sizeof buffer - done)));
    show("read", buffer, PIECES(4, read(slave, buffer + done, 4 - done)));
    show("read", buffer, PIECES(10, read(slave, buffer + done, sizeof buffer - done)));
    TELL(read(slave, buffer, sizeof buffer));
    ended(other);
    /* What was echoed. */
    printf("echoed %zu\n", read_all(master, buffer, 7 + 1 + 14 + 1));
    show("echo", buffer, 23);
}

static void types_bytes(void) {
    until_parent_waits();
    write_all(master, "1", 1);
    until_parent_waits();
    write_all(master, "23", 2);
}

static void bytes(void) {
    struct termios how;
    TELL(tcgetattr(slave, &how));
    cfmakeraw(&how);
    how.c_cc[VMIN] = 1;
    TELL(tcsetattr(slave, TCSANOW, &how));
    pid_t other = child(types_bytes);
    show("read", buffer, PIECES(1, read(slave, buffer, sizeof buffer)));
    show("read", buffer, PIECES(2, read(slave, buffer + done, sizeof buffer - done)));
    ended(other);
    how.c_cc[VMIN] = 3;
    TELL(tcsetattr(slave, TCSANOW, &how));
    other = child(types_bytes);
    if (IS_CAREFUL) /* asking for fewer than VMIN gives fewer */
        show("read", buffer, (long)read_all(slave, buffer, 3));
    else
        show("read", buffer, read(slave, buffer, sizeof buffer));
    ended(other);
    how.c_cc[VMIN] = 0;
    how.c_cc[VTIME] = 1;
    TELL(tcsetattr(slave, TCSANOW, &how));
    TELL(read(slave, buffer, sizeof buffer)); /* nothing for a tenth of a second */
    PIECES(6, write(slave, "output" + done, 6 - done));
    TELL(tcdrain(slave));
    show("read", buffer, PIECES(6, read(master, buffer + done, sizeof buffer - done)));
}

static void hangs_up(void) {
    close(slave);
    until_parent_waits();
    close(master);
}

static void the_end(void) {
    signal(SIGHUP, SIG_IGN);
    struct termios how;
    MUST(tcgetattr(slave, &how));
    how.c_cc[VMIN] = 1;
    how.c_cc[VTIME] = 0;
    MUST(tcsetattr(slave, TCSANOW, &how));
    pid_t const other = child(hangs_up);
    close(master);
    TELL(read(slave, buffer, sizeof buffer));
    FAILS(EIO, write(slave, "x", 1));
    ended(other);
    close(slave);

    MUST(openpty(&master, &slave, NULL, NULL, NULL));
    close(slave);
    FAILS(EIO, read(master, buffer, 1));
    close(master);
}

static void in_a_terminal(void) {
    signal(SIGINT, SIG_DFL);
    if (write(1, "ready\n", 6) != 6) _exit(3);
    for (;;) pause();
}

static void session(void) {
    fflush(stdout);
    pid_t const other = forkpty(&master, NULL, NULL, NULL);
    if (other == -1) give_up("forkpty");
    if (other == 0) {
        in_a_terminal();
        _exit(0);
    }
    read_all(master, buffer, 7);
    show("said", buffer, 7);
    write_all(master, "\003", 1); /* interrupts it */
    int status = 0;
    MUST(waitpid(other, &status, 0));
    printf("killed by the keyboard: %d\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    close(master);
}

int main(void) {
    lines();
    bytes();
    the_end();
    session();
    return finish();
}
