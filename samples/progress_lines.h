// A line per file on a terminal: those under way stand at its foot and are drawn again as they grow, finished
// ones scroll away above them. Where stdout is no terminal, finished files are plain lines and nothing else
// is printed. Failures go to stderr in both cases.
//
// Belongs to one thread. Its fibers may call it in any order: a write that parks finds the state already
// changed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

class progress_lines {
public:
    progress_lines();

    /// Files are told apart by their number, which is also the order of their lines.
    void started(std::size_t number, std::string const& name);
    /// `total` is 0 while it is not known. Both in bytes.
    void grew(std::size_t number, std::uint64_t bytes, std::uint64_t total);
    /// `line` is what remains of the file on the screen, without an end of line.
    void finished(std::size_t number, std::string const& line);
    void failed(std::size_t number, std::string const& line);

private:
    struct entry {
        std::string name;
        std::uint64_t bytes = 0;
        std::uint64_t total = 0;
    };

    void redraw(std::string const& above = "");
    std::string erase();
    std::string draw();

    bool const on_terminal_;
    std::map<std::size_t, entry> under_way_;
    std::size_t drawn_ = 0; // lines at the foot of the screen that are ours to overwrite
    std::chrono::steady_clock::time_point drawn_at_;
};
