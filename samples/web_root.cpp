#include "web_root.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace {

int digit(char of) {
    if (of >= '0' && of <= '9') return of - '0';
    if (of >= 'a' && of <= 'f') return of - 'a' + 10;
    if (of >= 'A' && of <= 'F') return of - 'A' + 10;
    return -1;
}

std::string_view type_of(std::string_view path) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 14> types{{
        {".css", "text/css"},
        {".gif", "image/gif"},
        {".html", "text/html; charset=utf-8"},
        {".ico", "image/x-icon"},
        {".jpg", "image/jpeg"},
        {".js", "text/javascript"},
        {".json", "application/json"},
        {".mp4", "video/mp4"},
        {".pdf", "application/pdf"},
        {".png", "image/png"},
        {".svg", "image/svg+xml"},
        {".txt", "text/plain; charset=utf-8"},
        {".wasm", "application/wasm"},
        {".webp", "image/webp"},
    }};
    for (auto const& [ending, type] : types)
        if (path.ends_with(ending)) return type;
    return "application/octet-stream";
}

// The kernel itself sees to it that neither ".." nor a link leads out (openat2(2), Linux 5.6). O_NONBLOCK: a FIFO must
// not be waited for.
coir::net::descriptor open_below(int directory, std::string const& path) {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return coir::net::descriptor(int(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how)));
}

} // namespace

web_root::web_root(std::string const& directory)
    : directory_(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    if (!directory_) throw std::system_error(errno, std::generic_category(), directory);
}

std::optional<web_file> web_root::open(std::string path) const {
    if (path.ends_with('/')) path += "index.html";
    std::string const below = path.substr(std::min(path.find_first_not_of('/'), path.size()));
    coir::net::descriptor opened = open_below(directory_.native(), below);
    if (!opened && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
        throw std::system_error(errno, std::generic_category(), below);
    struct stat about;
    if (!opened || ::fstat(opened.native(), &about) != 0 || !S_ISREG(about.st_mode)) return {};
    return web_file{std::move(opened), std::uint64_t(about.st_size), about.st_mtime, type_of(path)};
}

std::optional<std::string> decoded_path(std::string_view target) {
    target = target.substr(0, target.find_first_of("?#"));
    if (!target.starts_with('/')) return {};
    if (target.find('\0') != target.npos) return {};
    std::string path(target);
    for (std::size_t at = 0; (at = path.find('%', at)) != path.npos; ++at) {
        int const high = at + 2 < path.size() ? digit(path[at + 1]) : -1, low = high < 0 ? -1 : digit(path[at + 2]);
        if (low < 0 || high + low == 0) return {};
        path.replace(at, 3, 1, char(high * 16 + low));
    }
    return path;
}

std::string http_date(std::time_t when) {
    tm parts;
    char text[32];
    ::gmtime_r(&when, &parts);
    return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

std::optional<std::time_t> read_http_date(std::string_view text) {
    tm parts{};
    std::string const whole(text);
    char const* const end = ::strptime(whole.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (!end || *end) return {};
    return ::timegm(&parts);
}
