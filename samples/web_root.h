// The files below a directory, as a web server gives them away: nothing outside of it, and nothing that is no file.
#pragma once

#include <coir.h>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

struct web_file {
    coir::net::descriptor content;
    std::uint64_t size; // bytes
    std::time_t modified;
    std::string_view type; // "text/html"
};

class web_root {
public:
    /// Throws std::system_error that names the directory.
    explicit web_root(std::string const& directory);

    /// The file at a path that begins with a slash; of a directory, "/a/", its index.html. Nothing if there is no such
    /// file, or it may not be read. Throws std::system_error for want of descriptors or memory.
    std::optional<web_file> open(std::string path) const;

private:
    coir::net::descriptor directory_;
};

/// "/a b/c.html" of what a request asks for, "/a%20b/c.html?x"; nothing if that is no path.
std::optional<std::string> decoded_path(std::string_view target);

/// "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::time_t when);
/// Nothing if it is none.
std::optional<std::time_t> read_http_date(std::string_view text);
