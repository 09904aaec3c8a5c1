#include "tests/monkey/fixture.h"
#include "tests/rerun.h"

#include <atomic>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <ext/stdio_sync_filebuf.h>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <pty.h>
#include <set>
#include <stdio_ext.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <thread>
#include <vector>

namespace {

using file = std::unique_ptr<FILE, int (*)(FILE*)>;

file open_file(int fd, char const* mode) {
    FILE* const stream = fdopen(fd, mode);
    if (!stream) throw std::system_error(errno, std::generic_category(), "fdopen");
    return {stream, fclose};
}

// A pipe of one page with a stream at each end.
struct file_pipe {
    fd_pair ends = fd_pair::pipe();
    file in{nullptr, fclose}, out{nullptr, fclose};
    file_pipe() {
        fcntl(ends.second, F_SETPIPE_SZ, 4096);
        in = open_file(std::exchange(ends.first, -1), "r");
        out = open_file(std::exchange(ends.second, -1), "w");
    }
};

// What a fiber reads from `fd` to its end.
auto reader_of(int fd) {
    return coir::spawn([fd] {
        std::string all;
        char part[500];
        for (ssize_t got; (got = read(fd, part, sizeof part)) > 0;) all.append(part, std::size_t(got));
        return all;
    });
}

// Fills the pipe, so that the next write has to wait.
std::size_t fill_up(int fd) {
    std::size_t filled = 0;
    char const dots[512] = {};
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (ssize_t wrote; (wrote = write(fd, dots, sizeof dots)) > 0;) filled += std::size_t(wrote);
    fcntl(fd, F_SETFL, 0);
    return filled;
}

void empty_out(int fd, std::size_t filled) {
    std::vector<char> dots(filled);
    for (std::size_t left = filled; left > 0;) left -= std::size_t(checked(int(read(fd, dots.data(), left)), "read"));
}

struct result {
    int value, error;
    bool operator==(result const&) const = default;
};

void nothing(int) {}

// As the kernel tells it (proc(5)).
bool is_asleep(pid_t thread) {
    int const fd = open(("/proc/self/task/" + std::to_string(thread) + "/stat").c_str(), O_RDONLY);
    char text[200] = "";
    auto const size = read(fd, text, sizeof text - 1);
    close(fd);
    char const* const state = size > 0 ? std::strrchr(text, ')') : nullptr;
    return state && state[2] == 'S';
}

} // namespace

TEST(stdio, megabytes_both_ways_through_small_pipes) {
    file_pipe there, back;
    constexpr int lines = 40'000;
    auto echo = coir::spawn([&] {
        char* line = nullptr;
        std::size_t room = 0;
        int count = 0;
        while (getline(&line, &room, there.in.get()) > 0) {
            fputs(line, back.out.get());
            ++count;
        }
        free(line);
        back.out.reset();
        return count;
    });
    auto writer = coir::spawn([&] {
        for (int i = 0; i < lines; ++i) fprintf(there.out.get(), "%d: %0*d\n", i, i % 100 + 1, i);
        there.out.reset();
    });
    int line = 0;
    for (char got[200]; fgets(got, sizeof got, back.in.get()); ++line) {
        int number = -1, same = -1;
        ASSERT_EQ(sscanf(got, "%d: %d\n", &number, &same), 2);
        ASSERT_EQ(number, line);
        ASSERT_EQ(same, line);
    }
    EXPECT_EQ(line, lines);
    EXPECT_EQ(echo.get(), lines);
    writer.join();
}

TEST(stdio, bytes_one_by_one) {
    file_pipe pipe;
    auto writer = coir::spawn([&] {
        for (int i = 0; i < 200'000; ++i) i % 2 ? putc(i, pipe.out.get()) : putc_unlocked(i, pipe.out.get());
        pipe.out.reset();
    });
    int count = 0;
    for (int byte; (byte = count % 3 ? getc(pipe.in.get()) : getc_unlocked(pipe.in.get())) != EOF; ++count)
        ASSERT_EQ(byte, count & 255);
    EXPECT_EQ(count, 200'000);
    EXPECT_TRUE(feof(pipe.in.get()));
    writer.join();
}

TEST(stdio, calls_of_several_fibers_on_one_stream_stay_whole) {
    for (int const mode : {_IOFBF, _IOLBF, _IONBF}) {
        file_pipe pipe;
        setvbuf(pipe.out.get(), nullptr, mode, 4096);
        constexpr int fibers = 8, calls = 50;
        std::vector<coir::fiber<void>> writers;
        for (int who = 0; who < fibers; ++who)
            writers.push_back(coir::spawn([&, who] {
                std::string const text(std::size_t(2000 + who * 100), char('a' + who));
                for (int i = 0; i < calls; ++i) switch (i % 3) {
                    case 0: EXPECT_EQ(fprintf(pipe.out.get(), "%s\n", text.c_str()), int(text.size()) + 1); break;
                    case 1: EXPECT_EQ(fputs((text + '\n').c_str(), pipe.out.get()), 1); break;
                    case 2: EXPECT_EQ(fwrite((text + '\n').data(), text.size() + 1, 1, pipe.out.get()), 1u); break;
                    }
            }));
        auto closer = coir::spawn([&] {
            for (auto& each : writers) each.join();
            pipe.out.reset();
        });
        std::vector<int> seen(fibers);
        char* line = nullptr;
        std::size_t room = 0;
        for (ssize_t size; (size = getline(&line, &room, pipe.in.get())) > 0;) {
            int const who = line[0] - 'a';
            ASSERT_TRUE(who >= 0 && who < fibers);
            ASSERT_EQ(std::string(line, std::size_t(size)), std::string(std::size_t(2000 + who * 100), line[0]) + '\n');
            ++seen[std::size_t(who)];
        }
        free(line);
        EXPECT_EQ(seen, std::vector<int>(fibers, calls));
        closer.join();
    }
}

TEST(stdio, several_fibers_read_whole_lines_of_one_stream) {
    file_pipe pipe;
    std::multiset<std::string> seen;
    std::vector<coir::fiber<void>> readers;
    for (int i = 0; i < 5; ++i)
        readers.push_back(coir::spawn([&] {
            for (char line[3000]; fgets(line, sizeof line, pipe.in.get());) seen.insert(line);
        }));
    std::multiset<std::string> sent;
    for (int i = 0; i < 200; ++i) {
        std::string const line(std::size_t(i * 13), char('a' + i % 26));
        sent.insert(line + '\n');
        fprintf(pipe.out.get(), "%s\n", line.c_str());
        fflush(pipe.out.get());
    }
    pipe.out.reset();
    for (auto& each : readers) each.join();
    EXPECT_EQ(seen, sent);
}

TEST(stdio, locked_stream_keeps_other_fibers_out) {
    file_pipe pipe;
    FILE* const out = pipe.out.get();
    setvbuf(out, nullptr, _IONBF, 0);
    flockfile(out);
    flockfile(out);
    EXPECT_EQ(ftrylockfile(out), 0);
    int tried = -1;
    auto other = coir::spawn([&] {
        tried = ftrylockfile(out);
        fputs("other", out);
    });
    auto locker = coir::spawn([&] {
        flockfile(out);
        fputs(" locker", out);
        funlockfile(out);
    });
    until_parked(other);
    until_parked(locker);
    std::thread([&] { EXPECT_EQ(ftrylockfile(out), tried); }).join(); // as libc has it for threads
    EXPECT_NE(tried, 0);
    auto unlocked = coir::spawn([&] { fputs_unlocked("unlocked ", out); });
    unlocked.join();
    fputs("mine ", out);
    funlockfile(out);
    funlockfile(out);
    until_parked(other);
    funlockfile(out);
    other.join();
    locker.join();
    EXPECT_EQ(ftrylockfile(out), 0);
    funlockfile(out);
    pipe.out.reset();
    char all[100] = "";
    EXPECT_STREQ(fgets(all, sizeof all, pipe.in.get()), "unlocked mine other locker");
}

TEST(stdio, a_parked_call_keeps_even_unlocked_ones_out) {
    fd_pair ends = fd_pair::pipe();
    std::size_t const filled = fill_up(ends.second);
    file const out = open_file(dup(ends.second), "w");
    char room[8];
    setvbuf(out.get(), room, _IOFBF, sizeof room);
    auto first = coir::spawn([&] { fputs("0123456789abcdef-", out.get()); });
    until_parked(first);
    auto second = coir::spawn([&] { fputc_unlocked('u', out.get()); });
    until_parked(second);
    empty_out(ends.first, filled);
    first.join();
    second.join();
    fflush(out.get());
    char got[30] = "";
    EXPECT_EQ(read(ends.first, got, sizeof got), 18);
    EXPECT_STREQ(got, "0123456789abcdef-u");
}

TEST(stdio, what_is_pushed_back_during_input_comes_after_it) {
    file_pipe pipe;
    auto getter = coir::spawn([&] { return getc(pipe.in.get()); });
    until_parked(getter);
    auto pusher = coir::spawn([&] { return ungetc('x', pipe.in.get()); });
    until_parked(pusher);
    fputs("ab", pipe.out.get());
    fflush(pipe.out.get());
    EXPECT_EQ(getter.get(), 'a');
    EXPECT_EQ(pusher.get(), 'x');
    EXPECT_EQ(getc(pipe.in.get()), 'x');
    EXPECT_EQ(getc(pipe.in.get()), 'b');
}

TEST(stdio, a_thread_that_holds_the_lock_lets_the_hub_go_on) {
    file_pipe pipe;
    coir::event locked, go_on;
    std::thread other([&] {
        flockfile(pipe.out.get());
        locked.set();
        go_on.wait();
        fputs("thread ", pipe.out.get());
        funlockfile(pipe.out.get());
    });
    locked.wait();
    auto writer = coir::spawn([&] {
        fputs("fiber", pipe.out.get());
        fflush(pipe.out.get());
    });
    until_parked(writer);
    go_on.set();
    writer.join();
    other.join();
    char got[13] = "";
    EXPECT_EQ(fread(got, 1, 12, pipe.in.get()), 12u);
    EXPECT_STREQ(got, "thread fiber");
}

TEST(stdio, a_thread_is_kept_out_while_a_fiber_is_in_a_call) {
    fd_pair ends = fd_pair::pipe();
    std::size_t const filled = fill_up(ends.second);
    file const out = open_file(dup(ends.second), "w");
    auto writer = coir::spawn([&] {
        fputs("fiber ", out.get());
        fflush(out.get());
    });
    until_parked(writer);
    int free = -1;
    std::thread([&] { free = ftrylockfile(out.get()); }).join();
    EXPECT_NE(free, 0);
    empty_out(ends.first, filled);
    writer.join();
    std::thread([&] {
        free = ftrylockfile(out.get());
        funlockfile(out.get());
    }).join();
    EXPECT_EQ(free, 0);
}

namespace {

// While `call` of a thread without fibers waits for the FILE of a fiber that waits, this thread opens and closes one.
void expect_no_wait_for_the_list(void (*call)(FILE* taken)) {
    fd_pair const ends = fd_pair::pipe();
    std::size_t const filled = fill_up(ends.second);
    FILE* const out = fdopen(dup(ends.second), "w");
    auto writer = coir::spawn([&] {
        fputs("fiber", out);
        fflush(out);
    });
    until_parked(writer);
    std::atomic<pid_t> id{0};
    std::thread other([&] {
        id = gettid();
        call(out);
    });
    while (!id || !is_asleep(id)) usleep(1000);
    FILE* const opened = fopen("/dev/null", "r");
    ASSERT_NE(opened, nullptr);
    EXPECT_EQ(fclose(opened), 0);
    EXPECT_FALSE(writer.ready());
    empty_out(ends.first, filled);
    writer.join();
    other.join();
    char got[6] = "";
    EXPECT_EQ(read(ends.first, got, 5), 5);
    EXPECT_STREQ(got, "fiber");
}

} // namespace

TEST(stdio, a_thread_that_flushes_all_keeps_nobody_from_opening) {
    expect_no_wait_for_the_list([](FILE* taken) {
        EXPECT_EQ(fflush(nullptr), 0);
        fclose(taken);
    });
}

TEST(stdio, a_thread_that_closes_keeps_nobody_from_opening) {
    expect_no_wait_for_the_list([](FILE* taken) { EXPECT_EQ(fclose(taken), 0); });
}

// They stay where they are, unlike others.
TEST_ALONE(stdio, a_standard_stream_that_was_closed_is_not_locked) {
    coir::yield();
    for (bool const by_fiber : {true, false}) {
        FILE* const of = by_fiber ? stdin : stderr;
        auto const closes = [=] { EXPECT_EQ(fclose(of), 0); };
        if (by_fiber)
            closes();
        else
            std::thread(closes).join();
        int busy = -1;
        std::thread([&] {
            busy = ftrylockfile(of);
            if (!busy) funlockfile(of);
        }).join();
        EXPECT_EQ(busy, 0);
    }
}

TEST(stdio, prompt_is_shown_before_input_is_waited_for) {
    int master, slave;
    ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
    FILE* const before = stdout;
    file const terminal_in = open_file(dup(slave), "r"), terminal_out = open_file(slave, "w");
    stdout = terminal_out.get();
    auto program = coir::spawn([&] {
        printf("name? ");
        char name[20] = "";
        fgets(name, sizeof name, terminal_in.get());
        printf("hello %s", name);
        int number = 0;
        printf("number? ");
        fscanf(terminal_in.get(), "%d", &number);
        puts("!");
        return std::string(name) + std::to_string(number);
    });
    auto const said = [&] {
        char text[100] = "";
        EXPECT_GT(read(master, text, sizeof text - 1), 0);
        return std::string(text);
    };
    EXPECT_EQ(said(), "name? ");
    EXPECT_EQ(write(master, "Ada\n", 4), 4);
    std::string talk;
    while (talk.find("number? ") == std::string::npos) talk += said();
    EXPECT_EQ(talk, "Ada\r\nhello Ada\r\nnumber? ");
    EXPECT_EQ(write(master, "42\n", 3), 3);
    EXPECT_EQ(program.get(), "Ada\n42");
    stdout = before;
    close(master);
}

TEST(stdio, scanf_waits_for_the_rest_of_a_number) {
    file_pipe pipe;
    int first = 0, second = 0;
    char* word = nullptr;
    char const* const format = "%d %d %ms"; // %m is POSIX's
    auto scanner = coir::spawn([&] { return fscanf(pipe.in.get(), format, &first, &second, &word); });
    for (char const* part : {"1", "2 ", "\n3", "4 wo", "rd\n"}) {
        until_parked(scanner);
        fputs(part, pipe.out.get());
        fflush(pipe.out.get());
    }
    EXPECT_EQ(scanner.get(), 3);
    EXPECT_EQ(first, 12);
    EXPECT_EQ(second, 34);
    EXPECT_STREQ(word, "word");
    free(word);
    EXPECT_EQ(getc(pipe.in.get()), '\n');
}

TEST(stdio, scanning_leaves_the_descriptor_to_be_seen) {
    file_pipe pipe;
    FILE* const in = pipe.in.get();
    std::atomic<bool> done{false}, begun{false};
    int missed = 0;
    std::thread other([&] {
        for (; !done; begun = true) missed += fileno(in) < 0;
    });
    while (!begun) usleep(100);
    auto writer = coir::spawn([&] {
        for (int i = 0; i < 20'000; ++i) fputs("7 ", pipe.out.get());
        pipe.out.reset();
    });
    int count = 0;
    for (int number; fscanf(in, "%d", &number) == 1; ++count) ASSERT_EQ(number, 7);
    done = true;
    other.join();
    writer.join();
    EXPECT_EQ(count, 20'000);
    EXPECT_EQ(missed, 0);
}

TEST(stdio, scanning_to_the_last_byte_at_hand) {
    file_pipe pipe;
    char a = 0, b = 0;
    fputs("abc", pipe.out.get());
    fflush(pipe.out.get());
    EXPECT_EQ(fscanf(pipe.in.get(), "%c%c", &a, &b), 2);
    EXPECT_EQ(fscanf(pipe.in.get(), "%c", &a), 1); // nothing is left, nothing more is needed
    EXPECT_EQ(a, 'c');
    EXPECT_EQ(b, 'b');
    EXPECT_EQ(ungetc('x', pipe.in.get()), 'x');
    EXPECT_EQ(fscanf(pipe.in.get(), "%c", &a), 1);
    EXPECT_EQ(a, 'x');
    fputs("12", pipe.out.get());
    pipe.out.reset();
    int number = 0;
    EXPECT_EQ(fscanf(pipe.in.get(), "%d%d", &number, &number), 1);
    EXPECT_EQ(number, 12);
    EXPECT_TRUE(feof(pipe.in.get()));
    EXPECT_FALSE(ferror(pipe.in.get()));
    EXPECT_EQ(fscanf(pipe.in.get(), "%d", &number), EOF);
}

TEST(stdio, numbers_by_scanf) {
    file_pipe pipe;
    auto writer = coir::spawn([&] {
        for (int i = 0; i < 50'000; ++i) fprintf(pipe.out.get(), "%d\n", i);
        pipe.out.reset();
    });
    int count = 0;
    for (int number; fscanf(pipe.in.get(), "%d", &number) == 1; ++count) ASSERT_EQ(number, count);
    EXPECT_EQ(count, 50'000);
    EXPECT_TRUE(feof(pipe.in.get()));
    writer.join();
}

TEST(stdio, wide_characters) {
    ASSERT_NE(setlocale(LC_CTYPE, "C.UTF-8"), nullptr);
    file_pipe pipe;
    constexpr int lines = 2000;
    auto writer = coir::spawn([&] {
        for (int i = 0; i < lines; ++i) {
            for (wchar_t each : L"gr\u00fc\u00df \u20ac ") {
                if (each) fputwc(each, pipe.out.get());
            }
            if (i % 2)
                EXPECT_GT(fwprintf(pipe.out.get(), L"%d\u20ac\n", i), 2);
            else
                EXPECT_EQ(fputws((std::to_wstring(i) + L"\u20ac\n").c_str(), pipe.out.get()), 1);
        }
        pipe.out.reset();
    });
    for (int i = 0; i < lines; ++i) {
        std::wstring const rest = std::to_wstring(i) + L"\u20ac";
        ASSERT_EQ(fgetwc(pipe.in.get()), wint_t(L'g'));
        ASSERT_EQ(ungetwc(L'g', pipe.in.get()), wint_t(L'g'));
        if (i % 100 == 50) {
            wchar_t one[20], two[20], three[20];
            ASSERT_EQ(fwscanf(pipe.in.get(), L"%ls %ls %ls", one, two, three), 3);
            ASSERT_EQ(std::wstring(three), rest);
            ASSERT_EQ(getwc(pipe.in.get()), wint_t(L'\n'));
        } else {
            wchar_t line[40] = L"";
            ASSERT_NE(fgetws(line, 40, pipe.in.get()), nullptr);
            ASSERT_EQ(std::wstring(line), L"gr\u00fc\u00df \u20ac " + rest + L"\n");
        }
    }
    EXPECT_EQ(getwc(pipe.in.get()), WEOF);
    EXPECT_TRUE(feof(pipe.in.get()));
    writer.join();
    setlocale(LC_CTYPE, "C");
}

// Success leaves errno as it was, whatever that is.
TEST(stdio, an_error_from_before_is_none_of_the_call_s) {
    file_pipe pipe;
    coir::spawn([&] {
        errno = EINTR;
        EXPECT_GE(fputws(L"once\n", pipe.out.get()), 0);
        EXPECT_EQ(errno, EINTR);
        pipe.out.reset();
    }).join();
    char got[20] = "";
    EXPECT_EQ(fread(got, 1, sizeof got, pipe.in.get()), 5u);
    EXPECT_STREQ(got, "once\n");
}

// The list of libc's begins with the newest: `first` is written first.
TEST(stdio, all_are_flushed_though_one_is_closed_meanwhile) {
    fd_pair const ends = fd_pair::pipe(), others = fd_pair::pipe();
    FILE* const last = fdopen(dup(others.second), "w");
    std::size_t const filled = fill_up(ends.second);
    FILE* const first = fdopen(dup(ends.second), "w");
    ASSERT_TRUE(first && last);
    fputs("x", first);
    fputs("y", last);
    auto flushes = coir::spawn([] { return fflush(nullptr); });
    until_parked(flushes);
    coir::event closing;
    std::thread closer([&] {
        closing.set();
        fclose(first);
    });
    closing.wait();
    empty_out(ends.first, filled);
    EXPECT_EQ(flushes.get(), 0);
    int pending = 0;
    EXPECT_EQ(ioctl(others.first, FIONREAD, &pending), 0);
    EXPECT_EQ(pending, 1);
    closer.join();
    fclose(last);
}

TEST(stdio, flushing_and_closing_wait) {
    for (auto const end :
         {+[](FILE* of) { return fflush(of); }, +[](FILE*) { return fflush(nullptr); },
          +[](FILE* of) { return fclose(of); }, +[](FILE* of) { return setvbuf(of, nullptr, _IONBF, 0); },
          +[](FILE* of) { return freopen("/dev/null", "w", of) ? 0 : -1; },
          +[](FILE* of) { return fseek(of, 0, SEEK_CUR) + 1; }}) {
        fd_pair ends = fd_pair::pipe();
        std::size_t const filled = fill_up(ends.second);
        FILE* const out = fdopen(dup(ends.second), "w");
        ASSERT_EQ(fputs("pending", out), 1);
        auto ender = coir::spawn([&] { return end(out); });
        until_parked(ender);
        empty_out(ends.first, filled);
        EXPECT_EQ(ender.get(), 0);
        char got[10] = "";
        EXPECT_EQ(read(ends.first, got, sizeof got), 7);
        EXPECT_STREQ(got, "pending");
    }
}

TEST(stdio, DISABLED_exit_with_a_full_pipe) {
    fd_pair ends = fd_pair::pipe();
    fill_up(ends.second);
    FILE* const out = fdopen(dup(ends.second), "w");
    fputs("pending", out);
    auto reader = reader_of(ends.first);
    exit(42);
}

TEST(stdio, exit_waits_for_what_is_pending) {
    auto const child =
        rerun("stdio.DISABLED_exit_with_a_full_pipe", {"ASAN_OPTIONS=detect_leaks=0"}); // it leaves all it has
    EXPECT_TRUE(WIFEXITED(child.status));
    EXPECT_EQ(WEXITSTATUS(child.status), 42) << child.error;
}

TEST(stdio, dprintf_waits) {
    fd_pair ends = fd_pair::pipe();
    fcntl(ends.second, F_SETPIPE_SZ, 4096);
    auto reader = reader_of(ends.first);
    EXPECT_EQ(dprintf(ends.second, "%*d\n", 20'000, 7), 20'001);
    ends.close_second();
    EXPECT_EQ(reader.get(), std::string(19'999, ' ') + "7\n");
}

TEST(stdio, a_kill_ends_input_and_the_wait_for_the_stream) {
    file_pipe pipe;
    auto const get_one = [&] {
        int const byte = getc(pipe.in.get());
        return result{byte, errno};
    };
    result got{}, waited{};
    auto reader = coir::spawn([&] { got = get_one(); });
    until_parked(reader);
    auto waiting = coir::spawn([&] { waited = get_one(); });
    until_parked(waiting);
    waiting.kill();
    EXPECT_EQ(waited, (result{EOF, ECANCELED}));
    EXPECT_FALSE(reader.ready());
    reader.kill();
    EXPECT_EQ(got, (result{EOF, ECANCELED}));
    clearerr(pipe.in.get());
    fputs("on", pipe.out.get());
    fflush(pipe.out.get());
    EXPECT_EQ(getc(pipe.in.get()), 'o');
}

TEST(stdio, a_kill_ends_scanf) {
    file_pipe pipe;
    result got{};
    auto scanner = coir::spawn([&] {
        int number, matched = fscanf(pipe.in.get(), "%d", &number);
        got = {matched, errno};
    });
    until_parked(scanner);
    scanner.kill();
    EXPECT_EQ(got, (result{EOF, ECANCELED}));
}

TEST(stdio, handlers_end_calls) {
    struct sigaction action {
    }, before;
    action.sa_handler = nothing;
    sigaction(SIGUSR1, &action, &before);
    auto const interrupted = [](std::function<int()> const& call) {
        auto caller = coir::spawn([&] {
            errno = 0;
            int const value = call();
            return result{value, errno};
        });
        until_parked(caller);
        raise(SIGUSR1);
        return caller.get();
    };
    file_pipe pipe;
    char line[20];
    EXPECT_EQ(interrupted([&] { return getc(pipe.in.get()); }), (result{EOF, EINTR}));
    EXPECT_EQ(interrupted([&] { return fgets(line, 20, pipe.in.get()) ? 0 : EOF; }), (result{EOF, EINTR}));
    EXPECT_TRUE(ferror(pipe.in.get()));
    fill_up(fileno(pipe.out.get()));
    EXPECT_EQ(fputs("x", pipe.out.get()), 1);
    EXPECT_EQ(interrupted([&] { return fflush(pipe.out.get()); }), (result{EOF, EINTR}));
    EXPECT_TRUE(ferror(pipe.out.get()));
    EXPECT_EQ(__fpending(pipe.out.get()), 0u);
    sigaction(SIGUSR1, &before, nullptr);
}

TEST(stdio, timeouts_of_a_socket_hold) {
    fd_pair ends = fd_pair::sockets();
    timeval const soon{0, 1000};
    setsockopt(ends.first, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    file const in = open_file(dup(ends.first), "r");
    EXPECT_EQ(getc(in.get()), EOF);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_TRUE(ferror(in.get()));
    EXPECT_FALSE(feof(in.get()));
}

TEST(stdio, streams_of_the_program_s_own_functions) {
    fd_pair ends = fd_pair::pipe();
    cookie_io_functions_t functions{};
    functions.read = [](void* cookie, char* to, std::size_t size) {
        return read(static_cast<fd_pair*>(cookie)->first, to, size);
    };
    file const own{fopencookie(&ends, "r", functions), fclose};
    char first[20] = "", second[20] = "";
    auto one = coir::spawn([&] { fgets(first, 20, own.get()); });
    auto two = coir::spawn([&] { fgets(second, 20, own.get()); });
    until_parked(one);
    until_parked(two);
    EXPECT_EQ(write(ends.second, "a", 1), 1);
    until_parked(one);
    until_parked(two);
    EXPECT_EQ(write(ends.second, "b\nsecond\n", 9), 9);
    one.join();
    two.join();
    EXPECT_STREQ(first, "ab\n");
    EXPECT_STREQ(second, "second\n");
}

TEST(stdio, a_forked_child_finds_no_stream_taken) {
    fd_pair ends = fd_pair::pipe();
    std::size_t const filled = fill_up(ends.second);
    file const out = open_file(dup(ends.second), "w");
    auto writer = coir::spawn([&] {
        fputs("pending", out.get());
        fflush(out.get());
    });
    until_parked(writer);
    pid_t const child = fork();
    if (child == 0) {
        std::thread other([&] { _exit(ftrylockfile(out.get()) == 0 ? 42 : 1); });
        other.join();
        _exit(2);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 42);
    empty_out(ends.first, filled);
    writer.join();
}

TEST(iostream, buffers_over_stdio_wait) {
    file_pipe pipe;
    auto writer = coir::spawn([&] {
        __gnu_cxx::stdio_sync_filebuf<char> buffer(pipe.out.get()); // what cout has
        std::ostream out(&buffer);
        for (int i = 0; i < 5000; ++i) out << i << " number\n";
        out.flush();
        pipe.out.reset();
    });
    __gnu_cxx::stdio_sync_filebuf<char> buffer(pipe.in.get()); // what cin has
    std::istream in(&buffer);
    int count = 0, number;
    for (std::string word; in >> number >> word; ++count) ASSERT_EQ(number, count);
    EXPECT_EQ(count, 5000);
    writer.join();
}

TEST(iostream, file_streams_on_a_pipe_wait) {
    fd_pair ends = fd_pair::pipe();
    fcntl(ends.second, F_SETPIPE_SZ, 4096);
    std::ifstream in("/proc/self/fd/" + std::to_string(ends.first));
    std::ofstream out("/proc/self/fd/" + std::to_string(ends.second));
    ends.close_second();
    auto writer = coir::spawn([&] {
        for (int i = 0; i < 5000; ++i) out << i << " number\n";
        out.close();
    });
    int count = 0, number;
    for (std::string word; in >> number >> word; ++count) ASSERT_EQ(number, count);
    EXPECT_EQ(count, 5000);
    writer.join();
}
