// The owner of a descriptor of whatever kind, closed when it goes. What comes over a Unix socket is one. Any thread.
#pragma once

#include <unistd.h>
#include <utility>

namespace coir::net {

/// Owns a descriptor. Any thread.
class descriptor {
public:
    /// Owns nothing.
    descriptor() noexcept = default;
    /// Takes over `fd`.
    explicit descriptor(int fd) noexcept : fd_(fd) {}
    /// Takes over that of `other`.
    descriptor(descriptor&& other) noexcept : fd_(other.release()) {}
    /// The same; the one that it had is closed.
    descriptor& operator=(descriptor&& other) noexcept {
        descriptor(std::move(other)).swap(*this);
        return *this;
    }
    /// Closes it.
    ~descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }

    /// Its number, which stays this one's; -1 if there is none.
    int native() const noexcept { return fd_; }
    /// Gives it up; -1 if there is none.
    int release() noexcept { return std::exchange(fd_, -1); }
    /// There is one.
    explicit operator bool() const noexcept { return fd_ >= 0; }
    /// Each has what the other had.
    void swap(descriptor& other) noexcept { std::swap(fd_, other.fd_); }

private:
    int fd_ = -1;
};

} // namespace coir::net
