// A crawl that is spread over processes, which know each other by three queues of the broker only. Those survive the
// broker's end and that of any process:
//
//     lead ──> NAME.urls ──> work, any number of them
//     lead <── NAME.reports <── work
//     lead <─> NAME.log
//
// What each promises is said in README.md.
#pragma once

#include "broker.h"

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

struct crawl_place {
    broker_address where;
    std::string name = "crawl";

    std::string urls() const { return name + ".urls"; }       ///< a message per page that is to be fetched
    std::string reports() const { return name + ".reports"; } ///< what became of them
    std::string log() const { return name + ".log"; }         ///< reports that a leader has acted upon
    void declare(broker& to) const;                           ///< all three. **Blocks.**
    void remove(broker& from) const;                          ///< all three, with what is in them. **Blocks.**
};

/// What became of a page. In a message it is a line for each.
struct page_report {
    std::string url;                  ///< empty: what a crawl begins with is in `links`
    std::string failure;              ///< why it could not be fetched; empty if it was
    std::vector<std::string> links{}; ///< to other pages of its site

    std::string to_string() const;
    static page_report parse(std::string const& text);
};

/// Leads the crawl from `first`, and from where it was broken off, until every page has been fetched or has failed.
/// Returns how many failed. One at a time: the broker refuses a second leader. **Blocks.** Throws broker_error and
/// std::system_error.
std::size_t lead(crawl_place const& place, std::vector<std::string> const& first);

struct work_options {
    std::filesystem::path directory = "pages"; ///< where they go
    unsigned fibers = 200;
    std::chrono::seconds patience{60}; ///< for a page
};

/// Fetches pages until the crawl is over. **Parks.** Throws broker_error, and std::system_error also if a page cannot
/// be stored: what was begun is left to others then.
void work(crawl_place const& place, work_options const& how);

/// Both, and a small site of its own, in this process. **Parks.** Returns and throws as lead().
std::size_t crawl_own_site(broker_address const& where);
