// A pool of processes, for what computes: a fiber per worker forks it, sends it jobs from a queue through a pipe, and
// waits for its answers in another, in plain read and write. Linked with libcoir-monkey.so, so those let the other
// fibers run.
//
//     $ process_pool --jobs 3 --workers 2 --crash 2
//     below 25000: 2762 primes
//     process_pool: worker 2 was ended by signal 9 at job 2, which is begun again
//     below 50000: 5133 primes
//     below 75000: 7393 primes
//     worker 1 did 2 jobs
//     worker 2 did 1 job
//     1 job was begun more than once
//
// A worker that dies in the middle of a job is replaced; a job that has cost three of them is given up.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <coir.h>
#include <csignal>
#include <cstdint>
#include <deque>
#include <exception>
#include <fmt/format.h>
#include <optional>
#include <set>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

[[noreturn]] void fail(std::string const& what) { throw std::system_error(errno, std::generic_category(), what); }

// Whether all went through: the other side may be gone.
template <class Call, class Byte>
bool transfer(Call call, int fd, Byte* data, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
        ssize_t const n = call(fd, data + done, size - done);
        if (n == 0 || (n < 0 && errno != EINTR)) return false;
        if (n > 0) done += std::size_t(n);
    }
    return true;
}
template <class T>
bool send(int fd, T const& value) {
    return transfer(::write, fd, reinterpret_cast<char const*>(&value), sizeof value);
}
template <class T>
bool receive(int fd, T& value) {
    return transfer(::read, fd, reinterpret_cast<char*>(&value), sizeof value);
}

std::uint64_t count_primes(std::uint64_t below) {
    std::uint64_t count = below > 2;
    for (std::uint64_t n = 3; n < below; n += 2) {
        std::uint64_t divisor = 3;
        while (divisor * divisor <= n && n % divisor != 0) divisor += 2;
        count += divisor * divisor > n;
    }
    return count;
}

// All that a worker does: it ends when its parent hangs up, or is gone.
[[noreturn]] void answer(int jobs, int answers, bool crashes) {
    for (std::uint64_t below; receive(jobs, below);) {
        std::uint64_t const primes = count_primes(below);
        if (crashes) ::raise(SIGKILL);
        if (!send(answers, primes)) break;
    }
    ::_exit(0); // not by exit(), whose handlers and buffers are the parent's
}

class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int fd) noexcept : fd_(fd) {}
    descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    descriptor& operator=(descriptor other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    operator int() const noexcept { return fd_; }

private:
    int fd_ = -1;
};

struct pipe_ends {
    descriptor to_read, to_write;

    pipe_ends() {
        int ends[2];
        if (::pipe(ends) != 0) fail("pipe");
        to_read = descriptor{ends[0]};
        to_write = descriptor{ends[1]};
    }
};

// A child process, and the parent's ends of two pipes to it.
class worker {
public:
    explicit worker(bool crashes) {
        pipe_ends jobs, answers;
        process_ = ::fork(); // of the fibers the child has only this one
        if (process_ < 0) fail("fork");
        if (process_ == 0) {
            // The others see that the parent hangs up only when nobody holds the end that it closes.
            for (int const end : parents_ends()) ::close(end);
            jobs.to_write = {};
            answers.to_read = {};
            answer(jobs.to_read, answers.to_write, crashes);
        }
        jobs_ = std::move(jobs.to_write);
        answers_ = std::move(answers.to_read);
        parents_ends().insert({jobs_, answers_});
        // The child's ends are closed, and since they were made no other fiber has run, which might have forked, too.
    }
    worker(worker const&) = delete;
    ~worker() { end(); }

    // Nothing if it has died.
    std::optional<std::uint64_t> ask(std::uint64_t below) {
        std::uint64_t primes = 0;
        if (send(jobs_, below) && receive(answers_, primes)) return primes;
        return std::nullopt;
    }

    // Hangs up, and says how it has ended, as waitpid does.
    int end() {
        int status = 0;
        if (process_ < 0) return status;
        parents_ends().erase(jobs_);
        parents_ends().erase(answers_);
        jobs_ = {};
        answers_ = {};
        while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {}
        process_ = -1;
        return status;
    }

private:
    static std::set<int>& parents_ends() {
        static std::set<int> all; // of all workers
        return all;
    }

    pid_t process_ = -1;
    descriptor jobs_, answers_;
};

struct job {
    int number;
    std::uint64_t below;
    int deaths = 0; // of workers that had it
    coir::async_result<std::uint64_t> primes{};

    job(int which, std::uint64_t limit) : number(which), below(limit) {}
};

// The fiber of a worker: how many jobs it did. The process comes with the first, and again after its death.
int employ(int number, bool crashes, coir::queue<job*>& jobs) {
    std::optional<worker> own;
    int done = 0;
    for (job* const each : jobs) { // until the queue is shut down and empty
        try {
            for (;;) {
                if (!own) own.emplace(std::exchange(crashes, false));
                if (auto const primes = own->ask(each->below)) {
                    each->primes.set(*primes);
                    ++done;
                    break;
                }
                int const status = own->end();
                own.reset();
                std::string const how = WIFSIGNALED(status) ? fmt::format("was ended by signal {}", WTERMSIG(status))
                                                            : fmt::format("has ended with {}", WEXITSTATUS(status));
                if (++each->deaths == 3)
                    throw std::runtime_error(fmt::format("job {} has cost three workers: the last, worker {}, {}",
                                                         each->number, number, how));
                fmt::print(stderr, "process_pool: worker {} {} at job {}, which is begun again\n", number, how,
                           each->number);
            }
        } catch (std::exception const&) { // that job's matter; there are others
            each->primes.set_exception(std::current_exception());
        }
    }
    return done;
}

std::string jobs_of(auto count) { return fmt::format("{} job{}", count, count == 1 ? "" : "s"); }

} // namespace

int main(int argc, char** argv) try {
    int jobs = 12, workers = 4;
    std::uint64_t step = 25000;
    std::vector<int> crashing;
    CLI::App options{"Counts primes, in several processes."};
    options.add_option("--jobs", jobs, "how many counts there are to make")
        ->check(CLI::Range(0, 100000))
        ->capture_default_str();
    options.add_option("--workers", workers, "how many processes")->check(CLI::Range(1, 1000))->capture_default_str();
    options.add_option("--step", step, "job N counts the primes below N times this")
        ->check(CLI::Range(1, 100000000))
        ->capture_default_str();
    options
        .add_option("--crash", crashing, "the worker of this number kills itself at its first job; may be given again")
        ->check(CLI::Range(1, 1000));
    options.failure_message(CLI::FailureMessage::help);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& wrong) {
        return options.exit(wrong) == 0 ? 0 : 2;
    }

    std::signal(SIGPIPE, SIG_IGN); // a worker that has died is an error of write, not the end of us
    std::deque<job> all;
    coir::queue<job*> waiting;
    for (int number = 1; number <= jobs; ++number) waiting.put(&all.emplace_back(number, std::uint64_t(number) * step));
    waiting.shutdown(); // no others will come
    std::vector<coir::fiber<int>> employers;
    for (int number = 1; number <= workers; ++number)
        employers.push_back(coir::spawn(employ, number, std::ranges::count(crashing, number) > 0, std::ref(waiting)));

    bool failed = false;
    for (job& each : all) try { // in their order, each as soon as it is there
            fmt::print("below {}: {} primes\n", each.below, each.primes.get());
        } catch (std::exception const& error) {
            fmt::print(stderr, "process_pool: {}\n", error.what());
            failed = true;
        }
    for (int number = 1; number <= workers; ++number)
        fmt::print("worker {} did {}\n", number, jobs_of(employers[std::size_t(number - 1)].get()));
    auto const again = std::ranges::count_if(all, [](job const& each) { return each.deaths > 0; });
    fmt::print("{} {} begun more than once\n", jobs_of(again), again == 1 ? "was" : "were");
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        fmt::print(stderr, "process_pool: write to stdout failed\n");
        return 1;
    }
    return failed ? 1 : 0;
} catch (std::exception const& error) {
    fmt::print(stderr, "process_pool: {}\n", error.what());
    return 1;
}
