#include "progress_lines.h"

#include <cstdio>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace {

using namespace std::chrono_literals;

constexpr auto redraw_interval = 100ms;

// Asked each time: a window changes its size.
std::size_t rows() noexcept {
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

progress_lines::progress_lines() : on_terminal_(::isatty(STDOUT_FILENO)) {}

void progress_lines::started(std::size_t number, std::string const& name) {
    under_way_[number].name = name;
    if (on_terminal_) redraw();
}

void progress_lines::grew(std::size_t number, std::uint64_t bytes, std::uint64_t total) {
    entry& one = under_way_[number];
    one.bytes = bytes;
    one.total = total;
    if (on_terminal_ && std::chrono::steady_clock::now() - drawn_at_ >= redraw_interval) redraw();
}

void progress_lines::finished(std::size_t number, std::string const& line) {
    under_way_.erase(number);
    redraw(line + "\n");
}

void progress_lines::failed(std::size_t number, std::string const& line) {
    under_way_.erase(number);
    write(stdout, erase());
    write(stderr, line + "\n");
    write(stdout, draw());
}

void progress_lines::redraw(std::string const& above) {
    std::string text = erase();
    text += above;
    text += draw();
    write(stdout, text);
}

std::string progress_lines::erase() {
    std::size_t const lines = std::exchange(drawn_, 0);
    return lines ? fmt::format("\033[{}A\033[J", lines) : "";
}

std::string progress_lines::draw() {
    if (!on_terminal_ || under_way_.empty()) return "";
    std::size_t const room = rows();
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
