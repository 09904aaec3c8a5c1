#include "links.h"

#include <algorithm>
#include <cctype>
#include <curl/curl.h>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>

namespace {

// libcurl's own, which knows how a reference is resolved.
class parsed_url {
public:
    parsed_url() : url_(curl_url(), curl_url_cleanup) {
        if (!url_) throw std::bad_alloc();
    }
    // What was set before is what a relative reference is relative to.
    CURLUcode set(CURLUPart part, char const* to) {
        return curl_url_set(url_.get(), part, to, part == CURLUPART_URL ? CURLU_URLENCODE : 0);
    }
    std::string get(CURLUPart part) const {
        char* text = nullptr;
        if (curl_url_get(url_.get(), part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) != CURLUE_OK)
            return "";
        std::unique_ptr<char, decltype(&curl_free)> const owned{text, curl_free};
        return text;
    }
    std::string site() const { return get(CURLUPART_SCHEME) + "://" + get(CURLUPART_HOST) + ":" + get(CURLUPART_PORT); }

    bool normalize() {
        std::string const scheme = get(CURLUPART_SCHEME);
        std::string host = get(CURLUPART_HOST);
        std::ranges::transform(host, host.begin(), [](unsigned char each) { return char(std::tolower(each)); });
        return (scheme == "http" || scheme == "https") && set(CURLUPART_HOST, host.c_str()) == CURLUE_OK &&
               set(CURLUPART_FRAGMENT, nullptr) == CURLUE_OK;
    }

private:
    std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url_;
};

bool same(char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; }

// What stands behind the next href=, in quotes or up to a blank; `page` is what comes behind.
std::optional<std::string> next_reference(std::string_view& page) {
    constexpr std::string_view mark = "href=", blank = " \t\r\n>";
    auto const found = std::search(page.begin(), page.end(), mark.begin(), mark.end(), same);
    if (found == page.end()) return {};
    page.remove_prefix(std::size_t(found - page.begin()) + mark.size());
    bool const quoted = page.starts_with('"') || page.starts_with('\'');
    std::string_view const ends = quoted ? page.substr(0, 1) : blank;
    if (quoted) page.remove_prefix(1);
    auto const length = page.find_first_of(ends);
    if (length == page.npos) return {};
    std::string reference(page.substr(0, length));
    page.remove_prefix(length);
    for (std::size_t at = 0; (at = reference.find("&amp;", at)) != reference.npos; ++at) reference.replace(at, 5, "&");
    return reference;
}

} // namespace

std::string normal_url(std::string const& url) {
    parsed_url parsed;
    if (CURLUcode const wrong = parsed.set(CURLUPART_URL, url.c_str()); wrong != CURLUE_OK)
        throw std::invalid_argument(url + ": " + curl_url_strerror(wrong));
    if (!parsed.normalize()) throw std::invalid_argument(url + ": neither http nor https");
    return parsed.get(CURLUPART_URL);
}

std::vector<std::string> links_of(std::string_view page, std::string const& url) {
    parsed_url base;
    if (base.set(CURLUPART_URL, url.c_str()) != CURLUE_OK) return {};
    std::set<std::string> links;
    while (auto const reference = next_reference(page)) {
        parsed_url target;
        if (target.set(CURLUPART_URL, url.c_str()) == CURLUE_OK &&
            target.set(CURLUPART_URL, reference->c_str()) == CURLUE_OK && target.normalize() &&
            target.site() == base.site())
            links.insert(target.get(CURLUPART_URL));
    }
    return {links.begin(), links.end()};
}
