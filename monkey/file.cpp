// Descriptors as such: what waits for the disk, and what ends or changes a descriptor that fibers may wait for.

#include "hub/offload.h"
#include "monkey/bodies.h"
#include "monkey/descriptors.h"
#include "monkey/kernel.h"
#include "monkey/real.h"

#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace coir::monkey {
namespace {

// What libc's function returned, in the kernel's convention.
long kernel_result(long result) noexcept { return result == -1 ? -errno : result; }

} // namespace

long body::fsync(int fd) {
    return offload_or_leave([fd] { return kernel(SYS_fsync, fd); }, "fsync").value_or(-ECANCELED);
}

long body::fdatasync(int fd) {
    return offload_or_leave([fd] { return kernel(SYS_fdatasync, fd); }, "fdatasync").value_or(-ECANCELED);
}

long body::close(int fd) {
    forget(fd, true);
    return kernel_result(real.close(fd));
}

long body::close_range(unsigned first, unsigned last, int flags) {
    if (!(flags & int(CLOSE_RANGE_CLOEXEC))) forget_range(first, last);
    return kernel_result(real.close_range(first, last, flags));
}

long body::closefrom(int first) {
    forget_range(first < 0 ? 0 : unsigned(first), UINT_MAX);
    real.closefrom(first);
    return 0;
}

long body::dup2(int from, int to) {
    if (from != to) forget(to, true);
    return kernel_result(real.dup2(from, to));
}

long body::dup3(int from, int to, int flags) {
    if (from != to) forget(to, true);
    return kernel_result(real.dup3(from, to, flags));
}

long body::fclose(FILE* stream) {
    int const fd = fileno(stream);
    if (fd >= 0) forget(fd, true);
    return kernel_result(real.fclose(stream));
}

long body::fcntl(int fd, int command, void* argument) {
    if (command == F_SETFL) forget(fd, false); // the flags may say O_NONBLOCK now, or no longer
    return kernel_result(real.fcntl(fd, command, argument));
}

long body::ioctl(int fd, unsigned long command, void* argument) {
    if (command == FIONBIO) forget(fd, false);
    return kernel_result(real.ioctl(fd, command, argument));
}

long body::setsockopt(int fd, int level, int option, void const* value, socklen_t length) {
    if (level == SOL_SOCKET) forget(fd, false); // SO_RCVTIMEO and SO_SNDTIMEO are among the facts
    return kernel_result(real.setsockopt(fd, level, option, value, length));
}

} // namespace coir::monkey
