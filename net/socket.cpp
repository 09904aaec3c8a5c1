#include "net/socket.h"

#include "hub/receiver.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace coir::net {
namespace {

[[noreturn]] void fail_with(address const& with, char const* words, int error) {
    std::string what = std::string(words) + " " + with.to_string();
    if (error == EMFILE) {
        rlimit limit{};
        getrlimit(RLIMIT_NOFILE, &limit);
        what += ", this process may have " + std::to_string(limit.rlim_cur) + " descriptors (ulimit -n)";
    } else if (error == ENFILE) {
        what += ", the system is out of open files (sysctl fs.file-max)";
    }
    throw std::system_error(error, std::generic_category(), what);
}

// A path outlives who listened there. That nobody does any more is what a connect is told.
bool is_left_over(address const& where) {
    std::string const path = where.unix_name();
    struct stat about {};
    if (path.empty() || path[0] == '@' || lstat(path.c_str(), &about) != 0 || !S_ISSOCK(about.st_mode)) return false;
    for (int const type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
        socket const asking(AF_UNIX, type, 0, where);
        if (::connect(asking.native(), where.native(), where.native_size()) == 0) return false;
        if (errno == EPROTOTYPE) continue; // someone may, as another type (unix(7))
        return errno == ECONNREFUSED;
    }
    return false;
}

} // namespace

// The socket may be gone when this fiber runs again.
//
// A Unix socket says that it can be written to whatever room there is at the other end, if it is not connected
// (net/unix/af_unix.c): whose waits are in vain asks again after 1 to 16 ms.
bool socket::wait(operation what, address const& whom, deadline until, unsigned in_vain) {
    context& self = context::current();
    waiting_fiber mine{self, this, what.way, &whom};
    waiting_[std::size_t(what.way)] = &mine;
    bool const asks = what.way == direction::write && in_vain >= 2;
    deadline const again = asks ? deadline::at(steady_now() + (1'000'000 << std::min(in_vain - 2, 4u))) : deadline();
    auto const until_ready = [&] {
        if (asks) return hub::wait_until(std::min(until, again));
        if (ahead_ && what.way == direction::read) return ahead_->wait(until);
        return hub::wait_fd(fd_, what.way, until, closing::seen);
    };
    wake_reason why = until_ready();
    if (asks && why == wake_reason::timed_out && again < until) why = wake_reason::ready;
    if (why == wake_reason::cancelled) interruption_point();
    // `mine.of` tells of a close() that came after the wake and before this fiber ran, too.
    if (!mine.of || why == wake_reason::closed) fail_with(*mine.whom, what.words, EBADF);
    return why != wake_reason::timed_out;
}

socket::socket() noexcept = default;

socket::socket(int fd, address const& with) noexcept : fd_(fd), with_(with) {}

socket::socket(socket&& other) noexcept { *this = std::move(other); }

socket::~socket() { close(); }

socket::socket(int family, int type, int protocol, address const& with)
    : fd_(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)), with_(with) {
    if (fd_ < 0) fail_with(with, "make a socket for", errno);
}

socket& socket::operator=(socket&& other) noexcept {
    if (this == &other) return *this;
    close();
    other.tell_those_who_wait();
    ahead_ = std::move(other.ahead_);
    fd_ = std::exchange(other.fd_, -1);
    for (std::size_t way : {0, 1}) spent_[way] = other.spent_[way];
    with_ = other.with_;
    return *this;
}

// The hub keeps its registration of a descriptor between two waits (closing::seen), so it has to hear of this
// first.
int socket::release() noexcept {
    tell_those_who_wait();
    ahead_.reset(); // or the kernel would keep the file open
    return std::exchange(fd_, -1);
}

void socket::tell_those_who_wait() noexcept {
    if (fd_ < 0) return;
    for (waiting_fiber*& each : waiting_)
        if (each) std::exchange(each, nullptr)->socket_goes(with_);
    hub::forget_fd(fd_);
    if (ahead_) ahead_->leave();
}

bool socket::receive_ahead() {
    if (waiting_[std::size_t(direction::read)]) refuse_second({direction::read, "receive ahead from"});
    if (fd_ >= 0 && (!ahead_ || (ahead_->is_over() && !ahead_->covers()))) ahead_ = receiver::make(fd_);
    return ahead_ && !ahead_->is_over();
}

void socket::close() noexcept {
    int const fd = release();
    if (fd >= 0) ::close(fd); // cannot fail for a socket, and after EINTR Linux has closed it all the same
}

address socket::local_address() const {
    sockaddr_storage where{};
    socklen_t size = sizeof where;
    auto* const native = reinterpret_cast<sockaddr*>(&where);
    if (getsockname(fd_, native, &size) < 0) fail_with(with_, "local address of the socket with", errno);
    return address::from_native(native, size);
}

void socket::bind(address const& where, char const* words) {
    auto const bound = [&] { return ::bind(fd_, where.native(), where.native_size()) == 0; };
    if (bound()) return;
    int const error = errno;
    bool const again = error == EADDRINUSE && is_left_over(where) && ::unlink(where.unix_name().c_str()) == 0;
    if (!again || !bound()) fail_with(where, words, again ? errno : error);
}

void socket::set_option(int level, int name, int value, char const* what) {
    if (setsockopt(fd_, level, name, &value, sizeof value) < 0) fail_with(with_, what, errno);
}

void socket::fail(operation what, address const& whom, int error) const { fail_with(whom, what.words, error); }

void socket::refuse_second(operation what) const {
    throw std::logic_error(std::string(what.words) + " " + with_.to_string() + ": " + context::current().name() +
                           " may not, while " + waiting_[std::size_t(what.way)]->who.name() + " waits for the same");
}

} // namespace coir::net
