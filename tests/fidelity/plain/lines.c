/* waits: fgets fgetc fread fscanf getdelim */
/* stdio on pipes and sockets, where reading may wait in the middle of a line. EINTR among stdio's calls loses what was read of
 * the line: below faults, none comes. */
#include "plain.h"

static int ends[2], back[2];
static char line[200];

static void speaks(void) {
    close(ends[0]);
    char const* const pieces[] = {"a whole line\n", "half ", "and half\n", "12 34.5 wo", "rd\n", "0123456789", "no end\n", "x:y:z", "last without end"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; ++i) {
        until_parent_waits();
        write_all(ends[1], pieces[i], strlen(pieces[i]));
    }
}

static void reading(int mode) {
    MUST(pipe(ends));
    pid_t const other = child(speaks);
    close(ends[1]);
    FILE* const in = fdopen(ends[0], "r");
    if (!in) give_up("fdopen");
    if (mode != _IOFBF) TELL(setvbuf(in, NULL, mode, 0));
    printf("fgets: %s", fgets(line, sizeof line, in) ? line : "-\n");
    printf("fgetc: %c\n", fgetc(in));
    printf("ungetc: %c\n", ungetc('H', in));
    printf("fgets: %s", fgets(line, sizeof line, in) ? line : "-\n");
    int number = 0;
    double fraction = 0;
    char word[20] = "";
    printf("fscanf: %d", fscanf(in, "%d %lf %19s", &number, &fraction, word));
    printf(" %d %g %s\n", number, fraction, word);
    if (IS_CAREFUL && ferror(in)) give_up("fscanf");
    printf("getc: %d\n", getc(in));
    size_t const count = fread(line, 3, 3, in);
    printf("fread: %zu\n", count);
    show("read", line, 9);
    char* text = NULL;
    size_t room = 0;
    ssize_t length = getline(&text, &room, in);
    printf("getline: %zd %s", length, length > 0 ? text : "-\n");
    length = getdelim(&text, &room, ':', in);
    printf("getdelim: %zd %s\n", length, length > 0 ? text : "-");
    printf("fscanf: %d", fscanf(in, "%5[^:]:", word));
    printf(" %s\n", word);
    length = getline(&text, &room, in);
    printf("getline: %zd %s\n", length, length > 0 ? text : "-");
    if (IS_CAREFUL && ferror(in)) give_up("read");
    printf("end: %d %d %d\n", fgetc(in), feof(in) != 0, ferror(in));
    free(text);
    ended(other);
    TELL(fclose(in));
}

static void answers(void) {
    close(ends[1]);
    close(back[0]);
    FILE* const in = fdopen(ends[0], "r");
    FILE* const out = fdopen(back[1], "w");
    if (!in || !out) give_up("fdopen");
    while (fgets(line, sizeof line, in)) {
        until_parent_waits();
        fprintf(out, "you said %s", line);
        if (fflush(out)) give_up("fflush");
    }
    fclose(out);
    fclose(in);
}

static void conversation(void) {
    MUST(pipe(ends));
    MUST(pipe(back));
    pid_t const other = child(answers);
    close(ends[0]);
    close(back[1]);
    FILE* const out = fdopen(ends[1], "w");
    FILE* const in = fdopen(back[0], "r");
    if (!in || !out) give_up("fdopen");
    setlinebuf(out);
    for (int i = 0; i < 3; ++i) {
        fprintf(out, "%s %d\n", "line", i);
        printf("%s", fgets(line, sizeof line, in) ? line : "-\n");
    }
    TELL(fclose(out));
    printf("end: %d\n", fgets(line, sizeof line, in) == NULL);
    ended(other);
    TELL(fclose(in));
}

enum { large = 200000 };

static void reads_slowly(void) {
    close(ends[1]);
    until_parent_waits();
    tell_bytes(ends[0], large + 1000);
}

static void writing(void) {
    char* const data = malloc(large);
    if (!data) give_up("malloc");
    fill_pattern(data, large, 5);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    pid_t const other = child(reads_slowly);
    close(ends[0]);
    FILE* const out = fdopen(ends[1], "w");
    if (!out) give_up("fdopen");
    TELL(fputs("text ", out) >= 0);
    TELL(fputc('c', out));
    TELL(fprintf(out, "%05d %s|%-5s|%.3f", 42, "word", "ab", 1.5));
    TELL((long)fwrite(data, 100, large / 100, out));
    TELL(dprintf(ends[1], "%d", 7) > 0);
    if (IS_CAREFUL && ferror(out)) give_up("write");
    TELL(fflush(out));
    TELL(putw(1, out));
    TELL(fclose(out));
    ended(other);
    free(data);
}

static void broken(void) {
    signal(SIGPIPE, SIG_IGN);
    MUST(pipe(ends));
    close(ends[0]);
    FILE* const out = fdopen(ends[1], "w");
    if (!out) give_up("fdopen");
    TELL(fputs("lost", out) >= 0);
    FAILS(EPIPE, fflush(out));
    printf("error %d\n", ferror(out) != 0);
    TELL(fgetc(out) == EOF);
    clearerr(out);
    printf("error %d\n", ferror(out) != 0);
    fclose(out);
    signal(SIGPIPE, SIGPIPE_BEFORE);
}

int main(void) {
    reading(_IOFBF);
    reading(_IONBF);
    conversation();
    writing();
    broken();
    return finish();
}
