#include "net/copy.h"

#include "hub/fiber.h"
#include "hub/wait.h"
#include "net/descriptor.h"
#include "net/moving.h"
#include "net/socket.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <unistd.h>

namespace coir::net {
namespace {

constexpr std::size_t buffer_size = 64 * 1024;

struct pipe_ends {
    descriptor out, in;
};

std::optional<pipe_ends> new_pipe() {
    int ends[2];
    if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return {};
    return pipe_ends{descriptor(ends[0]), descriptor(ends[1])};
}

// One direction: from, to, and how much is left to be moved.
class course {
public:
    course(stream& from, stream& to, copy_options const& how, idle_limit& idle) noexcept
        : from_(from), to_(to), left_(how.most), patience_(how.until, idle) {}

    // A buffered stream is plain when what it had is through.
    std::uint64_t run() {
        std::uint64_t const all = left_;
        while (left_ > 0 && (can_splice() ? splice_some() : copy_some())) {}
        return all - left_;
    }

private:
    bool can_splice() {
        if (no_splice_ || !from_.plain() || !to_.plain() || from_.plain()->ahead()) return false;
        if (!pipe_) pipe_ = new_pipe();
        no_splice_ = !pipe_;
        return !no_splice_;
    }

    // The pipe is empty before and after, so that EAGAIN speaks of the socket. False at the end.
    bool splice_some() {
        constexpr std::size_t at_once = 1 << 20; // more than a pipe holds
        constexpr unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
        bool refused = false;
        std::size_t held = patience_.of([&](deadline until) {
            return std::size_t(from_.plain()->attempt(moving_in, until, [&](int fd) {
                ssize_t const got = ::splice(fd, nullptr, pipe_->in.native(), nullptr, wanted(at_once), flags);
                refused = got < 0 && errno == EINVAL; // a kind of socket that cannot
                return refused ? 0 : got;
            }));
        });
        no_splice_ = refused;
        if (held == 0) return refused;
        left_ -= held;
        while (held > 0)
            held -= patience_.of([&](deadline until) {
                return std::size_t(to_.plain()->attempt(moving_out, until, [&](int fd) {
                    return without_sigpipe(
                        [&] { return ::splice(pipe_->out.native(), nullptr, fd, nullptr, held, flags); });
                }));
            });
        return true;
    }

    bool copy_some() {
        if (!buffer_) buffer_ = std::make_unique_for_overwrite<std::byte[]>(buffer_size);
        std::span const room(buffer_.get(), wanted(buffer_size));
        std::span<std::byte const> held =
            room.first(patience_.of([&](deadline until) { return from_.read_some(room, until); }));
        if (held.empty()) return false;
        left_ -= held.size();
        while (!held.empty())
            held = held.subspan(patience_.of([&](deadline until) { return to_.write_some(held, until); }));
        patience_.of([&](deadline until) { return to_.flush(until), std::size_t{0}; });
        return true;
    }

    std::size_t wanted(std::size_t most) const noexcept { return std::size_t(std::min<std::uint64_t>(left_, most)); }

    stream& from_;
    stream& to_;
    std::uint64_t left_;
    patience patience_;
    bool no_splice_ = false;
    std::optional<pipe_ends> pipe_;
    std::unique_ptr<std::byte[]> buffer_;
};

std::uint64_t pass_on(stream& from, stream& to, copy_options const& how, idle_limit& idle) {
    std::uint64_t const moved = course(from, to, how, idle).run();
    to.shutdown_write(how.until);
    return moved;
}

// A direction of a relay. It uses what is the caller's, who stays until it has ended, whatever interrupts the caller
// again meanwhile.
struct direction_fiber {
    fiber<std::uint64_t> runs;

    direction_fiber(char const* name, stream& from, stream& to, copy_options const& how, idle_limit& idle)
        : runs(spawn({.name = name}, [&] { return pass_on(from, to, how, idle); })) {}
    direction_fiber(direction_fiber const&) = delete;
    ~direction_fiber() {
        while (!runs.ready()) try {
                runs.kill();
            } catch (...) {}
        runs.exception(); // the other's is the one that counts
    }
};

} // namespace

std::uint64_t copy(stream& from, stream& to, copy_options how) {
    idle_limit idle(how.idle);
    return course(from, to, how, idle).run();
}

relayed relay(stream& one, stream& other, copy_options how) {
    idle_limit idle(how.idle);
    direction_fiber const there("relay", one, other, how, idle), back("relay back", other, one, how, idle);
    joinall({there.runs, back.runs}, {.raise_error = true});
    return {there.runs.get(), back.runs.get()};
}

} // namespace coir::net
