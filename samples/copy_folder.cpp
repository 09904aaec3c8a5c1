// Copies a folder with all that is in it, several files at a time, on one thread: a pool of fibers, each in a call of
// copy_file() that blocks. Linked with libcoir-monkey.so, so what waits for the disk lets the others run.
//
//     $ copy_folder photos backup
//     holiday/1.jpg  2345678 bytes
//     holiday/2.jpg  3456789 bytes
//     2 files, 2 folders, 0 links, 5802467 bytes; 0 unchanged, 0 skipped, 0 failed
//
// Permissions, times, symbolic links and holes are kept; owners, and that two names are one file, are not.
#include "copy_file.h"
#include "descriptors.h"
#include "progress_lines.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <coir.h>
#include <cstdint>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(std::string const& what, int error = errno) {
    throw std::system_error(error, std::generic_category(), what);
}

// In one line, and nothing that a terminal would obey.
std::string shown(fs::path const& name) {
    std::string text = name.empty() ? "." : name.native();
    unsigned char before = 0;
    for (char& each : text) {
        auto const byte = static_cast<unsigned char>(each);
        bool const is_c1 = before == 0xc2 && byte < 0xa0; // U+0080 to U+009F, in UTF-8
        if (byte < ' ' || byte == 127 || is_c1) each = '?';
        before = byte;
    }
    return text;
}

struct stat about(fs::path const& path) {
    struct stat of;
    if (::lstat(path.c_str(), &of) != 0) fail("stat");
    return of;
}

// Or the same.
bool is_inside(fs::path inner, fs::path const& outer) {
    std::error_code not_there;
    while (!fs::equivalent(inner, outer, not_there)) {
        if (inner == inner.root_path()) return false;
        inner = inner.parent_path();
    }
    return true;
}

class copying {
public:
    copying(fs::path from, fs::path to, std::size_t jobs, bool updates, bool syncs)
        : from_(std::move(from)), to_(std::move(to)), updates_(updates), syncs_(syncs), jobs_(jobs) {}

    // Whether all went well. Names are from here on those below the two folders.
    bool run() {
        std::vector<fs::path> folders; // to be gone through
        make_folder({}, folders);
        while (!folders.empty()) {
            fs::path const folder = std::move(folders.back());
            folders.pop_back();
            attempt(folder, ++last_, [&] { go_through(folder, folders); });
        }
        jobs_.join();
        // What is made in a folder changes its times, and needs its permission: those come last, from the innermost on.
        for (auto each = made_.rbegin(); each != made_.rend(); ++each)
            attempt(each->first, ++last_, [&] { finish_folder(each->first, each->second); });
        lines_.finished(++last_,
                        fmt::format("{} files, {} folders, {} links, {} bytes; {} unchanged, {} skipped, {} failed",
                                    files_, made_.size(), links_, bytes_, unchanged_, skipped_, failed_));
        return failed_ == 0;
    }

private:
    // An error is that file's matter: the others are copied all the same.
    void attempt(fs::path const& name, std::size_t number, auto const& what) {
        try {
            what();
        } catch (fs::filesystem_error const& error) {
            report(name, number, error.code().message());
        } catch (std::exception const& error) {
            report(name, number, error.what());
        }
    }
    void report(fs::path const& name, std::size_t number, std::string const& reason) {
        ++failed_;
        lines_.failed(number, fmt::format("{}: {}", shown(name), reason));
    }

    void go_through(fs::path const& folder, std::vector<fs::path>& folders) {
        for (fs::directory_entry const& each : fs::directory_iterator(from_ / folder)) {
            fs::path const name = folder / each.path().filename();
            std::size_t const number = ++last_;
            if (!each.is_symlink() && each.is_directory())
                attempt(name, number, [&] { make_folder(name, folders); });
            else // waits while all are at work
                jobs_.spawn([=, this] { attempt(name, number, [&] { copy(name, number); }); });
        }
    }

    void make_folder(fs::path const& name, std::vector<fs::path>& folders) {
        fs::path const to = name.empty() ? to_ : to_ / name;
        struct stat const of = about(from_ / name);
        if (::mkdir(to.c_str(), 0700) != 0) {
            int const error = errno;
            mode_t const there = error == EEXIST && updates_ ? about(to).st_mode : 0;
            if (!S_ISDIR(there)) fail("create " + shown(to), error);
            if ((there & 0700) != 0700 && ::chmod(to.c_str(), 0700) != 0) fail("chmod");
        }
        made_.emplace_back(name, of);
        folders.push_back(name);
    }

    void finish_folder(fs::path const& name, struct stat const& of) {
        int const fd = ::open((to_ / name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) fail("open");
        struct closing {
            int fd;
            ~closing() { ::close(fd); }
        } at_end{fd};
        keep_mode_and_times(fd, of);
        if (syncs_ && ::fsync(fd) != 0) fail("fsync");
    }

    void copy(fs::path const& name, std::size_t number) {
        fs::path const from = from_ / name, to = to_ / name;
        struct stat const of = about(from);
        if (S_ISLNK(of.st_mode)) {
            copy_link(from, to, of);
        } else if (!S_ISREG(of.st_mode)) {
            ++skipped_;
            lines_.failed(number, fmt::format("{}: skipped, as it is a {}", shown(name),
                                              S_ISFIFO(of.st_mode)   ? "FIFO"
                                              : S_ISSOCK(of.st_mode) ? "socket"
                                                                     : "device"));
        } else if (updates_ && is_up_to_date(to, of)) {
            ++unchanged_;
        } else {
            lines_.started(number, shown(name));
            auto const bytes =
                copy_file(from, to, syncs_, [&](auto done, auto total) { lines_.grew(number, done, total); });
            ++files_;
            bytes_ += bytes;
            lines_.finished(number, fmt::format("{}  {} bytes", shown(name), bytes));
        }
    }

    // By what is kept: a file that was copied before and not changed since.
    static bool is_up_to_date(fs::path const& to, struct stat const& of) {
        struct stat there;
        return ::lstat(to.c_str(), &there) == 0 && S_ISREG(there.st_mode) && there.st_size == of.st_size &&
               there.st_mtim.tv_sec == of.st_mtim.tv_sec && there.st_mtim.tv_nsec == of.st_mtim.tv_nsec &&
               (there.st_mode & 01777) == (of.st_mode & 01777);
    }

    void copy_link(fs::path const& from, fs::path const& to, struct stat const& of) {
        fs::path const text = fs::read_symlink(from);
        if (updates_ && fs::is_symlink(fs::symlink_status(to)) && fs::read_symlink(to) == text) {
            ++unchanged_;
            return;
        }
        if (updates_ && ::unlink(to.c_str()) != 0 && errno != ENOENT) fail("replace");
        if (::symlink(text.c_str(), to.c_str()) != 0) fail("create");
        timespec const times[] = {of.st_atim, of.st_mtim};
        if (::utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) fail("set the times");
        ++links_;
    }

    fs::path const from_, to_;
    bool const updates_, syncs_;
    std::vector<std::pair<fs::path, struct stat>> made_; // folders, those within others behind them
    std::uint64_t files_ = 0, links_ = 0, bytes_ = 0, unchanged_ = 0, skipped_ = 0, failed_ = 0;
    std::size_t last_ = 0; // number of a line
    progress_lines lines_;
    coir::pool jobs_;
};

} // namespace

int main(int argc, char** argv) try {
    std::string from, to;
    std::size_t jobs = 8;
    bool updates = false, syncs = false;
    CLI::App options{"Copies a folder, several files at a time."};
    options.add_option("from", from, "the folder")->required();
    options.add_option("to", to, "what the copy is to be called; it must not be there yet")->required();
    options.add_option("--jobs", jobs, "how many files at a time")->check(CLI::Range(1, 1000))->capture_default_str();
    options.add_flag("--update", updates, "it may be there: copy into it what differs, by size, time and permissions");
    options.add_flag("--sync", syncs, "see that each file is on the disk");
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }

    fs::path const source = fs::canonical(from);
    fs::path target = fs::weakly_canonical(fs::absolute(to));
    if (!target.has_filename()) target = target.parent_path(); // it was written with a slash behind it
    if (!fs::is_directory(source)) fail(from, ENOTDIR);
    if (is_inside(target, source) || is_inside(source, target))
        throw std::runtime_error(fmt::format("of {} and {} one is in the other", from, to));
    if (!updates && fs::exists(fs::symlink_status(target)))
        throw std::runtime_error(fmt::format("{} is there already: --update copies into it what differs", to));
    raise_descriptor_limit(); // each file at work has two
    copying all(source, target, jobs, updates, syncs);
    bool const went_well = all.run();
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        fmt::print(stderr, "copy_folder: write to stdout failed\n");
        return 1;
    }
    return went_well ? 0 : 1;
} catch (std::filesystem::filesystem_error const& error) {
    fmt::print(stderr, "copy_folder: {}: {}\n", error.path1().native(), error.code().message());
    return 1;
} catch (std::exception const& error) {
    fmt::print(stderr, "copy_folder: {}\n", error.what());
    return 1;
}
