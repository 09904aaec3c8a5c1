// Downloads URLs into files, all at once, on one thread: a fiber per URL, each in a call of download() that
// blocks.
//
//     LD_PRELOAD=libcoir-monkey.so downloader --dir /tmp http://origin/1.gif http://origin/2.gif
//
// Without the shim the calls really block, and the files come one after another.
#include "download.h"
#include "progress_lines.h"

#include <CLI/CLI.hpp>
#include <coir.h>
#include <csignal>
#include <curl/curl.h>
#include <fmt/format.h>
#include <monkey/monkey.h>
#include <set>
#include <string>
#include <vector>

namespace {

using seconds = std::chrono::duration<double>;

struct file {
    std::size_t number;
    std::string url;
    std::string name;
};

// The last component of the URL's path.
std::string name_of(std::string const& url) {
    std::string const path = url.substr(0, url.find_first_of("?#"));
    auto const scheme = path.find("://");
    auto const slash = path.find('/', scheme == std::string::npos ? 0 : scheme + 3);
    std::string const name = slash == std::string::npos ? "" : path.substr(path.rfind('/') + 1);
    return name.empty() || name == "." || name == ".." ? "index.html" : name;
}

// Names in the order of the URLs: name, name.1, name.2 … where they agree. A file's .part counts as a name,
// too.
std::vector<file> name_files(std::vector<std::string> const& urls) {
    std::set<std::string> taken;
    std::vector<file> files;
    for (std::string const& url : urls) {
        std::string const wanted = name_of(url);
        std::string name = wanted;
        for (int n = 1; taken.contains(name) || taken.contains(name + ".part"); ++n)
            name = fmt::format("{}.{}", wanted, n);
        taken.insert({name, name + ".part"});
        files.push_back({files.size(), url, name});
    }
    return files;
}

struct batch {
    std::vector<file> files;
    std::filesystem::path directory;
    unsigned jobs;
    std::chrono::seconds patience;
    progress_lines lines{};
    bool failed = false;

    void fetch(file const& wanted) {
        auto const begin = std::chrono::steady_clock::now();
        lines.started(wanted.number, wanted.name);
        try {
            auto const bytes = download(wanted.url, directory / wanted.name, patience,
                                        [&](auto got, auto total) { lines.grew(wanted.number, got, total); });
            seconds const took = std::chrono::steady_clock::now() - begin;
            lines.finished(wanted.number, fmt::format("{}  {} bytes  {:.2f} s", wanted.name, bytes, took.count()));
        } catch (std::exception const& error) {
            failed = true;
            lines.failed(wanted.number, fmt::format("{}: {}", wanted.url, error.what()));
        }
    }

    seconds one_after_another() {
        auto const begin = std::chrono::steady_clock::now();
        for (file const& each : files) fetch(each);
        return std::chrono::steady_clock::now() - begin;
    }

    seconds at_once() {
        // Debian's libcurl 7.88 with OpenSSL 3.0 was measured to use 12 KiB, a TLS handshake included. The
        // rest is for other TLS libraries, and for builds that look up names on the caller's stack. Only what
        // is touched costs.
        coir::spawn_options const roomy{.stack_size = 256 * 1024};
        auto const begin = std::chrono::steady_clock::now();
        std::vector<coir::fiber<void>> fibers;
        std::size_t next = 0; // needs no lock: a fiber lets others run only where it waits
        if (jobs == 0) {
            for (file const& each : files) fibers.push_back(coir::spawn(roomy, &batch::fetch, this, std::cref(each)));
        } else {
            for (unsigned i = 0; i < jobs && i < files.size(); ++i)
                fibers.push_back(coir::spawn(roomy, [&] {
                    while (next < files.size()) fetch(files[next++]);
                }));
        }
        coir::joinall(fibers);
        return std::chrono::steady_clock::now() - begin;
    }
};

} // namespace

int main(int argc, char** argv) try {
    std::vector<std::string> urls;
    std::string directory = ".";
    unsigned jobs = 0;
    unsigned patience = 30;
    bool compare = false;
    CLI::App options{"Downloads URLs into files, all at once, on one thread."};
    options.add_option("url", urls, "what to download; files are named after the last part of the path")->required();
    options.add_option("--dir", directory, "where the files go")->capture_default_str();
    options.add_option("--jobs", jobs, "how many at a time (default: all)")->check(CLI::Range(1, 1000000));
    options.add_option("--timeout", patience, "seconds to wait for a connection, or for the next byte")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    options.add_flag("--compare", compare, "one after another first, then all at once; print both times");
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }

    std::signal(SIGPIPE, SIG_IGN);
    if (CURLcode const result = curl_global_init(CURL_GLOBAL_DEFAULT); result != CURLE_OK) {
        fmt::print(stderr, "downloader: curl_global_init: {}\n", curl_easy_strerror(result));
        return 1;
    }
    if (!coir::monkey::is_patched("poll"))
        fmt::print(stderr, "downloader: the shim is not loaded (LD_PRELOAD=libcoir-monkey.so): "
                           "the files come one after another\n");

    batch all{name_files(urls), directory, jobs, std::chrono::seconds(patience)};
    if (compare) {
        seconds const sequential = all.one_after_another();
        seconds const concurrent = all.at_once();
        fmt::print("one after another {:.2f} s, at once {:.2f} s, ratio {:.1f}\n", sequential.count(),
                   concurrent.count(), sequential / concurrent);
    } else {
        all.at_once();
    }
    curl_global_cleanup();
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        fmt::print(stderr, "downloader: write to stdout failed\n");
        return 1;
    }
    return all.failed ? 1 : 0;
} catch (std::exception const& error) {
    fmt::print(stderr, "downloader: {}\n", error.what());
    return 1;
}
