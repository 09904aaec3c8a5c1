// A small origin server on loopback, for trying out clients: HTTP/1.1 with keep-alive, files made up from
// their names, and a delay before the first byte. A fiber per connection, all on one thread, over coir::net.
//
//     origin [--port N] [--delay MS] [--size BYTES] [--patience MS]
//
//     /NAME?size=N&delay=MS   the file NAME; X-Checksum is its SHA-256
//     /half/NAME?…            the same announcement, but the connection ends half way through the file
//     /missing/…              404
//     /stats                  {"served", "in_flight", "peak"}: requests for anything but /stats
//
// A file is the start of the 64-bit little-endian words that splitmix64 makes, seeded with the 64-bit FNV-1a
// of NAME.
#include "descriptors.h"

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <chrono>
#include <coir.h>
#include <csignal>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using coir::net::tcp_stream;
using std::string_view;
using milliseconds = std::chrono::milliseconds;

struct settings {
    std::uint16_t port = 0;
    std::uint64_t delay = 0, size = 10'000, patience = 30'000; // ms, bytes, ms
};
constexpr std::uint64_t most_size = 1 << 30, most_delay = 3'600'000;

struct counts {
    std::uint64_t served = 0, in_flight = 0, peak = 0;
} count;

struct refusal {
    char const* status;
    string_view more_headers = "";
};

struct request {
    string_view path, name;
    std::uint64_t size, delay;
    bool head_only = false, keep_alive = true;
    bool in(string_view directory) const { return path.starts_with(directory); }
};

class content {
public:
    content(string_view name, std::uint64_t size) : left_(size) {
        for (unsigned char each : name) state_ = (state_ ^ each) * 0x100000001b3;
    }

    /// The next piece; empty at the end.
    string_view next() {
        auto const size = std::size_t(std::min<std::uint64_t>(left_, sizeof piece_));
        for (std::uint64_t& word : piece_) {
            std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
            mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
            word = htole64(mixed ^ (mixed >> 31));
        }
        left_ -= size;
        return {reinterpret_cast<char const*>(piece_.data()), size};
    }

private:
    std::uint64_t state_ = 0xcbf29ce484222325, left_;
    std::array<std::uint64_t, 1024> piece_;
};

// A gigabyte takes seconds: the other connections have their turns meanwhile.
std::string checksum(content of) {
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> sum{EVP_MD_CTX_new(), EVP_MD_CTX_free};
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    bool good = sum && EVP_DigestInit_ex(sum.get(), EVP_sha256(), nullptr);
    for (string_view piece; good && !(piece = of.next()).empty(); coir::yield())
        good = EVP_DigestUpdate(sum.get(), piece.data(), piece.size());
    if (!good || !EVP_DigestFinal_ex(sum.get(), digest.data(), &size)) throw refusal{"500 Internal Server Error"};
    return fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + size, ""));
}

// Takes what is before `mark` off the front of `text`; all of it if there is no mark.
string_view cut(string_view& text, string_view mark) {
    auto const at = text.find(mark);
    string_view const front = text.substr(0, at);
    text.remove_prefix(at == text.npos ? text.size() : at + mark.size());
    return front;
}

std::uint64_t number(string_view text, std::uint64_t most) {
    std::uint64_t value = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > most) throw refusal{"400 Bad Request"};
    return value;
}

bool same_word(string_view a, string_view lower) {
    return std::equal(a.begin(), a.end(), lower.begin(), lower.end(),
                      [](unsigned char x, char y) { return std::tolower(x) == y; });
}

request parse(string_view head, settings const& defaults) {
    string_view line = cut(head, "\r\n");
    string_view const method = cut(line, " ");
    string_view target = cut(line, " ");
    if (method.empty() || !target.starts_with('/') || (line != "HTTP/1.1" && line != "HTTP/1.0"))
        throw refusal{"400 Bad Request"};
    bool host_named = line == "HTTP/1.0";
    request asked{{}, {}, defaults.size, defaults.delay, method == "HEAD", line == "HTTP/1.1"};
    while (!head.empty()) {
        string_view value = cut(head, "\r\n");
        if (value.find(':') == value.npos) throw refusal{"400 Bad Request"};
        string_view const name = cut(value, ":");
        if (name.empty() || name.find_first_of(" \t") != name.npos) throw refusal{"400 Bad Request"};
        value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
        if (same_word(name, "host")) host_named = true;
        if (same_word(name, "connection") && same_word(value, "close")) asked.keep_alive = false;
        // The body of a request is not read, so nothing that follows could be told from it.
        if (same_word(name, "content-length") || same_word(name, "transfer-encoding")) asked.keep_alive = false;
    }
    if (!host_named) throw refusal{"400 Bad Request"};
    if (method != "GET" && method != "HEAD") throw refusal{"405 Method Not Allowed", "Allow: GET, HEAD\r\n"};
    asked.path = asked.name = cut(target, "?");
    asked.name.remove_prefix(asked.in("/half/") ? 6 : 1);
    while (!target.empty()) {
        string_view value = cut(target, "&");
        string_view const key = cut(value, "=");
        if (key == "size") asked.size = number(value, most_size);
        if (key == "delay") asked.delay = number(value, most_delay);
    }
    return asked;
}

std::string head_of(string_view status, std::uint64_t size, bool keep_alive, string_view more) {
    return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}{}\r\n", status, size, more,
                       keep_alive ? "" : "Connection: close\r\n");
}

// Memory of a connection lies on the stack of its fiber: one that waits when the program ends leaves nothing
// behind.
class connection {
public:
    connection(tcp_stream peer, settings const& chosen) : peer_(std::move(peer)), chosen_(chosen) {}

    void serve() try {
        while (std::size_t const size = read_head()) {
            request const asked = parse({buffer_.data(), size - 2}, chosen_);
            bool const goes_on = asked.path == "/stats" ? tell_stats(asked) : counted_answer(asked);
            if (!goes_on) return finish();
            std::copy(buffer_.begin() + size, buffer_.begin() + filled_, buffer_.begin());
            filled_ -= size;
        }
    } catch (refusal const& why) {
        peer_.write_all(head_of(why.status, 0, false, why.more_headers), patience());
        finish();
    }

private:
    coir::deadline patience() const { return milliseconds(chosen_.patience); }

    // Its size, with the empty line that ends it; 0 if the client asks no more. The deadline is for the whole
    // head: one that comes byte by byte is not waited for any longer.
    std::size_t read_head() {
        coir::deadline const until = patience();
        for (;;) {
            auto const end = string_view(buffer_.data(), filled_).find("\r\n\r\n");
            if (end != string_view::npos) return end + 4;
            if (filled_ == buffer_.size()) throw refusal{"431 Request Header Fields Too Large"};
            std::size_t got = 0;
            try {
                got = peer_.read_some(std::span(buffer_).subspan(filled_), until);
            } catch (std::system_error const& late) {
                if (late.code() != std::errc::timed_out) throw;
                if (filled_ > 0) throw refusal{"408 Request Timeout"};
            }
            if (got == 0) return 0;
            filled_ += got;
        }
    }

    bool tell_stats(request const& asked) {
        std::string const body = fmt::format("{{\"served\": {}, \"in_flight\": {}, \"peak\": {}}}\n", count.served,
                                             count.in_flight, count.peak);
        peer_.write_all(head_of("200 OK", body.size(), asked.keep_alive, "Content-Type: application/json\r\n") +
                            (asked.head_only ? "" : body),
                        patience());
        return asked.keep_alive;
    }

    bool counted_answer(request const& asked) {
        struct in_flight {
            in_flight() { count.peak = std::max(count.peak, ++count.in_flight); }
            ~in_flight() { ++count.served, --count.in_flight; }
        } const counted;
        return answer(asked);
    }

    bool answer(request const& asked) {
        coir::sleep(milliseconds(asked.delay));
        if (asked.in("/missing/")) {
            peer_.write_all(head_of("404 Not Found", 0, asked.keep_alive, ""), patience());
            return asked.keep_alive;
        }
        std::string const more = fmt::format("Content-Type: application/octet-stream\r\nX-Checksum: {}\r\n",
                                             checksum(content(asked.name, asked.size)));
        peer_.write_all(head_of("200 OK", asked.size, asked.keep_alive, more), patience());
        if (asked.head_only) return asked.keep_alive;
        bool const half = asked.in("/half/");
        content file(asked.name, half ? asked.size / 2 : asked.size);
        for (string_view piece; !(piece = file.next()).empty();) peer_.write_all(piece, patience());
        return asked.keep_alive && !half;
    }

    // A close() while unread input lies here would reset the connection, and the answer might be lost with
    // it. A client that goes on sending is not heard to the end.
    void finish() {
        peer_.shutdown_write();
        coir::deadline const until = 1s;
        for (int left = 256; left > 0 && peer_.read_some(buffer_, until) > 0; --left) {}
    }

    tcp_stream peer_;
    settings const& chosen_;
    std::array<char, 8192> buffer_;
    std::size_t filled_ = 0;
};

void serve(tcp_stream peer, settings const& chosen) {
    try {
        connection(std::move(peer), chosen).serve();
    } catch (std::system_error const& error) {
        // Clients go away and stall as they like; anything else is worth a line.
        for (auto usual :
             {std::errc::connection_reset, std::errc::broken_pipe, std::errc::timed_out, std::errc::not_connected})
            if (error.code() == usual) return;
        fmt::print(stderr, "origin: {}\n", error.what());
    }
}

void accept_until_closed(coir::net::tcp_listener& listener, settings const& chosen) {
    for (bool said = false; listener.is_open();) {
        try {
            coir::spawn(serve, listener.accept(), std::cref(chosen));
        } catch (std::system_error const& error) {
            if (!listener.is_open()) return;
            if (error.code() == std::errc::bad_file_descriptor || error.code() == std::errc::invalid_argument) throw;
            if (!std::exchange(said, true)) fmt::print(stderr, "origin: {}; new connections wait\n", error.what());
            coir::sleep(20ms);
        }
    }
}

void close_on_signal(int signals, coir::net::tcp_listener& listener) {
    coir::hub::wait_fd(signals, coir::hub::readable);
    listener.close();
}

} // namespace

int main(int argc, char** argv) {
    settings chosen;
    CLI::App options{"Serves made-up files on loopback, after a delay."};
    options.add_option("--port", chosen.port, "where to listen on 127.0.0.1; 0: any free port")->capture_default_str();
    options.add_option("--delay", chosen.delay, "ms before the first byte, unless the URL says delay=MS")
        ->check(CLI::Range(std::uint64_t(0), most_delay))
        ->capture_default_str();
    options.add_option("--size", chosen.size, "bytes of a file, unless the URL says size=BYTES")
        ->check(CLI::Range(std::uint64_t(0), most_size))
        ->capture_default_str();
    options.add_option("--patience", chosen.patience, "ms that a client has to send a request, or to take 8 KiB")
        ->check(CLI::Range(std::uint64_t(1), most_delay))
        ->capture_default_str();
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }
    try {
        sigset_t ending;
        sigemptyset(&ending);
        sigaddset(&ending, SIGTERM);
        sigaddset(&ending, SIGINT);
        pthread_sigmask(SIG_BLOCK, &ending, nullptr);
        int const signals = signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
        if (signals < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
        raise_descriptor_limit();
        coir::net::tcp_listener listener(coir::net::address::ip("127.0.0.1", chosen.port));
        coir::spawn(close_on_signal, signals, std::ref(listener));
        fmt::print("listening on {}\n", listener.local_address().to_string());
        std::fflush(stdout);
        accept_until_closed(listener, chosen);
    } catch (std::exception const& error) {
        fmt::print(stderr, "origin: {}\n", error.what());
        return 1;
    }
}
