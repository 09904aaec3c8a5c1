// The leader knows every URL that was ever seen, so each is sent out once. All of that is in the log, where the next
// leader finds it: what is done about a report is, in this order,
//
//   1. the new links in it become messages in NAME.urls, and the broker has them on disk
//   2. the report goes into NAME.log, likewise
//   3. the report is acknowledged
//
// After an end between 1 and 2 there are pages under way that nobody knows of: the report comes again, and they are
// sent out and fetched a second time. After one between 2 and 3 the report comes again, and is known. Nothing is lost.
#include "command.h"
#include "crawl.h"

#include <algorithm>
#include <random>
#include <sstream>
#include <unistd.h>
#include <unordered_map>

namespace {

constexpr unsigned batch = 100; // reports that are dealt with at once: what costs is to wait for the broker's disk
constexpr int heartbeat = 60;   // s; when the machine of a leader is gone, another one may lead after two of these
constexpr char mark = '#';      // what begins with it in the log is no URL

class leader {
public:
    explicit leader(crawl_place const& place) : place_(place), out_(place.where), in_(place.where, heartbeat) {
        place_.declare(out_);
        in_.consume(place_.reports(), batch, true);
        recall();
    }

    std::size_t run(std::vector<std::string> const& first) {
        if (!first.empty()) act_upon({{"", "", first}});
        if (known_.empty()) throw std::runtime_error("no crawl was broken off here: name a URL to begin with");
        while (fetched_ + failed_ < known_.size()) {
            std::vector<delivery> const came = receive();
            std::vector<page_report> reports;
            for (auto const& each : came) reports.push_back(page_report::parse(each.body));
            act_upon(reports);
            for (auto const& each : came) in_.acknowledge(each);
        }
        place_.remove(out_); // which the workers are told of
        say("{} pages fetched, {} failed", fetched_, failed_);
        return failed_;
    }

private:
    enum class state { under_way, fetched, failed }; // the first is that of a new one

    std::vector<delivery> receive() {
        if (on_terminal_) {
            fmt::print("{} of {} pages\r", fetched_ + failed_, known_.size());
            std::fflush(stdout);
        }
        std::vector<delivery> came{in_.receive()};
        while (came.size() < batch) {
            auto more = in_.receive_now();
            if (!more) break;
            came.push_back(std::move(*more));
        }
        return came;
    }

    void act_upon(std::vector<page_report> const& reports) {
        std::vector<page_report> news;
        for (auto const& each : reports) {
            // Of a page that is known as done it came before. One that is not known was sent out by a leader that
            // ended, and will be again.
            auto const page = known_.find(each.url);
            if (!each.url.empty() && (page == known_.end() || page->second != state::under_way)) continue;
            for (auto const& link : learn(each)) out_.publish_to_queue(place_.urls(), link, kept::on_disk);
            if (!each.failure.empty()) fmt::print(stderr, "{}: {}\n", each.url, each.failure);
            news.push_back(each);
        }
        out_.flush();
        for (auto const& each : news) out_.publish_to_queue(place_.log(), each.to_string(), kept::on_disk);
        out_.flush();
    }

    // Returns what is new to us.
    std::vector<std::string> learn(page_report const& from) {
        if (!from.url.empty()) {
            bool const failed = !from.failure.empty();
            state& page = known_[from.url];
            // What a leader had sent when it was killed may come into the log late, behind its successor's.
            if (page == state::under_way) ++(failed ? failed_ : fetched_);
            page = failed ? state::failed : state::fetched;
        }
        std::vector<std::string> fresh;
        std::ranges::copy_if(from.links, std::back_inserter(fresh),
                             [&](auto const& link) { return known_.emplace(link, state::under_way).second; });
        return fresh;
    }

    // A mark of our own in the log is the end of what was there before. When the connection ends all is put back,
    // where it was, but for the marks.
    void recall() {
        std::string const end = fmt::format("{}{}-{}", mark, ::getpid(), std::random_device()());
        out_.publish_to_queue(place_.log(), end, kept::on_disk);
        out_.flush();
        broker log{place_.where};
        log.consume(place_.log(), 0, true);
        for (std::string last; last != end;) {
            delivery const entry = log.receive();
            last = entry.body;
            if (last.front() == mark)
                log.acknowledge(entry);
            else
                learn(page_report::parse(last));
        }
    }

    crawl_place const& place_;
    bool const on_terminal_ = ::isatty(STDOUT_FILENO);
    broker out_, in_;
    std::unordered_map<std::string, state> known_; // every URL that was ever seen
    std::size_t fetched_ = 0, failed_ = 0;
};

} // namespace

void crawl_place::declare(broker& to) const {
    for (auto const& queue : {urls(), reports(), log()}) to.declare_queue(queue, kept::on_disk);
}

void crawl_place::remove(broker& from) const {
    for (auto const& queue : {urls(), reports(), log()}) from.delete_queue(queue);
}

std::string page_report::to_string() const {
    std::string failed = failure;
    std::ranges::replace(failed, '\n', ' ');
    std::string lines = url + '\n' + failed + '\n';
    for (auto const& link : links) lines += link + '\n';
    return lines;
}

page_report page_report::parse(std::string const& text) {
    std::istringstream lines(text);
    page_report from;
    std::getline(lines, from.url);
    std::getline(lines, from.failure);
    for (std::string link; std::getline(lines, link);) from.links.push_back(link);
    return from;
}

std::size_t lead(crawl_place const& place, std::vector<std::string> const& first) { return leader(place).run(first); }
