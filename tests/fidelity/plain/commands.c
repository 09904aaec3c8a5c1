/* waits: fgetc fgets pclose system */
/* Commands of the shell: system, popen, pclose. */
#include "plain.h"

#include <spawn.h>

static char line[200];

static void tell_status(char const* what, int status) {
    if (status == -1)
        give_up(what);
    else if (IS_CAREFUL && WIFEXITED(status) && WEXITSTATUS(status) == 127 && strcmp(what, "pclose") && strcmp(what, "unknown"))
        errno = EAGAIN, give_up(what); /* there was no shell to be had, which has no error of its own */
    else
        printf("%s: %s %d\n", what, WIFEXITED(status) ? "exited" : "killed by", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static void by_system(void) {
    fflush(stdout);
    tell_status("system", system("sleep 0.02; echo said by a command; exit 3"));
    tell_status("nothing", system("exit 0"));
    tell_status("killed", system("kill -TERM $$"));
    tell_status("unknown", system("no-such-command-here 2>/dev/null"));
    int const shell = system(NULL);
    if (IS_CAREFUL && !shell) errno = EAGAIN, give_up("system");
    printf("there is a shell: %d\n", shell != 0);
}

static void by_popen(void) {
    FILE* command = popen("sleep 0.02; echo one; sleep 0.02; echo two; exit 6", "r");
    if (!command) give_up("popen");
    while (fgets(line, sizeof line, command)) printf("got %s", line);
    tell_status("pclose", pclose(command));
    fflush(stdout);
    command = popen("sleep 0.02; tr a-z A-Z; exit 2", "w");
    if (!command) give_up("popen");
    fprintf(command, "written to a command %d\n", 42);
    fputs("and more\n", command);
    tell_status("pclose", pclose(command));
    command = popen("no-such-command-here 2>/dev/null", "re");
    if (!command) give_up("popen");
    printf("end: %d\n", fgetc(command) == EOF && feof(command));
    tell_status("pclose", pclose(command));
    printf("mode: %d %s\n", popen("true", "rw") == NULL, strerrorname_np(errno));
}

static void two_at_once(void) {
    FILE* const first = popen("sleep 0.03; echo first", "r");
    FILE* const second = popen("echo second", "r");
    if (!first || !second) give_up("popen");
    printf("got %s", fgets(line, sizeof line, second) ? line : "-\n");
    printf("got %s", fgets(line, sizeof line, first) ? line : "-\n");
    tell_status("pclose", pclose(first));
    tell_status("pclose", pclose(second));
}

static void much(void) {
    FILE* const command = popen("sleep 0.01; head -c 300000 /dev/zero | tr '\\0' x", "r");
    if (!command) give_up("popen");
    long count = 0;
    for (int byte; (byte = fgetc(command)) != EOF;) count += byte == 'x';
    printf("%ld bytes\n", count);
    tell_status("pclose", pclose(command));
}

int main(void) {
    by_system();
    by_popen();
    two_at_once();
    much();
    return finish();
}
