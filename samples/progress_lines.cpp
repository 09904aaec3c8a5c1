#include "progress_lines.h"

#include <cstdio>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace {

using namespace std::chrono_literals;

constexpr auto redraw_interval = 100ms;

// Rows of the terminal that stdout is, 0 if it is none.
std::size_t rows() noexcept {
    if (!::isatty(STDOUT_FILENO)) return 0;
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return 24;
    return size.ws_row;
}

// In one piece, so that nothing of another fiber comes between. main checks once, in the end, that all could
// be written.
void write(std::FILE* to, std::string const& text) {
    std::fwrite(text.data(), 1, text.size(), to);
    std::fflush(to);
}

} // namespace

void progress_lines::started(std::size_t number, std::string const& name) {
    under_way_[number].name = name;
    if (rows()) write(stdout, erase() + draw());
}

void progress_lines::grew(std::size_t number, std::uint64_t bytes, std::uint64_t total) {
    entry& one = under_way_[number];
    one.bytes = bytes;
    one.total = total;
    if (rows() && std::chrono::steady_clock::now() - drawn_at_ >= redraw_interval)
        write(stdout, erase() + draw());
}

void progress_lines::finished(std::size_t number, std::string const& line) {
    under_way_.erase(number);
    write(stdout, erase() + line + "\n" + draw());
}

void progress_lines::failed(std::size_t number, std::string const& line) {
    under_way_.erase(number);
    write(stdout, erase());
    write(stderr, line + "\n");
    write(stdout, draw());
}

std::string progress_lines::erase() {
    std::size_t const lines = std::exchange(drawn_, 0);
    return lines ? fmt::format("\033[{}A\033[J", lines) : "";
}

std::string progress_lines::draw() {
    std::size_t const room = rows();
    if (!room || under_way_.empty()) return "";
    drawn_at_ = std::chrono::steady_clock::now();
    std::string text = "\033[?7l"; // a long line is cut off, not wrapped: it must stay one line
    for (auto const& [number, one] : under_way_) {
        ++drawn_;
        if (drawn_ + 1 == room && drawn_ < under_way_.size()) {
            text += fmt::format("  … {} more\n", under_way_.size() - drawn_ + 1);
            break;
        }
        if (one.total)
            text += fmt::format("  {:3}%  {}\n", one.bytes * 100 / one.total, one.name);
        else
            text += fmt::format("  {} bytes  {}\n", one.bytes, one.name);
    }
    return text + "\033[?7h";
}
