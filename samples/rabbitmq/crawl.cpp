// Fetches a site by many processes, on one machine or several, with hundreds of fibers in each: what they have in
// common is a broker.
//
//     crawl lead http://site/          one, from there; without a URL it goes on with what was broken off
//     crawl work --dir pages           any number of them, before and after
//     crawl status
//     crawl forget                     drops a crawl that was broken off
//
//     $ crawl                          both, and a site of 121 pages, in one process
#include "crawl.h"
#include "command.h"
#include "links.h"

#include <curl/curl.h>

namespace {

void tell(crawl_place const& place) {
    broker of{place.where};
    auto const urls = of.look_at(place.urls()), reports = of.look_at(place.reports()), log = of.look_at(place.log());
    say("{} pages wait, {} fibers work, {} reports wait, {}, {} are in the log", urls.messages, urls.consumers,
        reports.messages, reports.consumers ? "somebody leads" : "nobody leads", log.messages);
}

void forget(crawl_place const& place) {
    broker of{place.where};
    place.remove(of);
}

} // namespace

int main(int argc, char** argv) {
    crawl_place place;
    work_options how;
    std::vector<std::string> first;
    unsigned patience = 60;
    CLI::App options{"Fetches a site by many processes.", "crawl"};
    add_broker_option(options, place.where);
    options.add_option("--name", place.name, "of the crawl: those of different names know nothing of each other")
        ->capture_default_str();
    auto* const leading = options.add_subcommand("lead", "lead a crawl until all of the site is fetched");
    leading->add_option("url", first, "where to begin");
    auto* const working = options.add_subcommand("work", "fetch pages until the crawl is over");
    working->add_option("--dir", how.directory, "where they go")->capture_default_str();
    working->add_option("--fibers", how.fibers, "how many at once")
        ->check(CLI::Range(1u, 10000u))
        ->capture_default_str();
    working->add_option("--patience", patience, "seconds for a page")
        ->check(CLI::Range(1u, 10000u))
        ->capture_default_str();
    auto* const asking = options.add_subcommand("status", "how far it is");
    auto* const dropping = options.add_subcommand("forget", "drop a crawl that was broken off");
    return run_command(options, argc, argv, [&] {
        how.patience = std::chrono::seconds(patience);
        if (CURLcode const result = curl_global_init(CURL_GLOBAL_DEFAULT); result != CURLE_OK)
            throw std::runtime_error(curl_easy_strerror(result));
        if (*leading) {
            for (auto& each : first) each = normal_url(each);
            return lead(place, first) ? 1 : 0;
        }
        if (*working)
            work(place, how);
        else if (*asking)
            tell(place);
        else if (*dropping)
            forget(place);
        else
            return crawl_own_site(place.where) ? 1 : 0;
        return 0;
    });
}
