// What a download of 64 KiB by HTTP costs the client, in CPU time per transfer, with 100 of them under way at all
// times: by libcurl's blocking calls, unmodified, in 100 fibers under the shim, and in 100 threads; the limit is
// libcurl's own way to do many on one thread, curl_multi_socket_action, with epoll.
//
//     bench-downloads HTTP_SERVER                # samples/http_server
//     bench-downloads --once SIDE URL [TRANSFERS]  # of a server that runs already, under strace for example
//
// Every side keeps 100 handles, each with its connection, which a first round has made and whose bytes it has compared.
// A run is a process of its own, so that none has another's threads or hub. The server is a process of its own as well,
// pinned to one core; the client is pinned to another.

#include "child.h"
#include "sides.h"
#include "work.h"

#include "coir.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <curl/curl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <sched.h>
#include <signal.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::size_t at_once = 100, size = 64 * 1024;

std::string content() {
    std::string made(size, '\0');
    std::mt19937 next(1);
    for (char& each : made) each = char(next());
    return made;
}

template <class Code>
void check(Code code, char const* (*explain)(Code)) {
    if (code != Code{}) throw std::runtime_error(explain(code));
}
void check(CURLcode code) { check(code, curl_easy_strerror); }
void check(CURLMcode code) { check(code, curl_multi_strerror); }

int checked(int result, char const* call) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), call);
    return result;
}

// A handle, which is used for one transfer after the other.
class transfer {
public:
    explicit transfer(char const* url) : handle(curl_easy_init()) {
        if (!handle) throw std::runtime_error("curl_easy_init");
        check(curl_easy_setopt(handle, CURLOPT_URL, url));
        check(curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L)); // else SIGPIPE is set twice a transfer
        check(curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &transfer::take));
        check(curl_easy_setopt(handle, CURLOPT_WRITEDATA, this));
        check(curl_easy_setopt(handle, CURLOPT_PRIVATE, this));
    }
    transfer(transfer const&) = delete;
    ~transfer() { curl_easy_cleanup(handle); }

    void perform() {
        begin();
        check(curl_easy_perform(handle));
        end();
    }
    void begin() { got_ = 0; }
    void end() {
        long status = 0, connections = 0;
        check(curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status));
        check(curl_easy_getinfo(handle, CURLINFO_NUM_CONNECTS, &connections));
        if (status != 200 || got_ != size || wrong_) throw std::runtime_error("a transfer went wrong");
        if (connections != (expected ? 1 : 0)) throw std::runtime_error("a connection was not used again");
    }

    CURL* handle;
    char const* expected = nullptr; // in the first round only: to compare takes as long as to copy

private:
    static std::size_t take(char* data, std::size_t, std::size_t n, void* of) noexcept {
        auto& self = *static_cast<transfer*>(of);
        if (self.got_ + n > size || (self.expected && std::memcmp(data, self.expected + self.got_, n) != 0))
            self.wrong_ = true;
        self.got_ += n;
        return n;
    }

    std::size_t got_ = 0;
    bool wrong_ = false;
};

using transfers = std::vector<std::unique_ptr<transfer>>;

void in_fibers(transfers& all, std::size_t each) {
    coir::spawn_options const roomy{.stack_size = 256 * 1024}; // as samples/downloader has them
    std::vector<coir::fiber<void>> fibers;
    for (auto& one : all)
        fibers.push_back(coir::spawn(roomy, [&one, each] {
            for (std::size_t i = 0; i < each; ++i) one->perform();
        }));
    coir::joinall(fibers);
    for (auto& one : fibers) one.get(); // throws what it threw
}

void in_threads(transfers& all, std::size_t each) {
    std::vector<std::jthread> threads;
    for (auto& one : all)
        threads.emplace_back([&one, each] {
            for (std::size_t i = 0; i < each; ++i) one->perform(); // what this throws ends the program
        });
}

// As hiperfifo.c and evhiperfifo.c of libcurl's examples are made.
class multi {
public:
    multi() : handle_(curl_multi_init()), set_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
        if (!handle_) throw std::runtime_error("curl_multi_init");
        check(curl_multi_setopt(handle_, CURLMOPT_MAXCONNECTS, long(at_once)));
        check(curl_multi_setopt(handle_, CURLMOPT_SOCKETFUNCTION, &multi::watch));
        check(curl_multi_setopt(handle_, CURLMOPT_SOCKETDATA, this));
        check(curl_multi_setopt(handle_, CURLMOPT_TIMERFUNCTION, &multi::set_timer));
        check(curl_multi_setopt(handle_, CURLMOPT_TIMERDATA, this));
    }
    multi(multi const&) = delete;
    ~multi() {
        curl_multi_cleanup(handle_);
        close(set_);
    }

    void run(transfers& all, std::size_t each) {
        left_ = all.size() * each;
        for (auto& one : all) add(*one);
        std::array<epoll_event, 128> events;
        while (under_way_ > 0) {
            int const count = checked(epoll_wait(set_, events.data(), int(events.size()), timeout_), "epoll_wait");
            if (count == 0) act(CURL_SOCKET_TIMEOUT, 0);
            for (int i = 0; i < count; ++i) {
                auto const& event = events[std::size_t(i)];
                act(event.data.fd, (event.events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                                       (event.events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                                       (event.events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
            }
        }
    }

private:
    void add(transfer& one) {
        one.begin();
        check(curl_multi_add_handle(handle_, one.handle));
        --left_, ++under_way_;
    }

    void act(curl_socket_t on, int what) {
        int running;
        check(curl_multi_socket_action(handle_, on, what, &running));
        int more;
        while (CURLMsg* const message = curl_multi_info_read(handle_, &more)) {
            if (message->msg != CURLMSG_DONE) continue;
            check(message->data.result);
            void* of = nullptr;
            check(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &of));
            auto& one = *static_cast<transfer*>(of);
            check(curl_multi_remove_handle(handle_, one.handle));
            --under_way_;
            one.end();
            if (left_ > 0) add(one);
        }
    }

    static int watch(CURL*, curl_socket_t fd, int what, void* of, void* is_watched) noexcept {
        auto& self = *static_cast<multi*>(of);
        epoll_event event{};
        event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
        event.data.fd = fd;
        if (what == CURL_POLL_REMOVE) return epoll_ctl(self.set_, EPOLL_CTL_DEL, fd, nullptr), 0;
        if (is_watched) return epoll_ctl(self.set_, EPOLL_CTL_MOD, fd, &event);
        curl_multi_assign(self.handle_, fd, &self);
        return epoll_ctl(self.set_, EPOLL_CTL_ADD, fd, &event);
    }

    static int set_timer(CURLM*, long ms, void* of) noexcept {
        static_cast<multi*>(of)->timeout_ = int(ms);
        return 0;
    }

    CURLM* handle_;
    int set_, timeout_ = -1; // ms from the last call of set_timer on: what is under way here takes no longer
    std::size_t left_ = 0, under_way_ = 0;
};

// us for each transfer.
double cost_of(std::string_view side, char const* url, std::size_t each) {
    check(curl_global_init(CURL_GLOBAL_DEFAULT));
    std::string const expected = content();
    transfers all;
    for (std::size_t i = 0; i < at_once; ++i) all.push_back(std::make_unique<transfer>(url));
    std::unique_ptr<multi> many; // has the connections, where each handle has its own elsewhere
    if (side == "multi") many = std::make_unique<multi>();
    auto const round = [&](std::size_t of_each) {
        if (many) return many->run(all, of_each);
        if (side == "fibers") return in_fibers(all, of_each);
        if (side == "threads") return in_threads(all, of_each);
        throw std::runtime_error("there are the sides multi, fibers and threads");
    };
    for (auto& one : all) one->expected = expected.data();
    round(1);
    for (auto& one : all) one->expected = nullptr;
    double const start = bench::process_cpu();
    round(each);
    return (bench::process_cpu() - start) / double(each * at_once) / 1000;
}

void pin(int core) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one); // where there is only one core, they share it
}

struct temporary_directory {
    std::filesystem::path name;

    temporary_directory() {
        std::string made = std::filesystem::temp_directory_path() / "coir-downloads-XXXXXX";
        if (!mkdtemp(made.data())) checked(-1, made.c_str());
        name = made;
    }
    temporary_directory(temporary_directory const&) = delete;
    ~temporary_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(name, ignored);
    }
};

// samples/http_server beside this program, which gives away one file.
class server {
public:
    explicit server(char const* program) {
        std::ofstream(root_.name / "file.bin") << content();
        int said[2];
        checked(pipe(said), "pipe");
        process_ = checked(fork(), "fork");
        if (process_ == 0) {
            pin(0);
            prctl(PR_SET_PDEATHSIG, SIGTERM); // this program may end with no farewell
            dup2(said[1], STDOUT_FILENO);
            execl(program, program, "--address", "127.0.0.1:0", "--root", root_.name.c_str(), nullptr);
            std::perror(program);
            _exit(127);
        }
        close(said[1]);
        std::array<char, 128> text{};
        checked(int(read(said[0], text.data(), text.size() - 1)), "read where it listens");
        close(said[0]);
        std::string const where = text.data();
        auto const space = where.rfind(' '), end = where.find('\n');
        if (space == std::string::npos || end == std::string::npos)
            throw std::runtime_error("the server does not listen");
        url = "http://" + where.substr(space + 1, end - space - 1) + "/file.bin";
    }
    server(server const&) = delete;
    ~server() {
        kill(process_, SIGKILL);
        waitpid(process_, nullptr, 0);
    }

    std::string url;

private:
    temporary_directory root_;
    pid_t process_;
};

} // namespace

int main(int argc, char** argv) try {
    if (argc >= 4 && std::string_view(argv[1]) == "--once") {
        std::printf("%f\n",
                    cost_of(argv[2], argv[3], (argc > 4 ? std::strtoul(argv[4], nullptr, 10) : 2'000) / at_once));
        return 0;
    }
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s HTTP_SERVER\n", argv[0]);
        return 2;
    }
    server const from(argv[1]);
    pin(1); // inherited by what measures
    auto const side_of = [&](char const* name, std::string const& side) {
        return bench::side{name, [=, &from] { return bench::in_new_process("--once " + side + " " + from.url); }};
    };
    bench::compare("HTTP, 64 KiB, 100 at once, CPU of the client",
                   {side_of("curl multi", "multi"), side_of("coir", "fibers"), side_of("threads", "threads")},
                   {{1.15, "curl multi"}}, {.unit = "us"});
} catch (std::exception const& error) {
    std::fprintf(stderr, "bench-downloads: %s\n", error.what());
    return 2;
}
