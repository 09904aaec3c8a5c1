#include "download.h"

#include <cerrno>
#include <cstdio>
#include <curl/curl.h>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace {

// `target`.part, until it is complete.
class part_file {
public:
    explicit part_file(std::filesystem::path const& target)
        : target_(target), name_(target.native() + ".part"), file_(std::fopen(name_.c_str(), "wb")) {
        if (!file_) fail(errno, "open " + name_);
    }
    ~part_file() {
        if (file_) std::fclose(file_);
        if (!kept_) std::remove(name_.c_str());
    }
    part_file(part_file const&) = delete;
    part_file& operator=(part_file const&) = delete;

    // Called by libcurl, in C: the error waits until we are back in C++.
    bool write(void const* data, std::size_t size) noexcept {
        if (std::fwrite(data, 1, size, file_) == size) return true;
        write_error_ = errno;
        return false;
    }

    void check() const {
        if (write_error_) fail(write_error_, "write " + name_);
    }

    void keep() {
        // A full disk may show only here, when the last buffer is written.
        if (std::fclose(std::exchange(file_, nullptr)) != 0) fail(errno, "write " + name_);
        if (std::rename(name_.c_str(), target_.c_str()) != 0)
            fail(errno, "rename " + name_ + " to " + target_.native());
        kept_ = true;
    }

private:
    [[noreturn]] static void fail(int error, std::string const& what) {
        throw std::system_error(error, std::generic_category(), what);
    }

    std::filesystem::path target_;
    std::string name_;
    std::FILE* file_;
    int write_error_ = 0;
    bool kept_ = false;
};

std::size_t on_data(char* data, std::size_t, std::size_t size, void* file) noexcept {
    return static_cast<part_file*>(file)->write(data, size) ? size : 0;
}

int on_progress(void* progress, curl_off_t total, curl_off_t bytes, curl_off_t, curl_off_t) noexcept {
    (*static_cast<download_progress const*>(progress))(std::uint64_t(bytes), std::uint64_t(total));
    return 0;
}

} // namespace

std::uint64_t download(std::string const& url, std::filesystem::path const& target, std::chrono::seconds patience,
                       download_progress const& progress) {
    part_file file{target};
    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl{curl_easy_init(), curl_easy_cleanup};
    if (!curl) throw std::runtime_error("curl_easy_init: out of memory");

    char reason[CURL_ERROR_SIZE] = "";
    auto const check = [&](CURLcode result) {
        if (result != CURLE_OK) throw std::runtime_error(*reason ? reason : curl_easy_strerror(result));
    };
    auto const set = [&](CURLoption option, auto value) { check(curl_easy_setopt(curl.get(), option, value)); };

    set(CURLOPT_ERRORBUFFER, reason);
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_FAILONERROR, 1L); // 404 and its like are errors, not files
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, 10L);
    set(CURLOPT_CONNECTTIMEOUT, long(patience.count()));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L); // bytes a second
    set(CURLOPT_LOW_SPEED_TIME, long(patience.count()));
    // Otherwise each transfer sets SIGPIPE to ignored and puts back what it found. Of two that overlap, the
    // second finds the first one's "ignored" and the first puts the default back too early: a write of
    // OpenSSL's would then kill us.
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_WRITEFUNCTION, on_data);
    set(CURLOPT_WRITEDATA, &file);
    if (progress) {
        set(CURLOPT_NOPROGRESS, 0L);
        set(CURLOPT_XFERINFOFUNCTION, on_progress);
        set(CURLOPT_XFERINFODATA, &progress);
    }

    CURLcode const result = curl_easy_perform(curl.get());
    file.check();                          // libcurl would only say that writing failed
    if (result == CURLE_COULDNT_CONNECT) { // and does not tell a refusal from a missing route
        long error = 0;
        curl_easy_getinfo(curl.get(), CURLINFO_OS_ERRNO, &error);
        if (error) throw std::system_error(int(error), std::generic_category(), reason);
    }
    check(result);
    file.keep();

    curl_off_t bytes = 0;
    check(curl_easy_getinfo(curl.get(), CURLINFO_SIZE_DOWNLOAD_T, &bytes));
    return std::uint64_t(bytes);
}
