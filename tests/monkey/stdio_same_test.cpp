// stdio in a fiber gives what it gives on a thread without fibers, which is libc's own: results, errno, flags and bytes
// of random programs are compared.

#include "tests/monkey/fixture.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <random>
#include <sched.h>
#include <stdio_ext.h>
#include <string>
#include <sys/ioctl.h>
#include <thread>
#include <vector>

namespace {

// What a program saw, a line per call.
class transcript {
public:
    __attribute__((format(printf, 2, 3))) void note(char const* format, ...) {
        char line[512];
        va_list list;
        va_start(list, format);
        vsnprintf(line, sizeof line, format, list);
        va_end(list);
        text += line;
        text += '\n';
    }
    void note(std::string const& what, std::string const& bytes) {
        text += what;
        for (char each : bytes)
            if (each >= ' ' && each < 127)
                text += each;
            else
                note_byte(each);
        text += '\n';
    }
    void state(FILE* of) { note("  eof %d error %d errno %d", feof(of), ferror(of), errno); }
    std::string text;

private:
    void note_byte(char each) {
        char code[8];
        snprintf(code, sizeof code, "\\%02x", static_cast<unsigned char>(each));
        text += code;
    }
};

using program = std::function<void(int fd, transcript&)>;
using other_end = std::function<std::string(int fd)>;

struct seen {
    std::string program, peer;
    bool operator==(seen const&) const = default;
};

// By two threads that have no fibers.
seen natively(fd_pair ends, program const& run, other_end const& peer) {
    seen both;
    transcript notes;
    std::thread other([&] { both.peer = peer(ends.second); });
    std::thread one([&] { run(ends.first, notes); });
    one.join();
    other.join();
    both.program = notes.text;
    return both;
}

// By two fibers of this thread.
seen in_fibers(fd_pair ends, program const& run, other_end const& peer) {
    seen both;
    transcript notes;
    auto other = coir::spawn([&] { both.peer = peer(ends.second); });
    auto one = coir::spawn([&] { run(ends.first, notes); });
    one.join();
    other.join();
    both.program = notes.text;
    return both;
}

template <class Make>
void expect_same(Make make, program const& run, other_end const& peer) {
    seen const libc = natively(make(), run, peer);
    seen const fibers = in_fibers(make(), run, peer);
    EXPECT_GT(libc.program.size(), 0u);
    EXPECT_EQ(fibers.program, libc.program);
    EXPECT_TRUE(fibers.peer == libc.peer) << fibers.peer.size() << " and " << libc.peer.size();
}

int unread(int fd) {
    int bytes = 0;
    ioctl(fd, FIONREAD, &bytes);
    return bytes;
}

// Writes the pieces, each when the one before has been read: every read gets one of them at most.
other_end feeding(std::vector<std::string> pieces, int keep_open) {
    return [=](int fd) {
        for (auto const& each : pieces) {
            while (unread(keep_open) > 0) sched_yield();
            if (write(fd, each.data(), each.size()) < 0) break;
        }
        close(fd);
        return std::string();
    };
}

struct dice {
    std::mt19937 engine;
    explicit dice(unsigned seed) : engine(seed) {}
    int operator()(int below) { return int(engine() % unsigned(below)); }
    std::string text(int most) {
        static char const letters[] = "abc 12 34\n\n,x-7";
        std::string made;
        for (int left = (*this)(most) + 1; left > 0; --left)
            made += (*this)(40) == 0 ? '\0' : letters[(*this)(int(sizeof letters) - 1)];
        return made;
    }
};

void choose_buffer(FILE* stream, dice& roll, std::vector<char>& room, transcript& notes) {
    static int const sizes[] = {1, 2, 7, 100, 128, 200, 1024, 5000};
    int const size = sizes[roll(8)];
    room.resize(std::size_t(size));
    int const kind = roll(5);
    notes.note("buffer %d of %d", kind, size);
    switch (kind) {
    case 0: setvbuf(stream, nullptr, _IONBF, 0); break;
    case 1: setvbuf(stream, room.data(), _IOLBF, std::size_t(size)); break;
    case 2: setvbuf(stream, room.data(), _IOFBF, std::size_t(size)); break;
    case 3: setvbuf(stream, nullptr, _IOLBF, 0); break;
    default: break;
    }
}

void read_something(FILE* in, dice& roll, transcript& notes) {
    std::vector<char> room(8000, '#');
    auto const bytes = [&](auto count) { return std::string(room.data(), std::size_t(count)); };
    static int const sizes[] = {0, 1, 2, 3, 10, 127, 128, 300, 4096, 8000};
    auto const size = [&] { return sizes[roll(10)]; };
    int number = -1, matched;
    errno = 0;
    switch (roll(16)) {
    case 0: notes.note("fgetc %d", fgetc(in)); break;
    case 1: notes.note("getc_unlocked %d", getc_unlocked(in)); break;
    case 2:
    case 3:
    case 4: {
        int const most = size();
        bool const had = fgets(room.data(), most, in);
        notes.note("fgets " + std::to_string(had) + " ", bytes(std::max(most, 1)));
        break;
    }
    case 5:
    case 6: {
        std::size_t const each = std::size_t(roll(3) + 1), count = std::size_t(size()) / each;
        std::size_t const had = fread(room.data(), each, count, in);
        notes.note("fread " + std::to_string(had) + " ", bytes(had * each));
        break;
    }
    case 7:
    case 8: {
        char* line = nullptr;
        std::size_t most = 0;
        long const had = roll(2) ? getline(&line, &most, in) : getdelim(&line, &most, ',', in);
        notes.note("getline " + std::to_string(had) + " of " + std::to_string(most) + " ",
                   had > 0 ? std::string(line, std::size_t(had)) : "");
        free(line);
        break;
    }
    case 9: notes.note("ungetc %d", ungetc('A' + roll(3), in)); break;
    case 10: {
        int const byte = fgetc(in);
        notes.note("back %d %d", byte, byte == EOF ? 0 : ungetc(byte, in));
        break;
    }
    case 11:
        matched = fscanf(in, "%d", &number);
        notes.note("%%d %d %d", matched, number);
        break;
    case 12:
        matched = fscanf(in, "%*[abc ]%n%9s", &number, room.data());
        notes.note("%%s %d %d %s", matched, number, room.data()[0] == '#' ? "" : room.data());
        break;
    case 13:
        matched = fscanf(in, " x%d,%c", &number, room.data());
        notes.note("x%%d %d %d %d", matched, number, room[0]);
        break;
    case 14: clearerr(in); break;
    case 15: notes.note("fread_unlocked %zu", fread_unlocked(room.data(), 1, 5, in)); break;
    }
    notes.state(in);
}

void write_something(FILE* out, dice& roll, transcript& notes, bool formats) {
    static int const sizes[] = {1, 2, 3, 10, 127, 128, 300, 4096, 9000};
    errno = 0;
    switch (roll(formats ? 10 : 7)) {
    case 0: notes.note("fputc %d", fputc('a' + roll(26), out)); break;
    case 1: notes.note("newline %d", putc_unlocked('\n', out)); break;
    case 2:
    case 3: {
        std::string text = roll.text(sizes[roll(9)]);
        std::erase(text, '\0');
        int const result = fputs(text.c_str(), out);
        notes.note("fputs " + std::to_string(result) + " ", text);
        break;
    }
    case 4:
    case 5: {
        std::string const text = roll.text(sizes[roll(9)]);
        std::size_t const each = std::size_t(roll(3) + 1);
        notes.note("fwrite %zu", fwrite(text.data(), each, text.size() / each, out));
        break;
    }
    case 6:
        if (roll(3) == 0) notes.note("fflush %d", fflush(out));
        break;
    case 7: notes.note("fprintf %d", fprintf(out, "%d %s\n%5.2f", roll(1000), "text", 1.5)); break;
    case 8: notes.note("fprintf long %d", fprintf(out, "%*d|%-600s|\n", roll(5000) + 1, 1, "left")); break;
    case 9: notes.note("fprintf empty %d", fprintf(out, "%s", "")); break;
    }
    notes.note("  error %d errno %d", ferror(out), errno);
}

std::string read_all(int fd) {
    std::string all;
    char part[700];
    for (ssize_t got; (got = read(fd, part, sizeof part)) > 0;) all.append(part, std::size_t(got));
    return all;
}

// With the bounds of messages.
std::string read_messages(int fd) {
    std::string all;
    std::vector<char> part(20000);
    for (ssize_t got; (got = read(fd, part.data(), part.size())) > 0;) {
        all.append(part.data(), std::size_t(got));
        all += '|';
    }
    return all;
}

fd_pair small_pipe() {
    fd_pair ends = fd_pair::pipe();
    fcntl(ends.second, F_SETPIPE_SZ, 4096);
    return ends;
}
fd_pair turned(fd_pair ends) {
    std::swap(ends.first, ends.second);
    return ends;
}

} // namespace

class random_programs : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(seeds, random_programs, ::testing::Range(1u, 201u));

TEST_P(random_programs, read_the_same) {
    dice plan(GetParam());
    std::vector<std::string> pieces;
    for (int count = plan(30); count > 0; --count) pieces.push_back(plan.text(plan(4) ? 40 : 3000));
    for (auto const make : {small_pipe, +[] { return fd_pair::sockets(); }}) {
        auto const run = [&](int fd, transcript& notes) {
            dice roll(GetParam() + 1000);
            std::vector<char> room;
            FILE* const in = fdopen(dup(fd), "r");
            choose_buffer(in, roll, room, notes);
            int ends = 0;
            for (int left = 2000; left > 0 && ends < 5; --left) {
                read_something(in, roll, notes);
                ends += feof(in);
            }
            char rest[1000];
            while (fread(rest, 1, sizeof rest, in) > 0) {} // so that the other one gets to its end
            notes.note("fclose %d", fclose(in));
        };
        expect_same(make, run, [&](int fd) {
            // unread() of a pipe can be asked at either end; of a socket only at the reader's.
            bool const is_socket = recv(fd, nullptr, 0, MSG_DONTWAIT) == 0 || errno != ENOTSOCK;
            if (!is_socket) return feeding(pieces, fd)(fd);
            for (auto const& each : pieces) {
                int left = 1;
                while (ioctl(fd, TIOCOUTQ, &left) == 0 && left > 0) sched_yield();
                if (write(fd, each.data(), each.size()) < 0) break;
            }
            shutdown(fd, SHUT_WR);
            return std::string();
        });
    }
}

TEST_P(random_programs, write_the_same) {
    auto const run = [&](int fd, transcript& notes) {
        dice roll(GetParam());
        std::vector<char> room;
        FILE* const out = fdopen(dup(fd), "w");
        choose_buffer(out, roll, room, notes);
        for (int left = roll(60); left > 0; --left) write_something(out, roll, notes, true);
        notes.note("fclose %d", fclose(out));
        close(fd);
    };
    expect_same([] { return turned(small_pipe()); }, run, read_all);
    expect_same([] { return fd_pair::sockets(); }, run, read_all);
}

TEST_P(random_programs, send_the_same_messages) {
    auto const run = [&](int fd, transcript& notes) {
        dice roll(GetParam());
        std::vector<char> room;
        FILE* const out = fdopen(dup(fd), "w");
        choose_buffer(out, roll, room, notes);
        for (int left = roll(60); left > 0; --left) write_something(out, roll, notes, false);
        notes.note("fclose %d", fclose(out));
        close(fd);
    };
    expect_same([] { return fd_pair::sockets(SOCK_SEQPACKET); }, run, read_messages);
}

TEST_P(random_programs, fail_the_same) {
    // The reader goes away, or never reads while the writer will not wait.
    for (bool const goes_away : {true, false}) {
        auto const run = [&](int fd, transcript& notes) {
            dice roll(GetParam());
            std::vector<char> room;
            FILE* const out = fdopen(dup(fd), "w");
            choose_buffer(out, roll, room, notes);
            if (!goes_away) fcntl(fd, F_SETFL, O_NONBLOCK);
            for (int left = 40; left > 0; --left) write_something(out, roll, notes, true);
            errno = 0;
            int const closed = fclose(out);
            notes.note("fclose %d errno %d", closed, errno);
            char more = 'x';
            if (!goes_away) notes.note("room %zd", write(fd, &more, 1));
            close(fd);
        };
        auto const make = [&] {
            signal(SIGPIPE, SIG_IGN);
            fd_pair ends = turned(small_pipe());
            if (goes_away) ends.close_second();
            return ends;
        };
        seen const fibers = in_fibers(make(), run, [](int) { return std::string(); });
        seen const libc = natively(make(), run, [](int) { return std::string(); });
        EXPECT_EQ(fibers.program, libc.program);
        EXPECT_NE(libc.program.find(goes_away ? "errno 32" : "errno 11"), std::string::npos);
    }
}

TEST_P(random_programs, talk_the_same) {
    // One stream both ways, with what was not read lying in it now and then.
    auto const run = [&](int fd, transcript& notes) {
        dice roll(GetParam());
        FILE* const both = fdopen(dup(fd), "r+");
        for (int left = 30; left > 0; --left) {
            if (roll(3) == 0) {
                write_something(both, roll, notes, true);
                notes.note("fflush %d", fflush(both));
            } else {
                char line[100] = "";
                notes.note("fgets %d %s", fgets(line, 20, both) != nullptr, line);
                if (roll(2)) notes.note("fseek %d", fseek(both, 0, SEEK_CUR));
            }
            notes.state(both);
        }
        shutdown(fd, SHUT_WR);
        notes.note("fclose %d", fclose(both));
        shutdown(fd, SHUT_RDWR);
    };
    auto const peer = [](int fd) {
        std::string const lines(500, '\n');
        if (write(fd, lines.data(), lines.size()) < 0) return std::string("failed");
        shutdown(fd, SHUT_WR);
        return read_all(fd);
    };
    expect_same([] { return fd_pair::sockets(); }, run, peer);
}
