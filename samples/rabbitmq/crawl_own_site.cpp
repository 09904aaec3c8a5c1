// To see a crawl without a web: a site of 121 pages, each with links to three more and back, a leader and a worker, all
// of them fibers of this process.
#include "command.h"
#include "crawl.h"

#include <charconv>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
constexpr unsigned pages = 121;

void answer(coir::net::tcp_stream peer) {
    std::string head;
    for (char piece[1024]; head.find("\r\n\r\n") == head.npos;) {
        std::size_t const got = peer.read_some(piece, 10s);
        if (got == 0) return;
        head.append(piece, got);
    }
    unsigned number = 0; // GET /7
    std::from_chars(head.data() + std::min<std::size_t>(5, head.size()), head.data() + head.size(), number);
    std::string page = "<html><a href='/0'>home</a>";
    for (unsigned next = number * 3 + 1; next <= number * 3 + 3 && next < pages; ++next)
        page += fmt::format(" <a href='/{}'>{}</a>", next, next);
    coir::sleep(20ms);
    peer.write_all(
        fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", page.size(), page), 10s);
}

class own_site {
public:
    ~own_site() { server_.kill(); }
    std::string first() const { return fmt::format("http://{}/0", listener_.local_address().to_string()); }

private:
    void serve() {
        for (;;) coir::spawn(answer, listener_.accept());
    }

    coir::net::tcp_listener listener_{"127.0.0.1:0"};
    coir::fiber<void> server_ = coir::spawn(&own_site::serve, this);
};

struct own_directory {
    std::string name = "/tmp/crawl-XXXXXX";
    own_directory() {
        if (!::mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), "mkdtemp " + name);
    }
    own_directory(own_directory const&) = delete;
    ~own_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(name, ignored);
    }
};

// Of no use to anybody when we have failed.
struct own_queues {
    crawl_place const place;
    ~own_queues() {
        try {
            broker last{place.where};
            place.remove(last);
        } catch (std::exception const&) { // there is no broker
        }
    }
};

} // namespace

std::size_t crawl_own_site(broker_address const& where) {
    own_directory const directory;
    own_site const site;
    own_queues const queues{{where, fmt::format("crawl-of-own-site-{}", ::getpid())}};
    work_options const how{.directory = directory.name, .fibers = 30};
    std::size_t failed = 0;
    coir::spawn_options const room{.stack_size = roomy};
    join_or_kill({coir::spawn(room, [&] { failed = lead(queues.place, {site.first()}); }),
                  coir::spawn(room, work, std::cref(queues.place), std::cref(how))});
    return failed;
}
