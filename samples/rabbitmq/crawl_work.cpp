// A worker: many fibers on one thread. Each has a connection to the broker and one page at a time, and waits in plain
// blocking calls of librabbitmq and libcurl. A page's message is acknowledged when the page is stored and the broker
// has the report: if the worker ends before, another one is sent the message, and fetches the page once more.
#include "../descriptors.h"
#include "../download.h"
#include "command.h"
#include "crawl.h"
#include "links.h"

#include <cstdint>
#include <fstream>
#include <iterator>
#include <mutex>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;

// Of whatever length and content; the same on every machine.
std::string file_name(std::string const& url) {
    constexpr std::size_t most = 200; // bytes; file systems take 255
    std::string name;
    std::uint64_t hash = 0xcbf29ce484222325; // FNV-1a
    for (unsigned char const each : url) {
        hash = (hash ^ each) * 0x100000001b3;
        name += each == '/' || each == '%' || each < ' ' ? fmt::format("%{:02X}", each) : std::string(1, char(each));
    }
    return name.size() <= most ? name : fmt::format("{}~{:016x}", name.substr(0, most), hash);
}

// What the page is fetched from may fail in many ways; of what download() throws these are the kernel's words for it.
// All others are about this machine.
bool of_the_network(std::error_code const& error) {
    for (auto each :
         {std::errc::connection_refused, std::errc::connection_reset, std::errc::connection_aborted,
          std::errc::host_unreachable, std::errc::network_unreachable, std::errc::network_down, std::errc::timed_out})
        if (error == each) return true;
    return false;
}

class worker {
public:
    worker(crawl_place const& place, work_options const& how) : place_(place), how_(how) {}

    // A fiber.
    void serve(unsigned number) try {
        auto const own = connect();
        for (;;) {
            delivery const asked = own->receive();
            page_report const done = fetch(asked.body, number);
            coir::interruption_point(); // calls of C code that is killed only fail, and what they report is wrong
            own->publish_to_queue(place_.reports(), done.to_string(), kept::on_disk);
            own->flush();
            own->acknowledge(asked);
            ++(done.failure.empty() ? fetched : failed);
            say("{}  {}", done.url, done.failure.empty() ? fmt::format("{} links", done.links.size()) : done.failure);
        }
    } catch (broker_error const& error) {
        if (!error.no_queue()) throw; // else the crawl is over
    }

    std::size_t fetched = 0, failed = 0;

private:
    // Signs of life are sent between two pages only, and brokers wait for two of the 60 s that they suggest. More is
    // not to be had, since the lower of two suggestions counts: with more patience there are none.
    int heartbeat() const { return how_.patience <= 60s ? 60 : 0; }

    // One after another: the broker has a millisecond or two of work with each, and gives up those that have to wait
    // for 10 s.
    std::unique_ptr<broker> connect() {
        std::lock_guard const alone{connecting_};
        auto made = std::make_unique<broker>(place_.where, heartbeat());
        made->consume(place_.urls(), 1);
        return made;
    }

    page_report fetch(std::string const& url, unsigned number) {
        auto const part = how_.directory / fmt::format(".{}-{}", ::getpid(), number);
        if (std::string const failure = load(url, part); !failure.empty()) return {url, failure};
        page_report done{url, "", links_of(html(part), url)};
        std::filesystem::rename(part, how_.directory / file_name(url));
        return done;
    }

    // Returns why it could not.
    std::string load(std::string const& url, std::filesystem::path const& target) {
        coir::timeout limit{how_.patience};
        auto const late = [&] { return fmt::format("took longer than {} s", how_.patience.count()); };
        try {
            download(url, target, how_.patience);
            return "";
        } catch (coir::timed_out const&) {
            return late();
        } catch (std::system_error const& error) {
            if (!limit.expired() && !of_the_network(error.code())) throw;
            return limit.expired() ? late() : error.what();
        } catch (std::runtime_error const& error) {
            return limit.expired() ? late() : error.what();
        }
    }

    // The page if it looks like one, else nothing: a film has no links.
    std::string html(std::filesystem::path const& file) {
        std::ifstream in(file, std::ios::binary);
        if (!in) throw std::system_error(errno, std::generic_category(), "open " + file.native());
        in.exceptions(std::ios::badbit);
        in >> std::ws;
        if (in.peek() != '<') return "";
        return {std::istreambuf_iterator<char>(in), {}};
    }

    crawl_place const& place_;
    work_options const& how_;
    coir::mutex connecting_;
};

} // namespace

void work(crawl_place const& place, work_options const& how) {
    raise_descriptor_limit();
    std::filesystem::create_directories(how.directory);
    {
        broker first{place.where};
        place.declare(first);
    }
    worker all(place, how);
    std::vector<coir::fiber<void>> fibers;
    for (unsigned number = 1; number <= how.fibers; ++number)
        fibers.push_back(coir::spawn({.stack_size = roomy}, &worker::serve, &all, number));
    join_or_kill(fibers);
    say("this worker: {} pages fetched, {} failed", all.fetched, all.failed);
}
