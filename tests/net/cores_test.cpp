#include "fiber/sanitizer.h"
#include "tests/net/connection.h"
#include "tests/rerun.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using coir::net::address;
using coir::net::crew;
using coir::net::crew_options;
using coir::net::listener;
using coir::net::stream_server;
using coir::net::tcp_stream;
using coir::net::unix_stream;
using coir::net::worker_kind;

namespace {

#ifdef COIR_TSAN
// The hub's own descriptors are moved out of the way by a bare close (hub/own_fd.cpp), which ThreadSanitizer does not
// see: whoever gets the number next seems to use the same descriptor.
extern "C" char const* __tsan_default_suppressions() { return "race:coir::loop::loop\n"; }

constexpr bool forks = false; // ThreadSanitizer knows nothing of threads in the child of a process with several
#else
constexpr bool forks = true;
#endif

thread_local int accept_error = 0; // what the next call of accept4 fails with

} // namespace

// libcoir's calls come here.
extern "C" int accept4(int fd, sockaddr* peer, socklen_t* size, int flags) {
    if (accept_error == 0) return int(syscall(SYS_accept4, fd, peer, size, flags));
    errno = std::exchange(accept_error, 0);
    return -1;
}

namespace {

// Says who it is, and then echoes.
template <class Identity>
auto serve_as(Identity identity) {
    return [identity](listener from) {
        return stream_server(std::move(from), [identity](auto peer) {
            peer.write_all(std::to_string(identity()) + "\n");
            std::array<char, 100> buffer;
            while (auto const n = peer.read_some(buffer)) peer.write_all({buffer.data(), n});
        });
    };
}

template <class Stream>
std::string line_of(Stream& from) {
    std::string line;
    for (char one; from.read_exactly({&one, 1}), one != '\n';) line += one;
    return line;
}

std::string asked_who(address const& where) {
    if (!where.is_ip()) {
        auto client = unix_stream::connect(where);
        return line_of(client);
    }
    auto client = tcp_stream::connect(where);
    return line_of(client);
}

std::set<std::string> all_who_answer(address const& where, std::size_t count) {
    std::set<std::string> all;
    while (all.size() < count) all.insert(asked_who(where));
    return all;
}

unsigned long this_thread_s_number() { return std::hash<std::thread::id>()(std::this_thread::get_id()); }
[[maybe_unused]] int this_process() { return getpid(); }

// Clients that connect all the time, one after another, and count.
struct crowd {
    address where;
    bool over = false;
    std::map<std::string, int> answers{};
    int failures = 0;
    coir::group clients{};

    explicit crowd(address const& to) : where(to) {
        for (int i = 0; i < 4; ++i)
            clients.spawn([this] {
                while (!over && failures == 0) try {
                        ++answers[asked_who(where)];
                    } catch (std::exception const& error) {
                        ++failures;
                        ADD_FAILURE() << error.what();
                    }
            });
    }
    void wait_for_one_not_of(std::set<std::string> const& known) {
        for (; failures == 0; coir::sleep(1ms))
            for (auto const& [who, times] : answers)
                if (!known.contains(who)) return;
    }
    void end() {
        over = true;
        clients.join();
    }
};

// What a crew tells, to wait for.
struct told {
    std::vector<std::string> lines{};
    coir::event came{};
    auto hear() {
        return [this](std::string const& what) {
            lines.push_back(what);
            came.set();
        };
    }
};

} // namespace

TEST(crew, as_many_as_processors) {
    EXPECT_GE(coir::net::usable_processors(), 1u);
    crew all{"127.0.0.1:0", serve_as(this_thread_s_number), {.signals = false}};
    all.start();
    EXPECT_EQ(all.ready(), coir::net::usable_processors());
    EXPECT_TRUE(all.stop(1h));
}

TEST(crew, a_port_in_use_is_refused_however_many_share_it) {
    auto const make = serve_as([] { return 1; });
    for (unsigned const workers : {1u, 2u}) {
        crew const first("127.0.0.1:0", make, {.workers = workers, .signals = false});
        failure const taken = failure_of([&] { crew second(first.address(), make, {.workers = 2, .signals = false}); });
        EXPECT_EQ(taken.code, EADDRINUSE);
        EXPECT_NE(taken.text.find("listen on " + first.address().to_string()), std::string::npos) << taken.text;
    }
}

TEST(crew, threads_each_get_connections_and_stop) {
    for (char const* where : {"127.0.0.1:0", "unix:"})
        for (bool one_queue : {false, true}) {
            crew all{address(where),
                     serve_as(this_thread_s_number),
                     {.workers = 2, .one_queue = one_queue, .signals = false}};
            all.start();
            all.start();
            EXPECT_EQ(all.ready(), 2u);
            if (!one_queue && all.address().is_ip()) all_who_answer(all.address(), 2);
            EXPECT_FALSE(asked_who(all.address()).empty());
            EXPECT_TRUE(all.stop(1h));
            EXPECT_TRUE(all.stop(1h));
            EXPECT_EQ(all.ready(), 0u);
            EXPECT_THROW(asked_who(all.address()), std::system_error);
            EXPECT_THROW(all.start(), std::logic_error);
        }
}

TEST(crew, a_stop_is_graceful_until_its_deadline) {
    crew all{"127.0.0.1:0", serve_as(this_thread_s_number), {.workers = 2, .signals = false}};
    all.start();
    auto client = tcp_stream::connect(all.address());
    line_of(client);
    auto stopping = coir::spawn([&] { return all.stop(coir::deadline()); });
    coir::yield();
    client.write_all("still here\n");
    EXPECT_EQ(line_of(client), "still here");
    EXPECT_FALSE(stopping.ready());
    EXPECT_TRUE(all.stop(0s));
    EXPECT_TRUE(stopping.get());
    char one;
    EXPECT_EQ(client.read_some({&one, 1}), 0u);
}

TEST(crew, the_destructor_ends_all) {
    tcp_stream client;
    {
        crew all{"127.0.0.1:0", serve_as(this_thread_s_number), {.workers = 2, .signals = false}};
        all.start();
        client = tcp_stream::connect(all.address());
        line_of(client);
    }
    char one;
    EXPECT_EQ(client.read_some({&one, 1}), 0u);
    crew never_started{"127.0.0.1:0", serve_as(this_thread_s_number), {.signals = false}};
}

TEST(crew, what_ends_a_worker_before_it_serves_is_thrown) {
    for (worker_kind kind : {worker_kind::thread, worker_kind::process}) {
        if (!forks && kind == worker_kind::process) continue;
        crew all{"127.0.0.1:0",
                 [](listener) -> stream_server { throw std::runtime_error("rather not"); },
                 {.kind = kind, .workers = 2, .signals = false}};
        try {
            all.start();
            FAIL() << "it has started";
        } catch (std::runtime_error const& error) {
            std::string const wanted = "crew at " + all.address().to_string() +
                                       ": a worker ended before it was ready: std::runtime_error: rather not";
            EXPECT_EQ(std::string(error.what()).substr(0, wanted.size()), wanted);
        }
        EXPECT_EQ(all.ready(), 0u);
    }
}

TEST(crew, a_thread_that_ends_unasked_is_replaced) {
    told what;
    crew all{"127.0.0.1:0",
             [](listener from) {
                 return stream_server(std::move(from), [](tcp_stream peer) {
                     peer.write_all(std::to_string(this_thread_s_number()) + "\n");
                     char one;
                     if (peer.read_some({&one, 1}) && one == '!') accept_error = EINVAL;
                 });
             },
             {.workers = 1, .signals = false, .say = what.hear()}};
    all.start();
    std::string const first = asked_who(all.address());
    {
        auto client = tcp_stream::connect(all.address());
        line_of(client);
        client.write_all("!");
    }
    coir::spawn([&] { asked_who(all.address()); }); // its connection waits meanwhile
    what.came.wait();
    EXPECT_NE(what.lines[0].find("Invalid argument; another one is started"), std::string::npos) << what.lines[0];
    asked_who(all.address());
    while (all.ready() < 1) coir::sleep(1ms); // it may be heard of later than its first answer
    EXPECT_TRUE(all.stop(1h));
}

TEST(crew, a_reload_of_threads_loses_no_connection) {
    for (bool one_queue : {false, true}) {
        crew all{"127.0.0.1:0",
                 serve_as([number = std::make_shared<std::atomic<int>>(0)] {
                     thread_local int const mine = ++*number;
                     return mine;
                 }),
                 {.workers = 2, .one_queue = one_queue, .signals = false}};
        all.start();
        crowd clients(all.address());
        clients.wait_for_one_not_of({});
        for (int i = 0; i < 5; ++i) {
            std::set<std::string> known;
            for (auto const& [who, times] : clients.answers) known.insert(who);
            EXPECT_TRUE(all.reload());
            clients.wait_for_one_not_of(known);
        }
        clients.end();
        EXPECT_EQ(clients.failures, 0);
        EXPECT_TRUE(all.stop(1h));
        EXPECT_FALSE(all.reload());
    }
}

TEST(crew, a_reload_that_fails_leaves_the_old_ones) {
    told what;
    auto const fail = std::make_shared<std::atomic<bool>>(false);
    crew all{"127.0.0.1:0",
             [fail, make = serve_as(this_thread_s_number)](listener from) {
                 if (*fail) throw std::runtime_error("bad configuration");
                 return make(std::move(from));
             },
             {.workers = 2, .signals = false, .say = what.hear()}};
    all.start();
    auto const before = all_who_answer(all.address(), 2);
    *fail = true;
    EXPECT_FALSE(all.reload());
    ASSERT_EQ(what.lines.size(), 1u);
    EXPECT_NE(what.lines[0].find(
                  "the old workers go on: a worker ended before it was ready: std::runtime_error: bad configuration"),
              std::string::npos)
        << what.lines[0];
    EXPECT_EQ(all_who_answer(all.address(), 2), before);
    EXPECT_TRUE(all.stop(1h));
}

#if !defined(COIR_TSAN)

TEST(crew, a_process_that_is_killed_is_replaced) {
    told what;
    crew all{"127.0.0.1:0",
             serve_as(this_process),
             {.kind = worker_kind::process, .workers = 2, .signals = false, .say = what.hear()}};
    all.start();
    std::string const first = asked_who(all.address());
    EXPECT_NE(std::stoi(first), getpid());
    auto client = tcp_stream::connect(all.address());
    std::string const other = line_of(client);
    ASSERT_EQ(kill(std::stoi(first), SIGKILL), 0);
    what.came.wait();
    EXPECT_NE(what.lines[0].find("worker " + first + " has ended: it was killed by signal 9"), std::string::npos)
        << what.lines[0];
    if (other != first) { // its neighbour is not disturbed
        client.write_all("x\n");
        EXPECT_EQ(line_of(client), "x");
    }
    while (all.ready() < 2) coir::sleep(1ms);
    for (std::string const& each : {asked_who(all.address()), asked_who(all.address())}) EXPECT_NE(each, first);
    EXPECT_TRUE(all.stop(0s));
    EXPECT_EQ(what.lines.size(), 1u);
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1); // all are collected
}

// A crew in a process of its own. Workers that were forked from the clients' would inherit their connections, of which
// none would end then.
struct crew_process {
    pid_t process;
    address where;

    crew_process() {
        std::array<int, 2> ends;
        EXPECT_EQ(pipe(ends.data()), 0);
        process = fork();
        if (process == 0) {
            crew all{"127.0.0.1:0", serve_as(this_process), {.kind = worker_kind::process, .workers = 2, .grace = 1h}};
            all.start();
            std::string const text = all.address().to_string();
            bool const told = write(ends[1], text.data(), text.size()) == ssize_t(text.size());
            all.serve_forever();
            _exit(told ? 0 : 1);
        }
        close(ends[1]);
        std::array<char, 100> text;
        ssize_t const size = read(ends[0], text.data(), text.size());
        close(ends[0]);
        where = address(std::string(text.data(), std::size_t(std::max<ssize_t>(size, 0))));
    }
    void wait_until_it_refuses() const {
        while (failure_of([&] { tcp_stream::connect(where); }).code != ECONNREFUSED) coir::yield();
    }
    int status() const {
        coir::hub::child watched(process);
        watched.wait();
        return watched.status().value_or(-1);
    }
};

TEST(crew, signals_reload_and_stop_processes) {
    crew_process const all;
    crowd clients(all.where);
    clients.wait_for_one_not_of({});
    for (int i = 0; i < 5; ++i) {
        std::set<std::string> known;
        for (auto const& [who, times] : clients.answers) known.insert(who);
        kill(all.process, SIGHUP);
        clients.wait_for_one_not_of(known);
    }
    clients.end();
    EXPECT_EQ(clients.failures, 0);
    auto client = tcp_stream::connect(all.where);
    line_of(client);
    kill(all.process, SIGTERM);
    all.wait_until_it_refuses();
    client.write_all("still here\n");
    EXPECT_EQ(line_of(client), "still here");
    client.close();
    EXPECT_EQ(all.status(), 0);
}

TEST(crew, a_second_signal_ends_it_at_once) {
    crew_process const all;
    auto client = tcp_stream::connect(all.where);
    line_of(client);
    kill(all.process, SIGINT);
    all.wait_until_it_refuses();
    kill(all.process, SIGINT);
    char one;
    EXPECT_EQ(client.read_some({&one, 1}), 0u);
    EXPECT_EQ(all.status(), 0);
}

TEST_ALONE(crew, in_one_call) {
    address const where("unix:@coir-crew-" + std::to_string(getpid()));
    auto const ask_and_stop = [&] {
        std::string who;
        while (who.empty()) try {
                who = asked_who(where);
            } catch (std::system_error const&) { // nobody listens yet
                coir::sleep(1ms);
            }
        raise(SIGTERM);
        return who;
    };
    auto of_thread = coir::spawn(ask_and_stop);
    coir::net::serve_on_all_cores(where, serve_as(this_process), {.workers = 2});
    EXPECT_EQ(of_thread.get(), std::to_string(getpid()));
    auto of_process = coir::spawn(ask_and_stop);
    coir::net::prefork(where, serve_as(this_process), {.workers = 2});
    EXPECT_NE(of_process.get(), std::to_string(getpid()));
}

TEST(crew, a_process_that_does_not_end_is_killed) {
    crew all{"127.0.0.1:0",
             [](listener from) {
                 return stream_server(std::move(from), [](tcp_stream peer) {
                     peer.write_all("x\n");
                     for (;;) pause(); // never lets others run
                 });
             },
             {.kind = worker_kind::process, .workers = 1, .signals = false}};
    all.start();
    auto client = tcp_stream::connect(all.address());
    line_of(client);
    EXPECT_TRUE(all.stop(0s));
}

// Whoever reads from the pipe reads its end when nobody is left that inherited it.
TEST(crew, workers_stop_when_their_crew_is_killed) {
    std::array<int, 2> ends;
    ASSERT_EQ(pipe(ends.data()), 0);
    pid_t const parent = fork();
    if (parent == 0) {
        close(ends[0]);
        crew all{"127.0.0.1:0", serve_as(this_process), {.kind = worker_kind::process, .workers = 2}};
        all.start();
        EXPECT_EQ(write(ends[1], "x", 1), 1);
        all.serve_forever();
        _exit(1);
    }
    close(ends[1]);
    char one;
    EXPECT_EQ(read(ends[0], &one, 1), 1);
    EXPECT_EQ(kill(parent, SIGKILL), 0);
    EXPECT_EQ(read(ends[0], &one, 1), 0);
    close(ends[0]);
    EXPECT_EQ(waitpid(parent, nullptr, 0), parent);
}

#endif
