/* waits: fgetws fgetwc fwscanf */
/* Wide characters through stdio, on pipes and files. */
#include "plain.h"

#include <locale.h>
#include <wchar.h>

static int ends[2];
static wchar_t text[100];

static void speaks(void) {
    close(ends[0]);
    char const* const pieces[] = {"gr\303", "\274n\n", "zwei ", "Wort", "e 17\n", "\342\202", "\254 und Ende"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; ++i) {
        until_parent_waits();
        write_all(ends[1], pieces[i], strlen(pieces[i]));
    }
}

static void show_wide(char const* name, wchar_t const* what) {
    printf("%s:", name);
    for (; *what; ++what) printf(" %lx", (unsigned long)*what);
    printf("\n");
}

static void reads(void) {
    close(ends[1]);
    char got[200] = "";
    until_parent_waits();
    size_t const count = read_all(ends[0], got, sizeof got);
    show("other side", got, (long)count);
}

int main(void) {
    printf("locale %d\n", setlocale(LC_ALL, "C.UTF-8") != NULL);
    MUST(pipe(ends));
    pid_t other = child(speaks);
    close(ends[1]);
    FILE* const in = fdopen(ends[0], "r");
    if (!in) give_up("fdopen");
    printf("wide: %d\n", fwide(in, 1) > 0);
    if (fgetws(text, 100, in)) show_wide("fgetws", text);
    wint_t const first = fgetwc(in);
    printf("fgetwc %lx, back %d\n", (unsigned long)first, ungetwc(first, in) == first);
    wchar_t second[20] = L"";
    int number = 0;
    printf("fwscanf %d\n", fwscanf(in, L"%ls %ls %d", text, second, &number));
    show_wide("word", text);
    show_wide("word", second);
    printf("number %d\n", number);
    printf("end of line %lx\n", (unsigned long)getwc(in));
    if (fgetws(text, 100, in)) show_wide("fgetws", text);
    if (IS_CAREFUL && ferror(in)) give_up("read");
    printf("end %d %d\n", fgetwc(in) == WEOF, feof(in) != 0);
    TELL(fclose(in));
    ended(other);

    MUST(pipe(ends));
    other = child(reads);
    close(ends[0]);
    FILE* const out = fdopen(ends[1], "w");
    if (!out) give_up("fdopen");
    printf("fputws %d\n", fputws(L"\u00fcber ", out) >= 0);
    printf("fputwc %d\n", fputwc(L'\u20ac', out) == L'\u20ac');
    printf("fwprintf %d\n", fwprintf(out, L" %ls %d %s", L"wide", 5, "narrow"));
    printf("orientation %d\n", fwide(out, -1) > 0);
    TELL(fclose(out));
    ended(other);

    FILE* const file = fopen("wide", "w+");
    if (!file) give_up("fopen");
    printf("fwprintf %d\n", fwprintf(file, L"%lc%lc\n", L'\u00e4', L'\u1234'));
    rewind(file);
    if (fgetws(text, 100, file)) show_wide("fgetws", text);
    TELL(fclose(file));
    unlink("wide");
    return finish();
}
