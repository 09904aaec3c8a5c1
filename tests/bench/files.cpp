// What a read of 4 KiB at a random place of a file costs: by a plain pread in a fiber, by libc's own on a thread that
// waits in it, and by coir's worker threads. Of a file in the page cache, and of one that is not, which many fibers
// read at once: through io_uring then, whose limit is a ring by hand. With COIR_IO_URING=0, or where no ring is
// allowed, the fibers' reads are the worker threads', and no target is theirs.
//
//     bench-files [DIRECTORY]    # on a disk: the working directory, if it is not said
//
// CPU time is the whole process's: of its worker threads, too, and of the kernel's for io_uring, which are threads of
// the process. The disk's interrupts are on whomever they hit.

#include "coir.h"
#include "monkey/monkey.h"
#include "sides.h"
#include "work.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <liburing.h>
#include <linux/magic.h>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::size_t at_once = 128;     // fibers, or reads of the ring by hand
constexpr std::size_t pages = 16 * 1024; // of the file: 64 MiB
constexpr std::size_t cold_reads = 2048; // in a run

using page = std::array<std::uint64_t, 512>;
using read_function = decltype(&::pread);

[[noreturn]] void fail(char const* what) {
    std::perror(what);
    std::exit(2);
}

page made_page(std::size_t number) {
    page made;
    std::iota(made.begin(), made.end(), number * made.size());
    return made;
}

void check(page const& got, std::size_t number, long result) {
    std::size_t const first = number * got.size();
    if (result == sizeof got && got.front() == first && got.back() == first + got.size() - 1) return;
    std::fprintf(stderr, "bench-files: page %zu was read wrong (%ld)\n", number, result);
    std::exit(2);
}

// Without a name. It is known which of its pages are in the cache: by mincore, for a read with RWF_NOWAIT would fetch
// what it asks for.
class file {
public:
    explicit file(std::string const& directory) {
        std::string name = directory + "/bench-files-XXXXXX";
        fd = mkstemp(name.data());
        if (fd < 0) fail(name.c_str());
        unlink(name.c_str());
        for (std::size_t i = 0; i < pages; ++i) {
            page const made = made_page(i);
            if (pwrite(fd, &made, sizeof made, offset_of(i)) != sizeof made) fail("write the file");
        }
        if (fdatasync(fd) != 0) fail("fdatasync");                                 // what is dirty stays in the cache
        if ((errno = posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))) fail("fadvise"); // no page but the one that is read
        mapped_ = mmap(nullptr, pages * sizeof(page), PROT_READ, MAP_SHARED, fd, 0);
        if (mapped_ == MAP_FAILED) fail("mmap");
        std::iota(order.begin(), order.end(), 0u);
        std::shuffle(order.begin(), order.end(), std::mt19937(1));
    }
    file(file const&) = delete;
    ~file() {
        munmap(mapped_, pages * sizeof(page));
        close(fd);
    }

    std::size_t cached() const {
        std::vector<unsigned char> in_memory(pages);
        if (mincore(mapped_, pages * sizeof(page), in_memory.data()) != 0) fail("mincore");
        return std::size_t(std::ranges::count_if(in_memory, [](unsigned char each) { return each & 1; }));
    }
    // A few pages may be in the hands of another processor at the moment.
    bool evict() const {
        for (int attempt = 0; attempt < 20 && cached() > 0; ++attempt) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        return cached() == 0;
    }
    void fetch() const {
        page got;
        for (std::size_t i = 0; i < pages && cached() < pages; i += 64)
            for (std::size_t each = i; each < i + 64; ++each)
                check(got, each, pread(fd, &got, sizeof got, offset_of(each)));
    }
    static off_t offset_of(std::size_t number) { return off_t(number * sizeof(page)); }

    int fd = -1;
    std::vector<std::uint32_t> order = std::vector<std::uint32_t>(pages); // in which pages are read

private:
    void* mapped_ = nullptr;
};

read_function libcs_pread() {
    auto const found = reinterpret_cast<read_function>(coir::monkey::get_original("pread"));
    if (found && found != &::pread) return found;
    std::fprintf(stderr, "bench-files: pread is not hooked: the shim is not under this program\n");
    std::exit(2);
}

template <class Work>
double us_of_each(std::size_t count, Work&& work) {
    double const start = bench::process_cpu();
    work();
    return (bench::process_cpu() - start) / double(count) / 1000;
}

// The first `count` pages of the order.
template <class Read>
void read_in_turn(file const& from, std::size_t count, Read read) {
    page got;
    for (std::size_t i = 0; i < count; ++i)
        check(got, from.order[i], read(from.fd, &got, sizeof got, file::offset_of(from.order[i])));
}

template <class Read>
void read_in_fibers(file const& from, std::size_t count, Read read) {
    std::size_t next = 0;
    std::vector<coir::fiber<void>> all;
    for (std::size_t i = 0; i < at_once; ++i)
        all.push_back(coir::spawn([&] {
            page got;
            while (next < count) {
                std::size_t const number = from.order[next++];
                check(got, number, read(from.fd, &got, sizeof got, file::offset_of(number)));
            }
        }));
    coir::joinall(all);
}

class bare_ring {
public:
    // Null where the kernel or a sandbox allows none.
    static std::shared_ptr<bare_ring> make() {
        auto made = std::make_shared<bare_ring>();
        for (unsigned const flags : {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, 0u})
            if (io_uring_queue_init(at_once, &made->ring_, flags) == 0) {
                made->works_ = true;
                return made;
            }
        return nullptr;
    }
    bare_ring() = default;
    bare_ring(bare_ring const&) = delete;
    ~bare_ring() {
        if (works_) io_uring_queue_exit(&ring_);
    }

    void read(file const& from, std::size_t count) {
        std::size_t next = 0, done = 0;
        std::array<std::size_t, at_once> numbers;
        auto const ask = [&](std::size_t place) {
            numbers[place] = from.order[next++];
            io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
            io_uring_prep_read(entry, from.fd, &buffers_[place], sizeof(page),
                               std::uint64_t(file::offset_of(numbers[place])));
            entry->user_data = place;
        };
        for (std::size_t i = 0; i < at_once; ++i) ask(i);
        while (done < count) {
            io_uring_submit_and_wait(&ring_, 1);
            for (io_uring_cqe* each; io_uring_peek_cqe(&ring_, &each) == 0; ++done) {
                std::size_t const place = each->user_data;
                check(buffers_[place], numbers[place], each->res);
                io_uring_cqe_seen(&ring_, each);
                if (next < count) ask(place);
            }
        }
    }

private:
    io_uring ring_{};
    bool works_ = false;
    std::vector<page> buffers_ = std::vector<page>(at_once);
};

void compare_cached(file const& from, read_function pread_of_libc) {
    auto const run = [&](auto work) {
        from.fetch();
        return us_of_each(pages, work);
    };
    bench::compare("4 KiB of a cached file, CPU",
                   {{"libc", [&] { return run([&] { read_in_turn(from, pages, pread_of_libc); }); }},
                    {"coir", [&] { return run([&] { read_in_turn(from, pages, ::pread); }); }},
                    {"thread pool",
                     [&] {
                         return run([&] {
                             read_in_fibers(from, pages, [&](auto... how) {
                                 return coir::offload([&] { return pread_of_libc(how...); });
                             });
                         });
                     }}},
                   {{1.1, "libc"}}, {.unit = "us"});
}

void compare_cold(file const& from, read_function pread_of_libc) {
    char const* const name = "4 KiB of a file that is not cached, CPU";
    struct statfs about;
    if (fstatfs(from.fd, &about) != 0) fail("fstatfs");
    bool const in_memory = about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC;
    if (in_memory || !from.evict()) {
        std::printf("%s\n  left out: the directory is %s\n", name,
                    in_memory ? "in memory" : "of a file system that keeps what is to leave the cache");
        return;
    }
    auto const run = [&](auto work) {
        if (!from.evict()) {
            std::fprintf(stderr, "bench-files: the file stays in the cache\n");
            std::exit(2);
        }
        return us_of_each(cold_reads, work);
    };
    std::vector<bench::side> sides{
        {"a thread in pread", [&] { return run([&] { read_in_turn(from, cold_reads, pread_of_libc); }); }},
        {"coir", [&] { return run([&] { read_in_fibers(from, cold_reads, ::pread); }); }},
        {"thread pool", [&] {
             return run([&] {
                 read_in_fibers(from, cold_reads,
                                [&](auto... how) { return coir::offload([&] { return pread_of_libc(how...); }); });
             });
         }}};
    std::vector<bench::target> targets;
    char const* const wanted = std::getenv("COIR_IO_URING");
    auto const ring = bare_ring::make();
    if (ring)
        sides.insert(sides.begin(), {"io_uring by hand", [&] { return run([&] { ring->read(from, cold_reads); }); }});
    if (ring && !(wanted && std::string_view(wanted) == "0")) targets.push_back({0.4, "thread pool"});
    bench::compare(name, sides, targets, {.runs = 7, .unit = "us"});
}

} // namespace

int main(int argc, char** argv) {
    if (argc > 2) {
        std::fprintf(stderr, "usage: %s [directory]\n", argv[0]);
        return 2;
    }
    file const made(argc > 1 ? argv[1] : ".");
    coir::yield(); // from here on the main thread's own context is a fiber
    read_function const pread_of_libc = libcs_pread();
    compare_cached(made, pread_of_libc);
    compare_cold(made, pread_of_libc);
}
