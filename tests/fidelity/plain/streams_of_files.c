/* waits: fopen */
/* stdio on files: positions, appending, both ways, other buffers, several writers. */
#include "plain.h"

static char line[200];

static void appends(void) {
    until_parent_waits();
    FILE* const out = fopen("text", "a");
    if (!out) give_up("fopen");
    fprintf(out, "appended by another\n");
    if (fclose(out)) give_up("fclose");
}

static FILE* opened(char const* name, char const* mode) {
    FILE* const file = fopen(name, mode);
    if (!file) give_up(name);
    return file;
}

static void positions(void) {
    FILE* file = opened("text", "w+");
    for (int i = 0; i < 5; ++i) fprintf(file, "line %d\n", i);
    TELL(ftell(file));
    TELL(fseek(file, 7, SEEK_SET));
    printf("%s", fgets(line, sizeof line, file) ? line : "-\n");
    fpos_t place;
    TELL(fgetpos(file, &place));
    TELL(fseek(file, -3, SEEK_END));
    printf("%s", fgets(line, sizeof line, file) ? line : "-\n");
    TELL(fsetpos(file, &place));
    printf("%s", fgets(line, sizeof line, file) ? line : "-\n");
    TELL(fseek(file, 0, SEEK_CUR));
    fputs("LINE", file);
    rewind(file);
    while (fgets(line, sizeof line, file)) printf("%s", line);
    printf("end %d\n", feof(file) != 0);
    ended(child(appends));
    clearerr(file);
    while (fgets(line, sizeof line, file)) printf("%s", line);
    FAILS(EINVAL, fseek(file, -1, SEEK_SET));
    TELL(fclose(file));
    file = opened("text", "a+");
    fprintf(file, "more\n");
    TELL(fflush(file));
    rewind(file);
    printf("%s", fgets(line, sizeof line, file) ? line : "-\n");
    TELL(fclose(file));
    FAILS(ENOENT, fopen("none/text", "r") ? 0 : -1);
    FAILS(EINVAL, fopen("text", "z") ? 0 : -1);
    file = opened("text", "r");
    TELL(fputs("x", file));
    printf("error %d\n", ferror(file) != 0);
    file = freopen("other", "w", file);
    if (!file) give_up("freopen");
    TELL((long)fwrite("0123456789", 1, 10, file));
    file = freopen("other", "r", file);
    if (!file) give_up("freopen");
    TELL((long)fread(line, 4, 3, file));
    show("read", line, 10);
    TELL(fclose(file));
    unlink("other");
    unlink("text");
}

enum { large = 300000 };

static void much(void) {
    unsigned* const data = malloc(large);
    if (!data) give_up("malloc");
    fill_pattern(data, large, 6);
    FILE* file = opened("large", "w+");
    static char own[1000];
    TELL(setvbuf(file, own, _IOFBF, sizeof own));
    TELL((long)fwrite(data, 4, large / 4, file));
    TELL(fflush(file));
    rewind(file);
    memset(data, 0, large);
    TELL((long)fread(data, 1, 10, file));
    TELL((long)fread((char*)data + 10, 1, large - 10, file));
    TELL((long)fread(line, 1, 10, file));
    printf("sum %08x\n", sum_of(data, large));
    TELL(fclose(file));
    file = opened("large", "r");
    setbuf(file, NULL);
    unsigned sum = 0;
    for (int byte, i = 0; i < 2000 && (byte = getc(file)) != EOF; ++i) sum = sum * 31 + (unsigned)byte;
    printf("sum %08x\n", sum);
    TELL(fclose(file));
    unlink("large");
    file = tmpfile();
    if (!file) give_up("tmpfile");
    fprintf(file, "%d %d", 1, 2);
    rewind(file);
    int a = 0, b = 0;
    TELL(fscanf(file, "%d%d", &a, &b));
    printf("%d %d\n", a, b);
    TELL(fclose(file));
    free(data);
    char* text = NULL;
    size_t size = 0;
    file = open_memstream(&text, &size);
    if (!file) give_up("open_memstream");
    fprintf(file, "in memory %d", 3);
    TELL(fclose(file));
    show("memory", text, (long)size);
    free(text);
}

static void* prints(void* to) {
    for (int i = 0; i < 200; ++i) {
        flockfile(to);
        fprintf(to, "one ");
        fprintf(to, "line\n");
        funlockfile(to);
        if (i % 100 == 50) usleep(3000);
    }
    return NULL;
}

static void together(void) {
    FILE* const file = opened("shared", "w+");
    pthread_t threads[3];
    for (int i = 0; i < 3; ++i) RETURNS(pthread_create(&threads[i], NULL, prints, file));
    prints(file);
    for (int i = 0; i < 3; ++i) RETURNS(pthread_join(threads[i], NULL));
    rewind(file);
    int lines = 0, wrong = 0;
    while (fgets(line, sizeof line, file)) {
        ++lines;
        wrong += strcmp(line, "one line\n") != 0;
    }
    printf("%d lines, %d torn\n", lines, wrong);
    TELL(fclose(file));
    unlink("shared");
}

int main(void) {
    positions();
    much();
    together();
    return finish();
}
