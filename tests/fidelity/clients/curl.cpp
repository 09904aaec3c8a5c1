// libcurl's easy interface: http, https and ftp, each by its URL.
#include "client.h"

#include <cstdlib>
#include <curl/curl.h>

namespace clients {
namespace {

class curl_client final : public client {
public:
    // curl connects when it first has something to fetch, and keeps the connection.
    curl_client(std::string const& where, int limit) : where_(where) {
        if (!handle_) throw failure("curl_easy_init");
        curl_easy_setopt(handle_.get(), CURLOPT_ERRORBUFFER, error_);
        curl_easy_setopt(handle_.get(), CURLOPT_WRITEFUNCTION, &curl_client::append);
        curl_easy_setopt(handle_.get(), CURLOPT_WRITEDATA, this);
        curl_easy_setopt(handle_.get(), CURLOPT_FAILONERROR, 1L);
        curl_easy_setopt(handle_.get(), CURLOPT_NOPROXY, "*");
        if (char const* const authority = std::getenv("SSL_CERT_FILE"))
            curl_easy_setopt(handle_.get(), CURLOPT_CAINFO, authority);
        fetch("0");
        curl_easy_setopt(handle_.get(), CURLOPT_TIMEOUT, long(limit));
    }

    void operation(double wait) override { fetch(in_seconds(wait)); }

private:
    static std::size_t append(char* data, std::size_t, std::size_t size, void* to) {
        static_cast<curl_client*>(to)->body_.append(data, size);
        return size;
    }

    void fetch(std::string const& wait) {
        body_.clear();
        curl_easy_setopt(handle_.get(), CURLOPT_URL, (where_ + wait).c_str());
        if (CURLcode const result = curl_easy_perform(handle_.get()); result != CURLE_OK)
            throw failure(std::string(curl_easy_strerror(result)) + ": " + error_);
        expect_answer(body_, "waited " + wait + "\n");
    }

    std::string where_, body_;
    char error_[CURL_ERROR_SIZE] = "";
    owned<CURL, curl_easy_cleanup> handle_{curl_easy_init()};
};

known_kind<curl_client> const http{"http"}, https{"https"}, ftp{"ftp"};

} // namespace
} // namespace clients
